#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "engine/layered_map.h"
#include "kvevict/policy.h"

struct ggml_tensor;

namespace kvevict {

/// Adds up the attention that each cell of a context gets while llama.cpp computes. It reads the
/// probabilities that llama.cpp's evaluation callback shows if flash attention is off (`kq_soft_max-<layer>`,
/// f32 `[cells, queries, heads, 1]`). Never holds more than one row for each layer and query asked for.
/// REQUIRES: one sequence, whose slots lie in the cells 0 … n − 1 (`CellExecutor::carry_out` sees to that).
class AttentionScores {
 public:
  /// `layers`: those of the model that hold a cache; sums and arrangements are by their place in it.
  AttentionScores(ScoreRequest request, std::vector<int> layers)
      : request_(request), numbers_(std::move(layers)), layers_(numbers_.size()) {}

  /// For llama_context_params::cb_eval; `scores` is the AttentionScores. Never throws, since llama.cpp calls
  /// it: `require_sound` and `require_memory` throw afterwards.
  static bool on_tensor(ggml_tensor* tensor, bool is_question, void* scores) noexcept;

  /// After a decode: throws kOutOfMemory if there was no memory to add up what it showed.
  void require_memory() const;

  /// After a decode that left `n_cells` cells: refuses (kUnsupported) a model whose attention was not
  /// shown in every layer, or shown over other cells than those.
  void require_sound(std::size_t n_cells) const;

  /// What was shown since the last call counts from now on / is forgotten.
  void commit();
  void discard();

  /// The cells were arranged anew.
  void arrange(const CellArrangement& arrangement);

  /// Of `n_before` cells those from `n_cells` on were freed, the newest tokens' ones. With every query summed
  /// (`n_last_queries` 0), what their queries gave to earlier cells stays in the sums.
  void trim(std::size_t n_before, std::size_t n_cells);

  /// The sums for cells that hold `held`, averaged over the query heads. O(layers x cells).
  [[nodiscard]] TokenScores collected(KeepPlan held) const;

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
  void add(Layer& layer, std::span<const float> probabilities, std::size_t n_cells, std::size_t n_queries,
           std::size_t n_heads) const;

  ScoreRequest request_;
  std::vector<int> numbers_;  // of the layers, as llama.cpp counts them
  std::vector<Layer> layers_;
  std::vector<float> copied_;  // of a tensor that lies in a device's memory
  bool is_out_of_memory_ = false;
};

}  // namespace kvevict
