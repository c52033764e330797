#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kvevict::eval {

/// How an answer is scored; the official scorer's functions (LongBench at 2e00731, metrics.py).
enum class Metric {
  kTokenF1,           ///< qa_f1_score: English words.
  kChineseTokenF1,    ///< qa_f1_zh_score: words as jieba segments them.
  kRougeL,            ///< rouge_score: ROUGE-L's f of the package rouge.
  kChineseRougeL,     ///< rouge_zh_score: the same over the words of jieba.
  kClassification,    ///< classification_score: class names found in the answer.
  kCount,             ///< count_score: the numbers of the answer.
  kRetrieval,         ///< retrieval_score: the numbers, held against "Paragraph N".
  kChineseRetrieval,  ///< retrieval_zh_score: the numbers, held against "段落N".
  kCodeSimilarity,    ///< code_sim_score: fuzzywuzzy's ratio of the first line of code.
};

/// The metric in a word for tables: "F1", "ROUGE-L", "accuracy", "similarity".
[[nodiscard]] std::string_view metric_label(Metric metric) noexcept;

/// A data set of LongBench v1.
struct LongBenchDataset {
  std::string_view name;
  Metric metric;
  std::string_view language;  ///< "en" or "zh".
  bool uses_chat_template;    ///< LongBench's rule: chat models get their template, except for few-shot and
                              ///< code tasks.
  bool takes_first_line;      ///< Only the first line of an answer is scored.
  bool stops_at_newline;      ///< The answer ends at its first new line, and is not empty.
  bool is_in_longbench_e;     ///< Has a LongBench-E twin, `<name>_e`, scored by length.
};

/// The table of all data sets of LongBench v1: adding one is one row.
[[nodiscard]] std::span<const LongBenchDataset> longbench_datasets();

/// The row named `name`, or the row of `x` if `name` is `x_e` and `x` is in LongBench-E.
/// Throws `Error(kInvalidArgument)` that names the nearest one and lists the known ones.
[[nodiscard]] const LongBenchDataset& longbench_dataset(std::string_view name);

/// Whether `name` names a LongBench-E twin.
[[nodiscard]] bool is_longbench_e(std::string_view name);

}  // namespace kvevict::eval
