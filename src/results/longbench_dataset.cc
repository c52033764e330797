#include "results/longbench_dataset.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

constexpr std::string_view kTwinSuffix = "_e";

/// Edits (insert, delete, replace) that turn `a` into `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

const LongBenchDataset* find_row(std::string_view name) {
  for (const LongBenchDataset& dataset : longbench_datasets()) {
    if (dataset.name == name) return &dataset;
  }
  return nullptr;
}

const LongBenchDataset* find_twin(std::string_view name) {
  if (!name.ends_with(kTwinSuffix)) return nullptr;
  const LongBenchDataset* row = find_row(name.substr(0, name.size() - kTwinSuffix.size()));
  return row != nullptr && row->is_in_longbench_e ? row : nullptr;
}

}  // namespace

std::span<const LongBenchDataset> longbench_datasets() {
  // name, metric, language, chat template, first line only, stops at a new line, in LongBench-E
  static constexpr std::array kDatasets = {
      LongBenchDataset{"narrativeqa", Metric::kTokenF1, "en", true, false, false, false},
      LongBenchDataset{"qasper", Metric::kTokenF1, "en", true, false, false, true},
      LongBenchDataset{"multifieldqa_en", Metric::kTokenF1, "en", true, false, false, true},
      LongBenchDataset{"multifieldqa_zh", Metric::kChineseTokenF1, "zh", true, false, false, false},
      LongBenchDataset{"hotpotqa", Metric::kTokenF1, "en", true, false, false, true},
      LongBenchDataset{"2wikimqa", Metric::kTokenF1, "en", true, false, false, true},
      LongBenchDataset{"musique", Metric::kTokenF1, "en", true, false, false, false},
      LongBenchDataset{"dureader", Metric::kChineseRougeL, "zh", true, false, false, false},
      LongBenchDataset{"gov_report", Metric::kRougeL, "en", true, false, false, true},
      LongBenchDataset{"qmsum", Metric::kRougeL, "en", true, false, false, false},
      LongBenchDataset{"multi_news", Metric::kRougeL, "en", true, false, false, true},
      LongBenchDataset{"vcsum", Metric::kChineseRougeL, "zh", true, false, false, false},
      LongBenchDataset{"trec", Metric::kClassification, "en", false, true, false, true},
      LongBenchDataset{"triviaqa", Metric::kTokenF1, "en", false, true, false, true},
      LongBenchDataset{"samsum", Metric::kRougeL, "en", false, true, true, true},
      LongBenchDataset{"lsht", Metric::kClassification, "zh", false, true, false, false},
      LongBenchDataset{"passage_count", Metric::kCount, "en", true, false, false, true},
      LongBenchDataset{"passage_retrieval_en", Metric::kRetrieval, "en", true, false, false, true},
      LongBenchDataset{"passage_retrieval_zh", Metric::kChineseRetrieval, "zh", true, false, false, false},
      LongBenchDataset{"lcc", Metric::kCodeSimilarity, "en", false, false, false, true},
      LongBenchDataset{"repobench-p", Metric::kCodeSimilarity, "en", false, false, false, true},
  };
  return kDatasets;
}

std::string_view metric_label(Metric metric) noexcept {
  switch (metric) {
    case Metric::kTokenF1:
    case Metric::kChineseTokenF1:
      return "F1";
    case Metric::kRougeL:
    case Metric::kChineseRougeL:
      return "ROUGE-L";
    case Metric::kClassification:
    case Metric::kCount:
    case Metric::kRetrieval:
    case Metric::kChineseRetrieval:
      return "accuracy";
    case Metric::kCodeSimilarity:
      break;
  }
  return "similarity";
}

const LongBenchDataset& longbench_dataset(std::string_view name) {
  if (const LongBenchDataset* row = find_row(name)) return *row;
  if (const LongBenchDataset* row = find_twin(name)) return *row;
  std::string known;
  const LongBenchDataset* nearest = nullptr;
  for (const LongBenchDataset& dataset : longbench_datasets()) {
    if (nearest == nullptr || edit_distance(name, dataset.name) < edit_distance(name, nearest->name))
      nearest = &dataset;
    known += (known.empty() ? "" : ", ") + std::string(dataset.name);
  }
  throw Error(ErrorCode::kInvalidArgument, "there is no data set \"" + std::string(name) +
                                               "\": the nearest is " + std::string(nearest->name) +
                                               "; known are " + known +
                                               ", and those of LongBench-E with _e behind them");
}

bool is_longbench_e(std::string_view name) {
  return find_row(name) == nullptr && find_twin(name) != nullptr;
}

}  // namespace kvevict::eval
