#include "experiments/needle.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "experiments/pass_key.h"
#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

constexpr const char* kFiller =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";
std::string text_of(std::int64_t n_filler, std::int64_t depth_percent, const std::string& key) {
  std::string text = kPassKeyInstruction;
  const std::int64_t n_before = n_filler * depth_percent / 100;
  for (std::int64_t i = 0; i < n_filler; ++i) {
    if (i == n_before) text += pass_key_sentences(key) + " ";
    text += kFiller;
  }
  if (n_before == n_filler) text += pass_key_sentences(key) + " ";
  return text + "\n" + kPassKeyQuestion + kPassKeyAnswer;
}

class NeedleRun {
 public:
  NeedleRun(const NeedleJob& job, NeedleMap& map) : job_(job), map_(map) {
    settings_.session = job.session;
    settings_.prompt.n_new_tokens = kAnswerTokens;
    for (std::size_t i = 0; i < job.strategies.size(); ++i) {
      (job.strategies[i].can_share_prefill() ? together_ : alone_).push_back(i);
    }
  }

  void ask(std::size_t length, std::size_t depth, const std::string& key) {
    const PreparedPrompt prompt = needle_prompt(*job_.model, job_.lengths[length], job_.depths[depth], key);
    if (!together_.empty()) {
      SharedPrefill shared(job_.model, job_.session, static_cast<int>(together_.size()));
      std::vector<RunStrategy> strategies;
      for (const std::size_t i : together_) strategies.push_back(job_.strategies[i]);
      const auto results = answer_together(shared, strategies, prompt, settings_);
      for (std::size_t k = 0; k < results.size(); ++k) add(together_[k], length, depth, key, results[k]);
    }
    for (const std::size_t i : alone_) {
      add(i, length, depth, key, answer_alone(job_.model, job_.strategies[i], prompt, settings_));
    }
  }

 private:
  void add(std::size_t strategy, std::size_t length, std::size_t depth, const std::string& key,
           const ExampleResult& result) {
    map_.answers.push_back({strategy, length, depth, result.n_prompt_tokens, result.n_kept_tokens, key,
                            result.prediction, result.prediction.find(key) != std::string::npos});
  }

  const NeedleJob& job_;
  NeedleMap& map_;
  ExampleSettings settings_;
  std::vector<std::size_t> together_, alone_;
};

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

PreparedPrompt needle_prompt(const Model& model, std::int64_t n_tokens, std::int64_t depth_percent,
                             const std::string& key) {
  const auto tokens_of = [&](std::int64_t n_filler) {
    return model.tokenize(text_of(n_filler, depth_percent, key), true, true);
  };
  const auto n_frame = static_cast<std::int64_t>(tokens_of(0).size());
  const auto n_each = static_cast<std::int64_t>(model.tokenize(kFiller, false, false).size());
  if (n_frame > n_tokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a passkey prompt of {} tokens is not possible: {} are needed without filler",
                            n_tokens, n_frame));
  }
  std::int64_t n_filler = (n_tokens - n_frame) / n_each + 1;
  PreparedPrompt prompt;
  do {
    prompt.tokens = tokens_of(n_filler);
  } while (static_cast<std::int64_t>(prompt.tokens.size()) > n_tokens && n_filler-- > 0);
  prompt.text = text_of(std::max<std::int64_t>(n_filler, 0), depth_percent, key);
  prompt.n_tokens_before_cut = static_cast<std::int64_t>(prompt.tokens.size());
  return prompt;
}

NeedleMap run_needle(const NeedleJob& job, const std::function<void(std::int64_t, std::int64_t)>& on_done) {
  NeedleMap map{.strategies = {}, .lengths = job.lengths, .depths = job.depths, .answers = {}};
  for (const RunStrategy& strategy : job.strategies)
    map.strategies.push_back(to_string(strategy.policy->spec()));
  NeedleRun run(job, map);
  std::mt19937_64 random(job.seed);
  for (std::size_t length = 0; length < job.lengths.size(); ++length) {
    for (std::size_t depth = 0; depth < job.depths.size(); ++depth) {
      for (std::int64_t i = 0; i < job.n_keys; ++i) {
        run.ask(length, depth, std::to_string(10000 + random() % 90000));
        on_done(job.lengths[length], job.depths[depth]);
      }
    }
  }
  return map;
}

}  // namespace kvevict::eval
