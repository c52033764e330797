#include "engine/attention_scores.h"

#include <ggml-backend.h>
#include <ggml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <new>
#include <string>
#include <string_view>

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr std::string_view kName = "kq_soft_max-";

/// The layer whose probabilities `tensor` holds, or whose flash attention it computes; -1 for any other.
int layer_of(const ggml_tensor& tensor) {
  if (const std::optional<int> layer = flash_attention_layer(tensor)) return *layer;
  const std::string_view name(ggml_get_name(&tensor));
  if (!name.starts_with(kName)) return -1;
  int layer = -1;
  const auto [end, error] = std::from_chars(name.data() + kName.size(), name.data() + name.size(), layer);
  return error == std::errc() && end == name.data() + name.size() ? layer : -1;
}

}  // namespace

bool AttentionScores::on_tensor(ggml_tensor* tensor, bool is_question, void* scores) noexcept {
  auto& self = *static_cast<AttentionScores*>(scores);
  try {
    return self.look_at(tensor, is_question);
  } catch (...) {
    self.failure_ = std::current_exception();
    return false;  // llama.cpp stops computing
  }
}

/// The place of its layer among those that hold a cache; one past them for what is of no use.
std::size_t AttentionScores::place_of(const ggml_tensor& tensor) const {
  const int layer = is_recording_ ? layer_of(tensor) : -1;
  const auto place = std::lower_bound(numbers_.begin(), numbers_.end(), layer);
  return layer < 0 || place == numbers_.end() || *place != layer
             ? numbers_.size()
             : static_cast<std::size_t>(place - numbers_.begin());
}

bool AttentionScores::look_at(ggml_tensor* tensor, bool is_question) {
  const std::size_t place = place_of(*tensor);
  if (place == layers_.size()) return !is_question;  // not wanted; or go on
  if (is_question) return true;
  if (tensor->op == GGML_OP_FLASH_ATTN_EXT) {
    const auto n_last = static_cast<std::size_t>(request_.n_last_queries);
    if (n_last == 0) return true;  // `require_sound` refuses it
    if (!flash_) flash_ = std::make_shared<FlashAttentionReader>(n_threads_);
    const FlashAttentionReader::Probabilities p = flash_->last_queries(*tensor, n_last);
    add(layers_[place], p.values, p.n_cells, p.n_queries, p.n_heads);
    return true;
  }
  if (tensor->type != GGML_TYPE_F32 || !ggml_is_contiguous(tensor) || tensor->ne[3] != 1) return true;
  const auto n = static_cast<std::size_t>(ggml_nelements(tensor));
  std::span<const float> probabilities(static_cast<const float*>(tensor->data), n);
  if (!is_in_host_memory(*tensor)) {
    copied_.resize(n);
    ggml_backend_tensor_get(tensor, copied_.data(), 0, n * sizeof(float));
    probabilities = copied_;
  }
  add(layers_[place], probabilities, static_cast<std::size_t>(tensor->ne[0]),
      static_cast<std::size_t>(tensor->ne[1]), static_cast<std::size_t>(tensor->ne[2]));
  return true;
}

void AttentionScores::add(Layer& layer, std::span<const float> probabilities, std::size_t n_cells,
                          std::size_t n_queries, std::size_t n_heads) const {
  layer.was_shown = true;
  const auto n_last = static_cast<std::size_t>(request_.n_last_queries);
  const std::size_t first = n_last == 0 || n_queries <= n_last ? 0 : n_queries - n_last;
  for (std::size_t q = first; q < n_queries; ++q) {
    if (n_last > 0 || layer.shown.empty()) layer.shown.emplace_back();
    if (n_last > 0 && layer.shown.size() > n_last) layer.shown.pop_front();
    std::vector<float>& row = layer.shown.back();
    if (row.size() < n_cells) row.resize(n_cells, 0);
    for (std::size_t h = 0; h < n_heads; ++h) {
      const float* const p = probabilities.data() + (h * n_queries + q) * n_cells;
      for (std::size_t cell = 0; cell < n_cells; ++cell) row[cell] += p[cell] / static_cast<float>(n_heads);
    }
  }
  const std::span<const float> last = probabilities.subspan((n_queries - 1) * n_cells, n_cells);
  layer.row_sum = 0;
  layer.n_used = 0;
  for (std::size_t cell = 0; cell < n_cells; ++cell) {
    layer.row_sum += last[cell];
    if (last[cell] > 0) layer.n_used = cell + 1;
  }
}

