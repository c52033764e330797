#pragma once

#include <memory>
#include <span>

#include "archs/difference.h"
#include "kvevict/model.h"

namespace kvevict::test {

/// One column of the table of architectures: a way to use a model, held against llama.cpp alone.
struct Column {
  const char* name;
  /// Throws the library's `Error(kUnsupported)` if it refuses the model, and `WrongResult` for another result
  /// than llama.cpp's own.
  void (*check)(const std::shared_ptr<const Model>& model, LargestDifference& difference);
};

[[nodiscard]] std::span<const Column> all_columns() noexcept;

/// By how much the eviction of the column one_shot changes the logits of llama.cpp alone, relative to the
/// largest of them: about 0 means that the comparison says nothing.
[[nodiscard]] double effect_of_eviction(const Model& model);

}  // namespace kvevict::test
