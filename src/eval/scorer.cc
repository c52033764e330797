#include "kvevict/scorer.h"

#include <algorithm>
#include <cstdlib>
#include <fmt/format.h>
#include <mutex>
#include <optional>

#include "eval/token_f1.h"
#include "kvevict/longbench_dataset.h"

namespace kvevict {

struct Scorer::Impl {
  std::filesystem::path jieba_folder;
  mutable std::once_flag once;
  mutable std::optional<WordSegmenter> segmenter;

  [[nodiscard]] const WordSegmenter& chinese() const {
    std::call_once(once, [this] { segmenter.emplace(jieba_folder); });
    return *segmenter;
  }

  [[nodiscard]] double metric(Metric metric, const std::string& prediction, const std::string& answer) const {
    switch (metric) {
      case Metric::kChineseTokenF1: return chinese_token_f1(chinese(), prediction, answer);
      case Metric::kTokenF1: break;
    }
    return english_token_f1(prediction, answer);
  }
};

Scorer::Scorer(std::filesystem::path jieba_folder) : impl_(std::make_unique<Impl>()) {
  impl_->jieba_folder = std::move(jieba_folder);
}
Scorer::~Scorer() = default;

double Scorer::score(const ScoreCase& score_case) const {
  const LongBenchDataset& dataset = longbench_dataset(score_case.dataset);
  double best = 0.0;
  for (const std::string& answer : score_case.answers) {
    best = std::max(best, impl_->metric(dataset.metric, score_case.prediction, answer));
  }
  return best;
}

double dataset_score(std::span<const double> scores) {
  double sum = 0.0;
  for (const double score : scores) sum += score;
  // Two places, correctly rounded from the exact binary value, half to even: Python's round().
  return std::strtod(fmt::format("{:.2f}", 100 * sum / static_cast<double>(scores.size())).c_str(), nullptr);
}

}  // namespace kvevict
