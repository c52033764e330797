#include "kvevict/rerotate.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>

#include "base/processors.h"
#include "kvevict/error.h"
#include "tensors/cache_state.h"
#include "tensors/element_convert.h"
#include "tensors/rotation_walk.h"
#include "tensors/workers.h"

namespace kvevict {
namespace {

constexpr std::int64_t kTilePairs = 64;
constexpr std::int64_t kElementsWorthThread = 1 << 18;

/// Keys to read and where to write them rotated: the same view, or two that are apart.
struct KeyTensor {
  KvView target;
  KvView source;
};

/// A rope made ready for keys of one width.
struct PreparedRope {
  PreparedRope(const RopeConfig& rope, std::int64_t head_dim)
      : frequencies(rope_frequencies(rope, head_dim)), pairing(rope.pairing), first_dim(rope.first_dim) {}

  [[nodiscard]] std::int64_t n_pairs() const noexcept {
    return static_cast<std::int64_t>(frequencies.size());
  }

  std::vector<double> frequencies;
  RopePairing pairing;
  std::int64_t first_dim;
  double magnitude = 1;
};

/// The rotation of up to kTilePairs pairs from `first_pair` on.
struct RotationTile {
  RotationTile(const PreparedRope& rope, std::int64_t first, std::int64_t rotation) noexcept
      : first_pair(first), n_pairs(std::min(kTilePairs, rope.n_pairs() - first)) {
    for (std::int64_t i = 0; i < n_pairs; ++i) {
      const double angle =
          static_cast<double>(rotation) * rope.frequencies[static_cast<std::size_t>(first + i)];
      cosines[i] = static_cast<float>(rope.magnitude * std::cos(angle));
      sines[i] = static_cast<float>(rope.magnitude * std::sin(angle));
    }
  }

  /// a and b: the pairs' first and second elements.
  void apply(float* a, float* b) const noexcept {
    for (std::int64_t i = 0; i < n_pairs; ++i) {
      const float rotated = a[i] * cosines[i] - b[i] * sines[i];
      b[i] = a[i] * sines[i] + b[i] * cosines[i];
      a[i] = rotated;
    }
  }

