#include "kvevict/longbench_dataset.h"

#include <array>
#include <string>

#include "kvevict/error.h"

namespace kvevict {

std::span<const LongBenchDataset> longbench_datasets() {
  static constexpr std::array kDatasets = {
      LongBenchDataset{"narrativeqa", Metric::kTokenF1, "en", true},
      LongBenchDataset{"qasper", Metric::kTokenF1, "en", true},
      LongBenchDataset{"multifieldqa_en", Metric::kTokenF1, "en", true},
      LongBenchDataset{"multifieldqa_zh", Metric::kChineseTokenF1, "zh", true},
      LongBenchDataset{"hotpotqa", Metric::kTokenF1, "en", true},
      LongBenchDataset{"2wikimqa", Metric::kTokenF1, "en", true},
      LongBenchDataset{"musique", Metric::kTokenF1, "en", true},
  };
  return kDatasets;
}

const LongBenchDataset& longbench_dataset(std::string_view name) {
  std::string known;
  for (const LongBenchDataset& dataset : longbench_datasets()) {
    if (dataset.name == name) return dataset;
    known += (known.empty() ? "" : ", ") + std::string(dataset.name);
  }
  throw Error(ErrorCode::kInvalidArgument, "there is no data set \"" + std::string(name) + "\": known are " + known);
}

}  // namespace kvevict
