#include "eval/longbench_runner.h"

#include <algorithm>
#include <chrono>

#include "eval/sha256.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

SessionOptions options_for(const Policy& policy, SessionOptions options) {
  options.positions = policy.required_positions().value_or(options.positions);
  return options;
}

/// Whether `policy` keeps all of a prompt of `n_tokens` tokens.
bool keeps_all(const Policy& policy, std::int64_t n_tokens) {
  PolicyState state;
  return policy.plan(n_tokens, state).layer(0).count() == n_tokens;
}

/// Stops at the token of a new line, from the second token on.
std::function<bool(Token, std::string_view)> stop_at_newline(const Model& model) {
  const Token newline = model.tokenize("\n", false, false).back();
  return [newline, n = 0](Token token, std::string_view) mutable { return n++ == 0 || token != newline; };
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
  GenerateOptions generate{
      .max_new_tokens = n_new, .sampling = settings.sampling, .policy = std::move(policy)};
  if (settings.stops_at_newline) generate.on_token = stop_at_newline(session.model());
  const Generation answer = session.generate(generate);
  result.seconds_decode = seconds_since(start);
  result.n_generated_tokens = static_cast<std::int64_t>(answer.tokens.size());
  result.kv_bytes_peak = session.stats().kv_bytes_peak;
  result.prediction = answer.text;
  return result;
}

namespace {

const ExampleResult* find_example(const DatasetResult& dataset, const std::string& id) {
  const auto found = std::find_if(dataset.examples.begin(), dataset.examples.end(),
                                  [&](const auto& e) { return e.id == id; });
  return found == dataset.examples.end() ? nullptr : &*found;
}

/// Gives every run the job's data sets in the job's order, with what was there.
void arrange_datasets(const LongBenchJob& job, RunResult& run) {
  std::vector<DatasetResult> arranged;
  for (const DatasetJob& dataset : job.datasets) {
    const auto found = std::find_if(run.datasets.begin(), run.datasets.end(),
                                    [&](const auto& d) { return d.name == dataset.name; });
    arranged.push_back(found == run.datasets.end() ? DatasetResult{.name = dataset.name, .examples = {}}
                                                   : std::move(*found));
  }
  run.datasets = std::move(arranged);
}

/// One example by every strategy that has not answered it.
void run_example(const LongBenchJob& job, std::size_t dataset_number, const LongBenchExample& example,
                 const ExampleSettings& settings, Results& results, const ExampleDone& on_done) {
  const DatasetJob& dataset = job.datasets[dataset_number];
  std::optional<PreparedPrompt> prompt;
  for (std::size_t run = 0; run < job.policies.size(); ++run) {
    DatasetResult& done = results.runs[run].datasets[dataset_number];
    if (find_example(done, example.id) != nullptr) continue;
    if (!prompt)
      prompt = prepare_prompt(*job.model, *job.templates, *dataset.dataset, example, settings.prompt);
    ExampleResult result = answer_example(job.model, job.policies[run], *prompt, settings);
    result.id = example.id;
    result.length = example.length;
    result.answers = example.answers;
    result.all_classes = example.all_classes;
    result.score = job.scorer->score({dataset.name, result.prediction, result.answers, result.all_classes});
    results.prompts.emplace(result.prompt_sha256, prompt->text);
    done.examples.push_back(std::move(result));
    on_done(run, dataset.name, done.examples.back());
  }
}

void run_all(const LongBenchJob& job, Results& results, const ExampleDone& on_done) {
  for (std::size_t i = 0; i < job.datasets.size(); ++i) {
    ExampleSettings settings = job.settings;
    settings.prompt.n_new_tokens = job.datasets[i].max_new_tokens;
    settings.stops_at_newline = job.datasets[i].dataset->stops_at_newline;
    for (const LongBenchExample& example : job.datasets[i].examples) {
      run_example(job, i, example, settings, results, on_done);
    }
  }
}

}  // namespace

void run_longbench(const LongBenchJob& job, Results& results, const ExampleDone& on_done) {
  const auto start = Clock::now();
  std::vector<double> seconds_before;
  for (RunResult& run : results.runs) {
    arrange_datasets(job, run);
    seconds_before.push_back(run.info.seconds_total);
  }
  const auto finish = [&](const char* status) {
    for (std::size_t run = 0; run < results.runs.size(); ++run) {
      results.runs[run].info.status = status;
      results.runs[run].info.seconds_total = seconds_before[run] + seconds_since(start);
    }
  };
  const auto count_time = [&](std::size_t run, const std::string& dataset, const ExampleResult& example) {
    results.runs[run].info.seconds_total = seconds_before[run] + seconds_since(start);
    on_done(run, dataset, example);
  };
  try {
    run_all(job, results, count_time);
  } catch (const Error& error) {
    finish(error.code() == ErrorCode::kCancelled ? "interrupted" : "failed");
    throw;
  }
  finish("complete");
}

}  // namespace kvevict
