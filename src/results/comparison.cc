#include "results/comparison.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "kvevict/error.h"
#include "results/results_identity.h"
#include "results/scorer.h"

namespace kvevict::eval {
namespace {

constexpr double kGoodScore = 0.5;

using ExamplesById = std::map<std::string, const ExampleResult*>;

ExamplesById examples_of(const NamedRun& run, const std::string& dataset) {
  ExamplesById examples;
  for (const DatasetResult& d : run.run->datasets) {
    if (d.name != dataset) continue;
    for (const ExampleResult& example : d.examples) examples[example.id] = &example;
  }
  return examples;
}

/// The compared examples of a data set: `pairs[run][i]` is the i-th of them.
struct Common {
  std::string dataset;
  std::vector<std::vector<const ExampleResult*>> by_run;
};

/// In the first run's order.
std::vector<Common> common_examples(const std::vector<NamedRun>& runs, std::size_t& n_left_out) {
  std::vector<Common> all;
  std::set<std::string> ids_anywhere;
  std::size_t n_common = 0;
  for (const NamedRun& run : runs) {
    for (const DatasetResult& dataset : run.run->datasets) {
      for (const ExampleResult& example : dataset.examples)
        ids_anywhere.insert(dataset.name + "\n" + example.id);
    }
  }
  for (const DatasetResult& dataset : runs.front().run->datasets) {
    Common common{.dataset = dataset.name,
                  .by_run = std::vector<std::vector<const ExampleResult*>>(runs.size())};
    std::vector<ExamplesById> by_id;
    for (const NamedRun& run : runs) by_id.push_back(examples_of(run, dataset.name));
    for (const ExampleResult& example : dataset.examples) {
      if (!std::all_of(by_id.begin(), by_id.end(), [&](const auto& m) { return m.contains(example.id); }))
        continue;
      for (std::size_t run = 0; run < runs.size(); ++run)
        common.by_run[run].push_back(by_id[run].at(example.id));
      ++n_common;
    }
    if (!common.by_run.front().empty()) all.push_back(std::move(common));
  }
  n_left_out = ids_anywhere.size() - n_common;
  return all;
}

/// What two comparable runs have in common, as texts: the model, the prompts' templates and the data.
std::map<std::string, std::string> comparable(const NamedRun& run, const std::vector<Common>& common) {
  std::map<std::string, std::string> identity = {{"model", run.run->info.model_sha256}};
  for (const Common& c : common) {
    for (const DataInfo& data : run.file->data) {
      if (data.dataset == c.dataset) identity["data of " + c.dataset] = data.sha256;
    }
    const std::string key = "prompt_template_sha256." + c.dataset;
    const auto found = run.run->info.configuration.find(key);
    if (found != run.run->info.configuration.end()) identity[key] = found->second;
  }
  return identity;
}

[[noreturn]] void refuse(const NamedRun& first, const NamedRun& other, const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument,
              first.name + " and " + other.name + " cannot be compared: " + why +
                  "; allow different runs to compare them all the same",
              "allow_different");
}

void require_comparable(const std::vector<NamedRun>& runs, const std::vector<Common>& common) {
  for (std::size_t run = 1; run < runs.size(); ++run) {
    const auto difference = first_difference(comparable(runs[0], common), comparable(runs[run], common));
    if (difference) refuse(runs[0], runs[run], *difference);
    for (const Common& c : common) {
      for (std::size_t i = 0; i < c.by_run[0].size(); ++i) {
        if (c.by_run[0][i]->prompt_sha256 == c.by_run[run][i]->prompt_sha256) continue;
        refuse(runs[0], runs[run],
               "the prompts of " + c.dataset + " example " + c.by_run[0][i]->id + " differ");
      }
    }
  }
}

std::optional<double> speed(std::int64_t n_tokens, double seconds, bool is_shared) {
  if (is_shared || seconds <= 0) return std::nullopt;
  return static_cast<double>(n_tokens) / seconds;
}

ComparedRun figures_of(const std::vector<const ExampleResult*>& examples) {
  ComparedRun figures;
  std::int64_t n_prompt = 0, n_generated = 0;
  double seconds_prefill = 0, seconds_decode = 0;
  bool is_shared = false;
  for (const ExampleResult* e : examples) {
    figures.score += 100 * e->score;
    figures.kept_tokens += static_cast<double>(e->n_kept_tokens);
    figures.kv_bytes += static_cast<double>(e->kv_bytes_after_eviction);
    n_prompt += e->n_prompt_tokens;
    n_generated += e->n_generated_tokens;
    seconds_prefill += e->seconds_prefill;
    seconds_decode += e->seconds_decode;
    is_shared = is_shared || e->has_shared_timings();
  }
  const auto n = static_cast<double>(examples.size());
  figures.score /= n;
  figures.kept_tokens /= n;
  figures.kv_bytes /= n;
  figures.prefill_tokens_per_second = speed(n_prompt, seconds_prefill, is_shared);
  figures.decode_tokens_per_second = speed(n_generated, seconds_decode, is_shared);
  return figures;
}

/// Differences in points of `run` and the first run.
std::vector<double> differences(const Common& common, std::size_t run) {
  std::vector<double> values;
  for (std::size_t i = 0; i < common.by_run[run].size(); ++i) {
    values.push_back(100 * (common.by_run[run][i]->score - common.by_run[0][i]->score));
  }
  return values;
}

ComparedDataset compare_dataset(const Common& common, const Resampling& resampling) {
  ComparedDataset compared{.dataset = common.dataset, .n_examples = common.by_run[0].size(), .runs = {}};
  for (std::size_t run = 0; run < common.by_run.size(); ++run) {
    compared.runs.push_back(figures_of(common.by_run[run]));
    const std::vector<double> group = differences(common, run);
    if (run > 0) compared.runs.back().against_first = compare_pairs({&group, 1}, resampling);
  }
  return compared;
}

/// All data sets together: every one weighs the same in the score, every example in the other figures.
ComparedDataset compare_all(const std::vector<Common>& common, const std::vector<ComparedDataset>& each,
                            const Resampling& resampling) {
  ComparedDataset compared{.dataset = "all", .n_examples = 0, .runs = {}};
  for (const ComparedDataset& dataset : each) compared.n_examples += dataset.n_examples;
  for (std::size_t run = 0; run < common.front().by_run.size(); ++run) {
    std::vector<const ExampleResult*> examples;
    std::vector<std::vector<double>> groups;
    for (const Common& c : common) {
      examples.insert(examples.end(), c.by_run[run].begin(), c.by_run[run].end());
      groups.push_back(differences(c, run));
    }
    ComparedRun figures = figures_of(examples);
    figures.score = 0;
    for (const ComparedDataset& dataset : each)
      figures.score += dataset.runs[run].score / static_cast<double>(each.size());
    if (run > 0) figures.against_first = compare_pairs(groups, resampling);
    compared.runs.push_back(figures);
  }
  return compared;
}

void add_flips(const Common& common, std::vector<Flip>& flips) {
  for (std::size_t run = 1; run < common.by_run.size(); ++run) {
    for (std::size_t i = 0; i < common.by_run[run].size(); ++i) {
      const ExampleResult& a = *common.by_run[0][i];
      const ExampleResult& b = *common.by_run[run][i];
      if ((a.score >= kGoodScore) == (b.score >= kGoodScore)) continue;
      flips.push_back({common.dataset, a.id, run, a.score, b.score, a.prediction, b.prediction, a.answers});
    }
  }
}

}  // namespace

