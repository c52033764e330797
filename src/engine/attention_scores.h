#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <span>
#include <vector>

#include "engine/flash_attention.h"
#include "engine/layered_map.h"
#include "kvevict/policy.h"

struct ggml_tensor;

namespace kvevict {

/// Adds up the attention that each cell of a context gets while llama.cpp computes. Without flash attention
/// llama.cpp's evaluation callback shows the probabilities (`kq_soft_max-<layer>`, f32 `[cells, queries,
/// heads, 1]`); with it, those of the last queries are computed from what it shows (`FlashAttentionReader`).
/// Never holds more than one row for each layer and query asked for.
/// REQUIRES: one sequence, whose slots lie in the cells 0 … n − 1 (`CellExecutor::carry_out` sees to that).
class AttentionScores {
 public:
  /// `layers`: those of the model that hold a cache; sums and arrangements are by their place in it.
  /// `n_threads`: to compute with, as of FlashAttentionReader.
  AttentionScores(ScoreRequest request, std::vector<int> layers, int n_threads = 0)
      : request_(request), numbers_(std::move(layers)), layers_(numbers_.size()), n_threads_(n_threads) {}

  /// For llama_context_params::cb_eval; `scores` is the AttentionScores. Never throws, since llama.cpp calls
  /// it: `require_sound` and `rethrow` throw afterwards.
  static bool on_tensor(ggml_tensor* tensor, bool is_question, void* scores) noexcept;

  /// Whether the batches from now on are looked at. Where the last queries alone count, those before them
  /// need not be, and cost nothing then.
  void record(bool is_recording) noexcept { is_recording_ = is_recording; }
  [[nodiscard]] bool is_recording() const noexcept { return is_recording_; }

  /// After a decode: throws what went wrong while it was looked at (kOutOfMemory, kUnsupported, kEngine).
  void rethrow() const;

  /// After a decode that left `n_cells` cells: refuses (kUnsupported) a model whose attention was not
  /// shown in every layer, or shown over other cells than those.
  void require_sound(std::size_t n_cells) const;

  /// What was shown since the last call counts from now on / is forgotten.
  void commit();
  void discard();

  /// Nothing was recorded.
  void forget() noexcept;

  /// Queries that the sums are of; of those that were asked for.
  [[nodiscard]] std::size_t n_queries() const noexcept {
    return layers_.empty() ? 0 : layers_.front().rows.size();
  }

  /// The cells were arranged anew.
  void arrange(const CellArrangement& arrangement);

  /// Of `n_before` cells those from `n_cells` on were freed, the newest tokens' ones. With every query summed
  /// (`n_last_queries` 0), what their queries gave to earlier cells stays in the sums.
  void trim(std::size_t n_before, std::size_t n_cells);

  /// The sums for cells that hold `held`, averaged over the query heads; of the last `n_last_queries` of
  /// those that were recorded. O(layers x cells).
  [[nodiscard]] TokenScores collected(KeepPlan held, int n_last_queries) const;

  [[nodiscard]] ScoreRequest request() const noexcept { return request_; }

 private:
  struct Layer {
    std::deque<std::vector<float>> rows;   // one for each query that counts; one in all for every query
    std::deque<std::vector<float>> shown;  // the same, of a decode that is not yet committed
    double row_sum = 1;                    // of the last query's probabilities
    std::size_t n_used = 0;                // one past the last cell that it gave any
    bool was_shown = false;
  };

  bool look_at(ggml_tensor* tensor, bool is_question);
  [[nodiscard]] std::size_t place_of(const ggml_tensor& tensor) const;
  void add(Layer& layer, std::span<const float> probabilities, std::size_t n_cells, std::size_t n_queries,
           std::size_t n_heads) const;

  ScoreRequest request_;
  std::vector<int> numbers_;  // of the layers, as llama.cpp counts them
  std::vector<Layer> layers_;
  std::vector<float> copied_;  // of a tensor that lies in a device's memory
  std::exception_ptr failure_;
  bool is_recording_ = true;
  int n_threads_;
  std::shared_ptr<FlashAttentionReader> flash_;  // made when first needed
};

}  // namespace kvevict
