#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kvevict {

/// How an answer is scored; the official scorer's functions (LongBench, metrics.py).
enum class Metric {
  kTokenF1,         ///< qa_f1_score: English words.
  kChineseTokenF1,  ///< qa_f1_zh_score: words as jieba segments them.
};

/// A data set of LongBench v1.
struct LongBenchDataset {
  std::string_view name;
  Metric metric;
  std::string_view language;  ///< "en" or "zh".
  bool uses_chat_template;    ///< LongBench's rule: chat models get their template, except for few-shot and code tasks.
};

/// The table of all known data sets: adding one is one row.
[[nodiscard]] std::span<const LongBenchDataset> longbench_datasets();

/// The row named `name`. Throws `Error(kInvalidArgument)` that names the known ones.
[[nodiscard]] const LongBenchDataset& longbench_dataset(std::string_view name);

}  // namespace kvevict
