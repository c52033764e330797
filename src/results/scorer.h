#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace kvevict::eval {

/// An answer and what it is held against.
struct ScoreCase {
  std::string dataset;  ///< A name of `longbench_datasets()`.
  std::string prediction;
  std::vector<std::string> answers;
  std::vector<std::string> all_classes;  ///< Labels of classification sets; else empty.
};

/// The official per-example score of LongBench v1: the best metric over the answers, 0 … 1.
/// Thread safety: const members may be called from several threads.
class Scorer {
 public:
  /// `jieba_folder` holds jieba's tables (data/jieba); read once, when a Chinese score first needs it.
  explicit Scorer(std::filesystem::path jieba_folder);
  ~Scorer();
  Scorer(const Scorer&) = delete;
  Scorer& operator=(const Scorer&) = delete;

  /// 0 if there is no answer. Errors: kInvalidArgument for an unknown data set; kBadData for a
  /// retrieval answer that names no paragraph; those of WordSegmenter when its tables are read.
  [[nodiscard]] double score(const ScoreCase& score_case) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// A data set's score: round(100 · sum / n, 2) as Python rounds the exact binary value, half to
/// even. REQUIRES: scores is not empty.
[[nodiscard]] double dataset_score(std::span<const double> scores);

/// An example's length (the data set's field: words or characters) and its score.
struct LengthScore {
  std::int64_t length = 0;
  double score = 0;
};

/// LongBench-E's scores by length: below 4,000, below 8,000, and longer. Nothing for an empty bucket,
/// if the official scorer says NaN.
struct LengthScores {
  std::optional<double> up_to_4k, up_to_8k, longer;
};

/// round(100 · mean, 2) for each bucket, as numpy adds (pairwise) and rounds (scaled, half to even).
[[nodiscard]] LengthScores longbench_e_scores(std::span<const LengthScore> scores);

}  // namespace kvevict::eval