  std::int64_t first_pair;
  std::int64_t n_pairs;
  float cosines[kTilePairs]{};
  float sines[kTilePairs]{};
};

std::byte* element(const KvView& view, std::byte* row, std::int64_t dim) noexcept {
  return row + dim * view.strides().head_dim * element_bytes(view.type());
}

void turn_neox(const KeyTensor& keys, std::byte* to, std::byte* from, const PreparedRope& rope,
               const RotationTile& tile) noexcept {
  float a[kTilePairs], b[kTilePairs];
  const std::int64_t first = rope.first_dim + tile.first_pair;
  const std::int64_t second = first + rope.n_pairs();
  const std::int64_t step = keys.source.strides().head_dim;
  read_floats(keys.source.type(), element(keys.source, from, first), step, tile.n_pairs, a);
  read_floats(keys.source.type(), element(keys.source, from, second), step, tile.n_pairs, b);
  tile.apply(a, b);
  const std::int64_t target_step = keys.target.strides().head_dim;
  write_floats(keys.target.type(), a, tile.n_pairs, element(keys.target, to, first), target_step);
  write_floats(keys.target.type(), b, tile.n_pairs, element(keys.target, to, second), target_step);
}

void turn_norm(const KeyTensor& keys, std::byte* to, std::byte* from, const PreparedRope& rope,
               const RotationTile& tile) noexcept {
  float ab[2 * kTilePairs], a[kTilePairs], b[kTilePairs];
  const std::int64_t first = rope.first_dim + 2 * tile.first_pair;
  read_floats(keys.source.type(), element(keys.source, from, first), keys.source.strides().head_dim,
              2 * tile.n_pairs, ab);
  for (std::int64_t i = 0; i < tile.n_pairs; ++i) {
    a[i] = ab[2 * i];
    b[i] = ab[2 * i + 1];
  }
  tile.apply(a, b);
  for (std::int64_t i = 0; i < tile.n_pairs; ++i) {
    ab[2 * i] = a[i];
    ab[2 * i + 1] = b[i];
  }
  write_floats(keys.target.type(), ab, 2 * tile.n_pairs, element(keys.target, to, first),
               keys.target.strides().head_dim);
}

void copy_elements(const KeyTensor& keys, std::byte* to, std::byte* from, std::int64_t begin,
                   std::int64_t end) noexcept {
  float values[kTilePairs];
  for (std::int64_t i = begin; i < end; i += kTilePairs) {
    const std::int64_t n = std::min(kTilePairs, end - i);
    read_floats(keys.source.type(), element(keys.source, from, i), keys.source.strides().head_dim, n, values);
    write_floats(keys.target.type(), values, n, element(keys.target, to, i), keys.target.strides().head_dim);
  }
}

template <typename Visit>
void for_each_row(const KeyTensor& keys, const TurnRun& run, const Visit& visit) noexcept {
  for (std::int64_t b = 0; b < keys.source.shape().batch; ++b) {
    for (std::int64_t h = 0; h < keys.source.shape().kv_heads; ++h) {
      for (std::int64_t row = run.row; row < run.row + run.n; ++row) {
        visit(keys.target.row(b, h, row), keys.source.row(b, h, row));
      }
    }
  }
}

void rotate_run(std::span<const KeyTensor> tensors, const PreparedRope& rope, const TurnRun& run) noexcept {
  for (std::int64_t pair = 0; pair < rope.n_pairs(); pair += kTilePairs) {
    const RotationTile tile(rope, pair, run.rotation);
    for (const KeyTensor& keys : tensors) {
      for_each_row(keys, run, [&](std::byte* to, std::byte* from) {
        if (rope.pairing == RopePairing::kNeox) {
          turn_neox(keys, to, from, rope, tile);
        } else {
          turn_norm(keys, to, from, rope, tile);
        }
      });
    }
  }
}

void copy_unrotated(std::span<const KeyTensor> tensors, const PreparedRope& rope,
                    const TurnRun& run) noexcept {
  for (const KeyTensor& keys : tensors) {
    for_each_row(keys, run, [&](std::byte* to, std::byte* from) {
      copy_elements(keys, to, from, 0, rope.first_dim);
      copy_elements(keys, to, from, rope.first_dim + 2 * rope.n_pairs(), keys.source.shape().head_dim);
    });
  }
}

/// Rotates the rows of tensors that share their positions; `in_place` leaves unrotated rows alone.
void turn_keys(std::span<const KeyTensor> tensors, const TurnWalk& rows, const PreparedRope& rope,
               bool in_place, int n_threads) {
  std::int64_t n_elements = 0;
  for (const KeyTensor& keys : tensors) n_elements += keys.source.n_elements();
  if (n_elements == 0) return;
  const std::int64_t n_rows = tensors.front().source.shape().seq;
  const std::int64_t wanted = n_threads == 0 ? usable_processors() : n_threads;
  const std::int64_t n_workers = std::clamp<std::int64_t>(n_elements / kElementsWorthThread, 1, wanted);
  run_workers(static_cast<int>(n_workers), [&](const Worker& worker) {
    TurnWalk walk = rows;
    walk.advance_to(n_rows * worker.number / worker.n_workers);
    const std::int64_t end = n_rows * (worker.number + 1) / worker.n_workers;
    for (std::int64_t row = n_rows * worker.number / worker.n_workers; row < end;) {
      const TurnRun run = walk.take(end - row);
      if (run.rotation != 0 || !in_place) rotate_run(tensors, rope, run);
      if (!in_place) copy_unrotated(tensors, rope, run);
      row += run.n;
    }
  });
}

void require_keys(const KvView& keys, const char* what) {
  if (!is_computable(keys.type())) {
    throw Error(ErrorCode::kUnsupported, std::string(what) + " of type " +
                                             std::string(to_string(keys.type())) +
                                             " cannot be rotated: f32, f16 or bf16 is needed");
  }
  if (keys.memory() != MemoryKind::kHost) {
    throw Error(ErrorCode::kUnsupported,
                std::string(what) + " in device memory cannot be rotated by the host");
  }
}

void require_positions(const KvView& keys, const KeepSet& positions) {
  if (positions.count() == keys.shape().seq) return;
  throw Error(ErrorCode::kInvalidArgument, "there are " + std::to_string(positions.count()) +
                                               " positions for " + std::to_string(keys.shape().seq) +
                                               " rows of keys");
}

void require_writable(const KvView& keys) {
  if (!keys.is_read_only()) return;
  throw Error(ErrorCode::kInvalidArgument, "the keys are read-only: they cannot be rotated in place");
}

void require_threads(int n_threads) {
  if (n_threads >= 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              "n_threads is " + std::to_string(n_threads) + ": 0 or more is needed");
}

}  // namespace

void rotate_keys(const KvView& keys, const KeepSet& from, const KeepSet& to, const RopeConfig& rope,
                 int n_threads) {
  require_threads(n_threads);
  require_keys(keys, "keys");
  require_writable(keys);
  require_positions(keys, from);
  require_positions(keys, to);
  const KeyTensor tensor{keys, keys};
  turn_keys({&tensor, 1}, TurnWalk(from, to), PreparedRope(rope, keys.shape().head_dim), true, n_threads);
}

namespace {

void turn_into(const KvView& target, const KvView& keys, const KeepSet& positions, const RopeConfig& rope,
               bool is_back, int n_threads) {
  const char* const what = is_back ? "unrotated keys" : "rotated keys";
  require_threads(n_threads);
  require_keys(keys, "keys");
  require_keys(target, what);
  require_writable(target);
  require_positions(keys, positions);
  if (target.shape() != keys.shape())
    throw Error(ErrorCode::kInvalidArgument, std::string("the ") + what + " must have the shape of the keys");
  const KvView both[] = {target, keys};
  require_disjoint(both);
  PreparedRope prepared(rope, keys.shape().head_dim);
  prepared.magnitude = is_back ? 1 / rope_magnitude(rope) : rope_magnitude(rope);
  const KeyTensor tensor{target, keys};
  turn_keys({&tensor, 1}, TurnWalk(positions, is_back), prepared, false, n_threads);
}

}  // namespace

void rotate_keys_into(const KvView& rotated, const KvView& keys, const KeepSet& positions,
                      const RopeConfig& rope, int n_threads) {
  turn_into(rotated, keys, positions, rope, false, n_threads);
}

void rotate_keys_back_into(const KvView& unrotated, const KvView& keys, const KeepSet& positions,
                           const RopeConfig& rope, int n_threads) {
  turn_into(unrotated, keys, positions, rope, true, n_threads);
}

namespace {

/// Layers whose keys rotate alike: the same history and the same width.
struct TurnGroup {
  std::shared_ptr<const RowRecord> before, after;
  PreparedRope rope;
  std::vector<KeyTensor> keys;
  std::vector<std::size_t> layers;
};

std::vector<TurnGroup> turn_groups(const DynamicCache& cache, const RopeConfig& rope) {
  std::vector<TurnGroup> groups;
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    const auto& record = CacheAccess::state(cache).layers[layer].record;
    const KvView keys = cache.k(layer);
    require_keys(keys, "keys");
    if (record->rope_pos->end() != record->n_rows) require_writable(keys);
    const auto same = [&](const TurnGroup& group) {
      return group.before == record && group.keys.front().source.shape().head_dim == keys.shape().head_dim;
    };
    auto group = std::find_if(groups.begin(), groups.end(), same);
    if (group == groups.end()) {
      groups.push_back({record,
                        std::make_shared<const RowRecord>(packed(*record)),
                        PreparedRope(rope, keys.shape().head_dim),
                        {},
                        {}});
      group = groups.end() - 1;
    }
    group->keys.push_back({keys, keys});
    group->layers.push_back(layer);
  }
  return groups;
}

}  // namespace

void rerotate(DynamicCache& cache, const RopeConfig& rope, int n_threads) {
  require_threads(n_threads);
  const std::vector<TurnGroup> groups = turn_groups(cache, rope);
  for (const TurnGroup& group : groups) {
    turn_keys(group.keys, TurnWalk(*group.before->rope_pos, *group.after->rope_pos), group.rope, true,
              n_threads);
    for (const std::size_t layer : group.layers) CacheAccess::state(cache).layers[layer].record = group.after;
  }
}

}  // namespace kvevict
