#include "eval/longbench_runner.h"

#include <chrono>

#include "eval/sha256.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

SessionOptions options_for(const Policy& policy, SessionOptions options) {
  options.positions = policy.required_positions().value_or(options.positions);
  return options;
}

/// Whether `policy` keeps all of a prompt of `n_tokens` tokens.
bool keeps_all(const Policy& policy, std::int64_t n_tokens) {
  PolicyState state;
  return policy.plan(n_tokens, state).layer(0).count() == n_tokens;
}

ExampleResult describe(const PreparedPrompt& prompt) {
  ExampleResult result;
  result.n_prompt_tokens = static_cast<std::int64_t>(prompt.tokens.size());
  result.n_prompt_tokens_before_cut = prompt.n_tokens_before_cut;
  result.is_truncated = prompt.is_truncated;
  result.used_chat_template = prompt.uses_chat_template;
  result.prompt_sha256 = sha256_hex(prompt.text);
  return result;
}

}  // namespace

ExampleResult answer_example(std::shared_ptr<const Model> model, std::shared_ptr<const Policy> policy,
                             const PreparedPrompt& prompt, const ExampleSettings& settings) {
  ExampleResult result = describe(prompt);
  const std::int64_t n_prompt = result.n_prompt_tokens;
  const std::int64_t n_new = settings.prompt.n_new_tokens;
  const std::int64_t n_upcoming = settings.first_token == FirstToken::kEvicted ? 1 : 0;
  const std::span<const Token> tokens(prompt.tokens);

  Session session(std::move(model), options_for(*policy, settings.session));
  session.reserve(keeps_all(*policy, n_prompt) ? n_prompt + n_new : n_prompt - n_upcoming);
  auto start = Clock::now();
  session.append(tokens.first(static_cast<std::size_t>(n_prompt - n_upcoming)));
  result.seconds_prefill = seconds_since(start);

  start = Clock::now();
  const EvictionReport eviction = session.evict(*policy, {.n_upcoming = n_upcoming, .n_reserve = n_new});
  result.seconds_eviction = seconds_since(start);
  result.kept_ranges = {eviction.kept};
  result.n_kept_tokens = eviction.kept.count();
  result.n_evicted_tokens = n_prompt - result.n_kept_tokens;
  result.kv_bytes_after_eviction = session.stats().kv_bytes;

  start = Clock::now();
  session.append(tokens.last(static_cast<std::size_t>(n_upcoming)));
  const Generation answer =
      session.generate({.max_new_tokens = n_new, .sampling = settings.sampling, .policy = std::move(policy)});
  result.seconds_decode = seconds_since(start);
  result.n_generated_tokens = static_cast<std::int64_t>(answer.tokens.size());
  result.kv_bytes_peak = session.stats().kv_bytes_peak;
  result.prediction = answer.text;
  return result;
}

namespace {

void run_dataset(const LongBenchJob& job, const DatasetJob& dataset, std::size_t run, Results& results,
                 const ExampleDone& on_done) {
  const std::string name(dataset.dataset->name);
  results.runs[run].datasets.push_back({.name = name, .examples = {}});
  ExampleSettings settings = job.settings;
  settings.prompt.n_new_tokens = dataset.max_new_tokens;
  for (const LongBenchExample& example : dataset.examples) {
    const PreparedPrompt prompt = prepare_prompt(*job.model, *job.templates, *dataset.dataset, example, settings.prompt);
    ExampleResult result = answer_example(job.model, job.policies[run], prompt, settings);
    result.id = example.id;
    result.length = example.length;
    result.answers = example.answers;
    result.all_classes = example.all_classes;
    result.score = job.scorer->score({name, result.prediction, result.answers, result.all_classes});
    results.prompts.emplace(result.prompt_sha256, prompt.text);
    results.runs[run].datasets.back().examples.push_back(std::move(result));
    on_done(results, results.runs[run].info.name, name, results.runs[run].datasets.back().examples.back());
  }
}

}  // namespace

void run_longbench(const LongBenchJob& job, Results& results, const ExampleDone& on_done) {
  for (std::size_t run = 0; run < job.policies.size(); ++run) {
    RunInfo& info = results.runs[run].info;
    const auto start = Clock::now();
    try {
      for (const DatasetJob& dataset : job.datasets) run_dataset(job, dataset, run, results, on_done);
      info.status = "complete";
    } catch (const Error& error) {
      info.status = error.code() == ErrorCode::kCancelled ? "interrupted" : "failed";
      info.seconds_total = seconds_since(start);
      results.runs.resize(run + 1);  // runs that never began are not reported
      throw;
    }
    info.seconds_total = seconds_since(start);
  }
}

}  // namespace kvevict
