// Which tokens would each strategy keep? Plans cost microseconds and touch no memory of the cache.
//
//   01_plan [TOKENS]
#include <cstdlib>
#include <iostream>
#include <string>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/simple_evict.h"

namespace {

/// One character for each 64th of the stream: '#' all of its tokens kept, '+' some, '.' none.
std::string picture(const kvevict::KeepSet& keep, std::int64_t n_tokens) {
  std::string line;
  for (std::int64_t i = 0; i < 64; ++i) {
    const std::int64_t begin = n_tokens * i / 64, end = n_tokens * (i + 1) / 64;
    const std::int64_t n_kept = keep.intersect(kvevict::KeepSet::from_ranges({{begin, end}})).count();
    line += n_kept == 0 ? '.' : n_kept == end - begin ? '#' : '+';
  }
  return line;
}

/// The seed of it all: a plan from a configuration, for a cache that holds every token.
void plan_once(std::int64_t n_tokens) {
  kvevict::SimpleEvictConfig config;
  config.sink_tokens = 256;
  config.recent_tokens = 512;
  config.middle_strategy = "uniform";
  config.middle_budget_tokens = 512;
  const kvevict::KeepSet keep = kvevict::build_simple_keep_token_idx(n_tokens, 128, config);
  std::cout << "of " << n_tokens << " tokens " << keep.count() << " stay:";
  for (const kvevict::TokenRange& range : keep.ranges())
    std::cout << " [" << range.begin << "," << range.end << ")";
  std::cout << "\n\n";
}

/// Policies by name, and what they keep as the stream grows: a policy's choice of the middle is
/// frozen by its first plan, for what was evicted cannot come back.
void plan_a_stream(const std::string& strategy, std::int64_t n_tokens) {
  const auto policy = kvevict::make_policy(strategy);
  kvevict::PolicyState state;
  std::cout << strategy << "\n";
  for (const std::int64_t n_seen : {n_tokens / 2, n_tokens}) {
    const kvevict::KeepPlan plan = policy->plan(n_seen, state);
    std::cout << "  " << picture(plan.layer(0), n_tokens) << "  " << plan.layer(0).count() << " of " << n_seen
              << "\n";
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::int64_t n_tokens = argc > 1 ? std::atoll(argv[1]) : 4096;
    plan_once(n_tokens);
    for (const char* strategy : {"full", "sink_recent:256:512", "sink_recent_uniform:256:512:512",
                                 "sink_recent_uniform:256:512:stride=2", "streaming_llm:4:508"}) {
      plan_a_stream(strategy, n_tokens);
    }
  } catch (const kvevict::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
