#include "results/scorer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <optional>

#include "results/code_similarity.h"
#include "results/label_scores.h"
#include "results/longbench_dataset.h"
#include "results/rouge_l.h"
#include "results/token_f1.h"

namespace kvevict::eval {

struct Scorer::Impl {
  std::filesystem::path jieba_folder;
  mutable std::once_flag once;
  mutable std::optional<WordSegmenter> segmenter;

  [[nodiscard]] const WordSegmenter& chinese() const {
    std::call_once(once, [this] { segmenter.emplace(jieba_folder); });
    return *segmenter;
  }

  [[nodiscard]] double metric(Metric metric, const ScoreCase& c, std::string_view prediction,
                              const std::string& answer) const {
    switch (metric) {
      case Metric::kChineseTokenF1:
        return chinese_token_f1(chinese(), prediction, answer);
      case Metric::kRougeL:
        return english_rouge_l(prediction, answer);
      case Metric::kChineseRougeL:
        return chinese_rouge_l(chinese(), prediction, answer);
      case Metric::kClassification:
        return classification_score(prediction, answer, c.all_classes);
      case Metric::kCount:
        return count_score(prediction, answer);
      case Metric::kRetrieval:
        return retrieval_score(prediction, answer, "Paragraph ");
      case Metric::kChineseRetrieval:
        return retrieval_score(prediction, answer, "段落");
      case Metric::kCodeSimilarity:
        return code_similarity(prediction, answer);
      case Metric::kTokenF1:
        break;
    }
    return english_token_f1(prediction, answer);
  }
};

namespace {

/// prediction.lstrip("\n").split("\n")[0]
std::string_view first_line(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
  return text.substr(0, text.find('\n'));
}

/// numpy's sum of float64: pairwise, eight sums side by side in blocks of at most 128.
double pairwise_sum(std::span<const double> values) {
  constexpr std::size_t kLanes = 8;
  constexpr std::size_t kBlock = 128;
  const std::size_t n = values.size();
  if (n > kBlock) {
    const std::size_t half = n / 2 - n / 2 % kLanes;
    return pairwise_sum(values.first(half)) + pairwise_sum(values.subspan(half));
  }
  double sum = 0.0;
  std::size_t i = 0;
  if (n >= kLanes) {
    std::array<double, kLanes> s{};
    for (; i + kLanes <= n; i += kLanes) {
      for (std::size_t lane = 0; lane < kLanes; ++lane) s[lane] += values[i + lane];
    }
    sum = ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
  }
  for (; i < n; ++i) sum += values[i];
  return sum;
}

/// round(100 * numpy.mean(scores), 2) as numpy rounds: scaled, to even, scaled back.
std::optional<double> bucket_score(const std::vector<double>& scores) {
  if (scores.empty()) return std::nullopt;
  const double mean = pairwise_sum(scores) / static_cast<double>(scores.size());
  return std::nearbyint(100 * mean * 100) / 100;
}

}  // namespace

Scorer::Scorer(std::filesystem::path jieba_folder) : impl_(std::make_unique<Impl>()) {
  impl_->jieba_folder = std::move(jieba_folder);
}
Scorer::~Scorer() = default;

double Scorer::score(const ScoreCase& score_case) const {
  const LongBenchDataset& dataset = longbench_dataset(score_case.dataset);
  const std::string_view all(score_case.prediction);
  const std::string_view prediction = dataset.takes_first_line ? first_line(all) : all;
  double best = 0.0;
  for (const std::string& answer : score_case.answers) {
    best = std::max(best, impl_->metric(dataset.metric, score_case, prediction, answer));
  }
  return best;
}

double dataset_score(std::span<const double> scores) {
  double sum = 0.0;
  for (const double score : scores) sum += score;
  // Two places, correctly rounded from the exact binary value, half to even: Python's round().
  return std::strtod(fmt::format("{:.2f}", 100 * sum / static_cast<double>(scores.size())).c_str(), nullptr);
}

LengthScores longbench_e_scores(std::span<const LengthScore> scores) {
  std::vector<double> shorter, middle, longer;
  for (const LengthScore& s : scores)
    (s.length < 4000 ? shorter : s.length < 8000 ? middle : longer).push_back(s.score);
  return {bucket_score(shorter), bucket_score(middle), bucket_score(longer)};
}

}  // namespace kvevict::eval
