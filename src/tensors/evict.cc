#include <string>
#include <utility>

#include "base/processors.h"
#include "kvevict/error.h"
#include "tensors/cache_state.h"
#include "tensors/device_move.h"
#include "tensors/move_tensors.h"
#include "tensors/refuse.h"
#include "tensors/workers.h"

namespace kvevict {
namespace {

/// The keep set of each layer: one for all of them, or one for each.
class KeepSets {
 public:
  explicit KeepSets(const KeepSet& shared) : sets_(&shared, 1), is_shared_(true) {}
  explicit KeepSets(std::span<const KeepSet> per_layer) : sets_(per_layer), is_shared_(false) {}

  [[nodiscard]] const KeepSet& operator[](std::size_t layer) const { return sets_[is_shared_ ? 0 : layer]; }

 private:
  std::span<const KeepSet> sets_;
  bool is_shared_;
};

/// An eviction: checked and prepared by the constructor, which may throw; carried out by `run`,
/// which throws only before it has touched anything.
class Eviction {
 public:
  Eviction(CacheState& state, const KeepSets& keep, const CacheEvictOptions& options)
      : state_(state), keep_(keep), options_(options) {
    if (options.n_threads < 0)
      refuse("n_threads is " + std::to_string(options.n_threads) + ": 0 or more is needed");
    for (std::size_t layer = 0; layer < state.layers.size(); ++layer) check_keep(layer);
    if (options.rectangular) check_rectangular();
    moves_.reserve(2 * state.layers.size());
    records_.reserve(state.layers.size());
    report_.n_rows.reserve(state.layers.size());
    for (std::size_t layer = 0; layer < state.layers.size(); ++layer) prepare(layer);
  }

  CacheEvictReport run() {
    const bool on_device = !state_.layers.empty() && state_.layers.front().k().memory() == MemoryKind::kCuda;
    if (report_.bytes_moved > 0 && on_device) {
      move_on_device(moves_, options_.cuda_stream);
    } else if (report_.bytes_moved > 0) {
      report_.n_workers =
          move_tensors(moves_, options_.n_threads == 0 ? usable_processors() : options_.n_threads);
    }
    for (std::size_t layer = 0; layer < records_.size(); ++layer) commit(layer);
    return std::move(report_);
  }

 private:
  void check_keep(std::size_t layer) const {
    const std::int64_t n_rows = state_.layers[layer].record->n_rows;
    if (keep_[layer].end() <= n_rows) return;
    refuse("the keep set asks for row " + std::to_string(keep_[layer].end() - 1) + " of layer " +
           std::to_string(layer) + ", which has " + std::to_string(n_rows) + " rows");
  }

  void check_rectangular() const {
    for (std::size_t layer = 1; layer < state_.layers.size(); ++layer) {
      const std::int64_t n = keep_[layer].count();
      if (n == keep_[0].count()) continue;
      refuse("layer " + std::to_string(layer) + " would keep " + std::to_string(n) + " rows and layer 0 " +
             std::to_string(keep_[0].count()) + ": a rectangular cache needs equally many in every layer");
    }
  }

  void prepare(std::size_t layer) {
    const CacheLayer& target = state_.layers[layer];
    add_move("K", layer, target.k().rows(0, target.record->n_rows));
    add_move("V", layer, target.v().rows(0, target.record->n_rows));
    report_.n_rows.push_back(keep_[layer].count());
    const bool as_last = layer > 0 && target.record == state_.layers[layer - 1].record &&
                         (&keep_[layer] == &keep_[layer - 1] || keep_[layer] == keep_[layer - 1]);
    records_.push_back(as_last ? records_.back()
                               : std::make_shared<const RowRecord>(evicted(*target.record, keep_[layer])));
  }

  void add_move(const char* name, std::size_t layer, const KvView& rows) {
    const TensorMove move = tensor_move(rows, keep_[layer]);
    if (move.total_bytes() == 0) return;
    if (rows.is_read_only()) {
      refuse("the " + std::string(name) + " of layer " + std::to_string(layer) +
             " is read-only: its rows cannot be moved in place");
    }
    moves_.push_back(move);
    report_.bytes_moved += move.total_bytes();
  }

  void commit(std::size_t layer) noexcept {
    CacheLayer& target = state_.layers[layer];
    const std::int64_t n_before = target.record->n_rows;
    target.record = std::move(records_[layer]);
    if (!target.owned || !options_.give_back || target.record->n_rows == n_before) return;
    report_.bytes_released += target.owned->k.release_rows(target.record->n_rows);
    report_.bytes_released += target.owned->v.release_rows(target.record->n_rows);
  }

  CacheState& state_;
  const KeepSets& keep_;
  const CacheEvictOptions& options_;
  std::vector<TensorMove> moves_;
  std::vector<std::shared_ptr<const RowRecord>> records_;
  CacheEvictReport report_;
};

}  // namespace

CacheEvictReport evict_dynamic_cache_inplace(DynamicCache& cache, const KeepSet& keep,
                                             const CacheEvictOptions& options) {
  return Eviction(CacheAccess::state(cache), KeepSets(keep), options).run();
}

CacheEvictReport evict_dynamic_cache_inplace(DynamicCache& cache, std::span<const KeepSet> keep_per_layer,
                                             const CacheEvictOptions& options) {
  if (keep_per_layer.size() != cache.n_layers()) {
    refuse("there are " + std::to_string(keep_per_layer.size()) + " keep sets for " +
           std::to_string(cache.n_layers()) + " layers: one for each is needed");
  }
  return Eviction(CacheAccess::state(cache), KeepSets(keep_per_layer), options).run();
}

CacheEvictReport evict_dynamic_cache_inplace(DynamicCache& cache, std::span<const std::int64_t> keep_idx,
                                             const CacheEvictOptions& options) {
  KeepSet keep;
  for (std::size_t i = 0; i < keep_idx.size(); ++i) {
    if (keep_idx[i] < 0)
      refuse("keep_idx has the index " + std::to_string(keep_idx[i]) + ": 0 or more is needed");
    if (i > 0 && keep_idx[i] <= keep_idx[i - 1]) {
      refuse("keep_idx has " + std::to_string(keep_idx[i]) + " behind " + std::to_string(keep_idx[i - 1]) +
             ": indices must ascend");
    }
    if (keep_idx[i] == INT64_MAX) refuse("keep_idx has an index beyond every cache");
    keep.append(keep_idx[i], keep_idx[i] + 1);
  }
  return evict_dynamic_cache_inplace(cache, keep, options);
}

CacheEvictReport evict_to_plan(DynamicCache& cache, const KeepPlan& plan, const CacheEvictOptions& options) {
  CacheState& state = CacheAccess::state(cache);
  plan.require_layers(state.layers.size());
  std::vector<KeepSet> keep;
  keep.reserve(state.layers.size());
  for (std::size_t layer = 0; layer < state.layers.size(); ++layer) {
    const bool as_last =
        layer > 0 && plan.is_shared() && state.layers[layer].record == state.layers[layer - 1].record;
    keep.push_back(as_last ? keep.back()
                           : places_of(*state.layers[layer].record->abs_pos, plan.layer(layer)));
  }
  return evict_dynamic_cache_inplace(cache, keep, options);
}

}  // namespace kvevict
