#include "experiments/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <random>

#include "experiments/needle_text.h"
#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

/// The first `n` of the numbers below `n_all` in a drawn order.
std::vector<std::size_t> draw_different(std::size_t n, std::size_t n_all, std::mt19937_64& random) {
  std::vector<std::size_t> numbers(n_all);
  std::iota(numbers.begin(), numbers.end(), 0U);
  for (std::size_t i = 0; i < n; ++i) std::swap(numbers[i], numbers[i + random() % (n_all - i)]);
  numbers.resize(n);
  return numbers;
}

/// Draws needles and passages: the same ones for the same seed, of needles alone too if the text is another.
class NeedleDraw {
 public:
  explicit NeedleDraw(const NeedleJob& job) : job_(job), random_(job.seed), passages_(job.seed + 1) {}

  /// Needles at `depths`, of different subjects and answers.
  std::vector<Needle> needles(const std::vector<std::int64_t>& depths) {
    const NeedleKind& kind = *job_.kind;
    std::vector<std::size_t> subjects, answers;
    if (!kind.subjects.empty()) subjects = draw_different(depths.size(), kind.subjects.size(), random_);
    if (!kind.answers.empty()) answers = draw_different(depths.size(), kind.answers.size(), random_);
    std::vector<Needle> needles;
    for (std::size_t i = 0; i < depths.size(); ++i) {
      needles.push_back({.depth_percent = depths[i],
                         .subject = subjects.empty() ? "" : std::string(kind.subjects[subjects[i]]),
                         .answer = answers.empty() ? std::to_string(10000 + random_() % 90000)
                                                   : std::string(kind.answers[answers[i]])});
    }
    return needles;
  }

  Haystack haystack() {
    if (job_.texts.empty()) return {};
    const std::vector<std::string>& text = job_.texts[passages_() % job_.texts.size()];
    return {.sentences = &text, .first = passages_() % text.size()};
  }

 private:
  const NeedleJob& job_;
  std::mt19937_64 random_, passages_;
};

class NeedleRun {
 public:
  NeedleRun(const NeedleJob& job, NeedleMap& map,
            const std::function<void(std::int64_t, std::int64_t)>& on_done)
      : job_(job), map_(map), on_done_(on_done), draw_(job) {
    settings_.session = job.session;
    settings_.prompt.n_new_tokens = job.kind->n_answer_tokens;
    for (std::size_t i = 0; i < job.strategies.size(); ++i) {
      (job.strategies[i].can_share_prefill() ? together_ : alone_).push_back(i);
    }
  }

  /// A text with needles at `depths` (indices), asked for one after the other.
  void ask(std::size_t length, const std::vector<std::size_t>& depths) {
    std::vector<std::int64_t> percents;
    for (const std::size_t depth : depths) percents.push_back(job_.depths[depth]);
    const std::vector<Needle> needles = draw_.needles(percents);
    const std::vector<PreparedPrompt> prompts = needle_prompts(*job_.model, *job_.kind, draw_.haystack(),
                                                               needles, job_.lengths[length], job_.question);
    for (const std::size_t i : alone_) {
      const auto results = answer_each_alone(job_.model, job_.strategies[i], prompts, settings_);
      for (std::size_t k = 0; k < results.size(); ++k) add(i, length, depths[k], needles[k], results[k]);
    }
    std::optional<SharedPrefill> shared;
    if (!together_.empty()) shared.emplace(prefill_shared_by(job_.strategies, job_.model, job_.session));
    for (std::size_t k = 0; k < prompts.size(); ++k) {
      if (shared) answer_from(*shared, prompts[k], length, depths[k], needles[k]);
      on_done_(job_.lengths[length], job_.depths[depths[k]]);
    }
  }

 private:
  void answer_from(SharedPrefill& shared, const PreparedPrompt& prompt, std::size_t length, std::size_t depth,
                   const Needle& needle) {
    std::vector<RunStrategy> strategies;
    for (const std::size_t i : together_) strategies.push_back(job_.strategies[i]);
    const auto results = answer_together(shared, strategies, prompt, settings_);
    for (std::size_t k = 0; k < results.size(); ++k) add(together_[k], length, depth, needle, results[k]);
  }

  void add(std::size_t strategy, std::size_t length, std::size_t depth, const Needle& needle,
           const ExampleResult& result) {
    map_.answers.push_back({.strategy = strategy,
                            .length = length,
                            .depth = depth,
                            .n_prompt_tokens = result.n_prompt_tokens,
                            .n_kept_tokens = result.n_kept_tokens,
                            .subject = needle.subject,
                            .key = needle.answer,
                            .prediction = result.prediction,
                            .is_found = result.prediction.find(needle.answer) != std::string::npos});
  }

  const NeedleJob& job_;
  NeedleMap& map_;
  const std::function<void(std::int64_t, std::int64_t)>& on_done_;
  NeedleDraw draw_;
  ExampleSettings settings_;
  std::vector<std::size_t> together_, alone_;
};

void require_subjects(const NeedleJob& job) {
  const NeedleKind& kind = *job.kind;
  if (kind.subjects.empty() || job.depths.size() <= kind.subjects.size()) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{} depths are named for {}, one for each needle of a text: at most {} are possible",
                  job.depths.size(), kind.name, kind.subjects.size()),
      "depths");
}

}  // namespace

double NeedleMap::found(std::size_t strategy, std::size_t length, std::size_t depth) const {
  double n = 0;
  double n_found = 0;
  for (const NeedleAnswer& answer : answers) {
    if (answer.strategy != strategy || answer.length != length || answer.depth != depth) continue;
    ++n;
    n_found += answer.is_found ? 1 : 0;
  }
  return n > 0 ? n_found / n : 0.0;
}

NeedleMap run_needle(const NeedleJob& job, const std::function<void(std::int64_t, std::int64_t)>& on_done) {
  require_subjects(job);
  NeedleMap map{.strategies = {}, .lengths = job.lengths, .depths = job.depths, .answers = {}};
  for (const RunStrategy& strategy : job.strategies)
    map.strategies.push_back(to_string(strategy.policy->spec()));
  NeedleRun run(job, map, on_done);
  std::vector<std::size_t> depths(job.depths.size());
  std::iota(depths.begin(), depths.end(), 0U);
  const std::size_t n_together = job.kind->needles_in_text(depths.size());
  for (std::size_t length = 0; length < job.lengths.size(); ++length) {
    for (std::size_t depth = 0; depth < depths.size(); depth += n_together) {
      const std::vector<std::size_t> of_text(
          depths.begin() + static_cast<std::ptrdiff_t>(depth),
          depths.begin() + static_cast<std::ptrdiff_t>(depth + n_together));
      for (std::int64_t i = 0; i < job.n_keys; ++i) run.ask(length, of_text);
    }
  }
  return map;
}

}  // namespace kvevict::eval
