#include "experiments/tuning_race.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

namespace kvevict::eval {
namespace {

constexpr std::array kRounds = {0.25, 0.5, 1.0};  // shares of the examples; hopeless candidates go in between

/// The data sets with a share of their examples.
std::vector<DatasetJob> part_of(const std::vector<DatasetJob>& datasets, double share) {
  std::vector<DatasetJob> part = datasets;
  for (DatasetJob& dataset : part) {
    const auto n = static_cast<std::size_t>(std::ceil(share * static_cast<double>(dataset.examples.size())));
    dataset.examples.resize(std::min(n, dataset.examples.size()));
  }
  return part;
}

void give_up_hopeless(TuningRace& race, const TuningGoal& goal) {
  const std::vector<bool> hopeless = hopeless_runs(race.results.runs, goal);
  for (std::size_t i = hopeless.size(); i-- > 0;) {
    if (!hopeless[i]) continue;
    race.results.runs[i].info.status = "interrupted";
    race.given_up.push_back(std::move(race.results.runs[i]));
    race.results.runs.erase(race.results.runs.begin() + static_cast<std::ptrdiff_t>(i));
    race.job.strategies.erase(race.job.strategies.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

std::int64_t count_examples(const std::vector<DatasetJob>& datasets) {
  std::int64_t n = 0;
  for (const DatasetJob& dataset : datasets) n += static_cast<std::int64_t>(dataset.examples.size());
  return n;
}

void run_tuning_race(TuningRace& race, const std::vector<DatasetJob>& choosing, const TuningGoal& goal,
                     const RoundBegins& on_round) {
  for (const double share : kRounds) {
    race.job.datasets = part_of(choosing, share);
    if (on_round) on_round(race.job.strategies.size(), count_examples(race.job.datasets));
    run_longbench(race.job, race.results, [](std::size_t, const std::string&, const ExampleResult&) {});
    if (share < 1) give_up_hopeless(race, goal);
  }
}

}  // namespace kvevict::eval
