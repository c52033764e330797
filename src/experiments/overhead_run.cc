#include "experiments/overhead_run.h"

#include <malloc.h>

#include <algorithm>

#include "base/process_info.h"
#include "base/stopwatch.h"
#include "engine/plain_llama.h"

namespace kvevict::eval {
namespace {

/// Resident memory with what earlier runs freed given back.
std::int64_t settled_resident_bytes() {
  malloc_trim(0);
  return resident_bytes();
}

OverheadSample sample_plain(const OverheadJob& job) {
  const std::int64_t before = settled_resident_bytes();
  std::int64_t bytes = 0;
  const PlainTimes times = time_plain_llama(job.model, job.session, job.prompt, job.n_new,
                                            [&] { bytes = settled_resident_bytes() - before; });
  return {.seconds_prefill = times.seconds_prefill,
          .seconds_decode = times.seconds_decode,
          .resident_bytes = bytes};
}

/// Whether nothing has to go until the last new token.
bool keeps_all(const OverheadJob& job, const Policy& policy) {
  const auto budget = policy.budget_tokens({.n_layers = job.model->info().n_layers});
  return !budget || static_cast<std::int64_t>(job.prompt.size()) + job.n_new <= *budget;
}

void prefill_in_full(Session& session, const OverheadJob& job, const Policy& policy,
                     std::int64_t bytes_before, OverheadSample& sample) {
  const auto n_first = job.prompt.size() - 1;
  session.reserve(static_cast<std::int64_t>(job.prompt.size()) + (keeps_all(job, policy) ? job.n_new : 0));
  Stopwatch watch;
  session.append(std::span(job.prompt).first(n_first));
  sample.seconds_prefill = watch.seconds();
  sample.resident_bytes = settled_resident_bytes() - bytes_before;
  const EvictionReport report = session.evict(policy, {.n_upcoming = 1, .n_reserve = job.n_new});
  sample.seconds_decide = report.seconds_plan;
  sample.seconds_move = report.seconds_move;
  watch.restart();
  session.append(std::span(job.prompt).subspan(n_first));
  sample.seconds_prefill += watch.seconds();
}

OverheadSample sample(const OverheadJob& job, const RunStrategy& strategy) {
  OverheadSample sample;
  SessionOptions options = job.session;
  options.positions = strategy.positions;
  const std::int64_t before = settled_resident_bytes();
  Session session(job.model, options_for(*strategy.policy, options));
  session.make_room(*strategy.policy, 0);  // checks the session before the clock runs
  if (strategy.prefill == PrefillMode::kFull) {
    prefill_in_full(session, job, *strategy.policy, before, sample);
  } else {
    const std::int64_t n_all = static_cast<std::int64_t>(job.prompt.size()) + job.n_new;
    const auto n_most = most_tokens_held(*strategy.policy, options, job.model->info().n_layers);
    session.reserve(keeps_all(job, *strategy.policy) ? n_all : std::min(n_all, n_most.value_or(n_all)));
    const Stopwatch watch;
    session.append(job.prompt, {.policy = strategy.policy});
    sample.seconds_prefill = watch.seconds();
  }
  sample.resident_bytes = std::max(sample.resident_bytes, settled_resident_bytes() - before);
  sample.kv_bytes_after = session.stats().kv_bytes;
  const Stopwatch watch;
  static_cast<void>(session.generate(
      {.max_new_tokens = job.n_new + 1, .policy = strategy.policy, .stop_at_end_of_generation = false}));
  sample.seconds_decode = watch.seconds();
  return sample;
}

}  // namespace

OverheadSamples run_overhead(const OverheadJob& job, const std::function<void(const std::string&)>& on_step) {
  OverheadSamples samples;
  samples.strategies.resize(job.strategies.size());
  for (int round = 0; round < job.n_rounds; ++round) {
    on_step("llama.cpp alone");
    samples.plain.push_back(sample_plain(job));
    for (std::size_t i = 0; i < job.strategies.size(); ++i) {
      on_step(to_string(job.strategies[i].policy->spec()));
      samples.strategies[i].push_back(sample(job, job.strategies[i]));
    }
  }
  return samples;
}

Spread spread_of(const std::vector<OverheadSample>& samples,
                 const std::function<double(const OverheadSample&)>& value) {
  std::vector<double> values;
  for (const OverheadSample& s : samples) values.push_back(value(s));
  std::sort(values.begin(), values.end());
  return {.least = values.front(), .median = values[(values.size() - 1) / 2]};
}

}  // namespace kvevict::eval
