#include "experiments/overhead_run.h"

#include <malloc.h>

#include <algorithm>

#include "base/process_info.h"
#include "base/stopwatch.h"
#include "engine/plain_llama.h"
#include "runtime/prompt_prefill.h"

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

OverheadSample sample(const OverheadJob& job, const RunStrategy& strategy) {
  OverheadSample sample;
  SessionOptions options = job.session;
  options.positions = strategy.positions;
  options.prefill = strategy.prefill;
  const std::int64_t before = settled_resident_bytes();
  Session session(job.model, strategy.policy, options);
  const PrefillReport prefill =
      prefill_prompt(session, job.prompt, {.n_new_tokens = job.n_new, .is_last = true, .on_filled = [&] {
                                             sample.resident_bytes = settled_resident_bytes() - before;
                                           }});
  sample.seconds_prefill = prefill.seconds_prefill + prefill.seconds_last;
  sample.seconds_decide = prefill.seconds_plan;
  sample.seconds_move = prefill.seconds_move;
  sample.resident_bytes = std::max(sample.resident_bytes, settled_resident_bytes() - before);
  sample.kv_bytes_after = session.stats().kv_bytes;
  const Stopwatch watch;
  static_cast<void>(session.generate({.max_new_tokens = job.n_new + 1, .stop_at_end_of_generation = false}));
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