void AttentionScores::rethrow() const {
  if (!failure_) return;
  try {
    std::rethrow_exception(failure_);
  } catch (const std::bad_alloc&) {
    throw Error(ErrorCode::kOutOfMemory, "no memory for the attention of a batch");
  }
}

void AttentionScores::require_sound(std::size_t n_cells) const {
  constexpr double kMostOff = 1e-2;
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const Layer& layer = layers_[l];
    if (!layer.was_shown) {
      throw Error(ErrorCode::kUnsupported,
                  "the attention of layer " + std::to_string(l) +
                      " of this model is not shown by llama.cpp: choose a strategy that goes by position");
    }
    if (std::abs(layer.row_sum - 1) > kMostOff || layer.n_used > n_cells) {
      throw Error(ErrorCode::kUnsupported, "the attention of layer " + std::to_string(l) +
                                               " of this model does not add up to 1 over the " +
                                               std::to_string(n_cells) +
                                               " cached tokens: choose a strategy that goes by position");
    }
  }
}

void AttentionScores::commit() {
  const auto n_last = static_cast<std::size_t>(request_.n_last_queries);
  for (Layer& layer : layers_) {
    if (n_last == 0 && !layer.rows.empty() && !layer.shown.empty()) {
      std::vector<float>& sums = layer.rows.front();
      const std::vector<float>& added = layer.shown.front();
      sums.resize(std::max(sums.size(), added.size()), 0);
      for (std::size_t cell = 0; cell < added.size(); ++cell) sums[cell] += added[cell];
    } else {
      for (std::vector<float>& row : layer.shown) layer.rows.push_back(std::move(row));
      while (n_last > 0 && layer.rows.size() > n_last) layer.rows.pop_front();
    }
    layer.shown.clear();
  }
}

void AttentionScores::discard() {
  failure_ = nullptr;
  for (Layer& layer : layers_) layer.shown.clear();
}

void AttentionScores::forget() noexcept {
  for (Layer& layer : layers_) {
    layer.rows.clear();
    layer.shown.clear();
  }
}

void AttentionScores::arrange(const CellArrangement& arrangement) {
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    const std::vector<std::int32_t>& sources = arrangement.rows[arrangement.rows_of_layer[l]].source_slots;
    for (std::vector<float>& row : layers_[l].rows) {
      std::vector<float> arranged;
      arranged.reserve(sources.size());
      for (const std::int32_t slot : sources) {
        const auto from = static_cast<std::size_t>(slot);
        arranged.push_back(from < row.size() ? row[from] : 0);
      }
      row = std::move(arranged);
    }
  }
}

void AttentionScores::trim(std::size_t n_before, std::size_t n_cells) {
  for (Layer& layer : layers_) {
    if (request_.n_last_queries > 0) {  // the rows of the queries that are gone
      const std::size_t n_gone = n_before > n_cells ? n_before - n_cells : 0;
      layer.rows.resize(layer.rows.size() - std::min(n_gone, layer.rows.size()));
    }
    for (std::vector<float>& row : layer.rows) row.resize(std::min(row.size(), n_cells));
  }
}

TokenScores AttentionScores::collected(KeepPlan held, int n_last_queries) const {
  TokenScores scores{.held = std::move(held), .by_layer = {}};
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    std::vector<float>& sums =
        scores.by_layer.emplace_back(static_cast<std::size_t>(scores.held.layer(l).count()), 0.0F);
    const std::deque<std::vector<float>>& rows = layers_[l].rows;
    const auto n_last = n_last_queries == 0 ? rows.size() : static_cast<std::size_t>(n_last_queries);
    for (std::size_t r = rows.size() - std::min(n_last, rows.size()); r < rows.size(); ++r) {
      const std::vector<float>& row = rows[r];
      for (std::size_t cell = 0; cell < std::min(row.size(), sums.size()); ++cell) sums[cell] += row[cell];
    }
  }
  return scores;
}

}  // namespace kvevict