std::vector<NamedRun> name_runs(const std::vector<std::string>& file_names,
                                const std::vector<Results>& files) {
  std::vector<NamedRun> runs;
  std::map<std::string, int> n_named;
  for (const Results& file : files) {
    for (const RunResult& run : file.runs) ++n_named[run.info.name];
  }
  std::set<std::string> taken;
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (const RunResult& run : files[i].runs) {
      std::string name = run.info.name;
      if (n_named[name] > 1) name = std::filesystem::path(file_names[i]).stem().string() + ":" + name;
      if (taken.contains(name)) name = file_names[i] + ":" + run.info.name;
      taken.insert(name);
      runs.push_back({name, &run, &files[i]});
    }
  }
  return runs;
}

Comparison compare_runs(const std::vector<NamedRun>& runs, bool allows_different,
                        const Resampling& resampling) {
  if (runs.size() < 2) {
    throw Error(ErrorCode::kInvalidArgument,
                (runs.empty() ? "there is no run" : "there is one run") +
                    std::string(" to compare, two or more are needed: give another file"));
  }
  Comparison comparison;
  for (const NamedRun& run : runs) comparison.names.push_back(run.name);
  const std::vector<Common> common = common_examples(runs, comparison.n_left_out);
  if (common.empty())
    throw Error(
        ErrorCode::kInvalidArgument,
        "the runs have no example in common, so there is nothing to compare: give results over the same "
        "data, or files over different data sets whose runs and settings are the same");
  if (!allows_different) require_comparable(runs, common);
  for (const Common& c : common) {
    comparison.datasets.push_back(compare_dataset(c, resampling));
    add_flips(c, comparison.flips);
  }
  if (common.size() > 1) comparison.datasets.push_back(compare_all(common, comparison.datasets, resampling));
  return comparison;
}

}  // namespace kvevict::eval
