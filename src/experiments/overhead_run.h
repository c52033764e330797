#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/longbench_runner.h"
#include "kvevict/session.h"

namespace kvevict::eval {

/// One strategy, once. Seconds; bytes.
struct OverheadSample {
  double seconds_prefill = 0;  ///< The prompt into the cache; bounded: with the evictions on the way.
  double seconds_decide = 0;   ///< Full prefill: the plan, with the attention that it asks for.
  double seconds_move = 0;     ///< Full prefill: the eviction without the plan.
  double seconds_decode = 0;   ///< The tokens behind it, with the evictions on the way.
  /// By which the process grew with context and cache: the larger of before and after the eviction.
  std::int64_t resident_bytes = 0;
  std::int64_t kv_bytes_after = 0;  ///< K and V when the decoding begins.
};

struct OverheadJob {
  std::shared_ptr<const Model> model;
  std::vector<RunStrategy> strategies;
  SessionOptions session;     ///< `positions` and `scores` come from each strategy.
  std::vector<Token> prompt;  ///< At least 2 tokens.
  std::int64_t n_new = 64;    ///< Tokens decoded behind the prompt.
  int n_rounds = 3;
};

/// Samples of llama.cpp alone, and `[strategy][round]`.
struct OverheadSamples {
  std::vector<OverheadSample> plain;
  std::vector<std::vector<OverheadSample>> strategies;
};

/// Runs llama.cpp alone and every strategy in turn, `n_rounds` times over, so that what else happens on the
/// machine meets all of them. Errors: those of Session.
[[nodiscard]] OverheadSamples run_overhead(const OverheadJob& job,
                                           const std::function<void(const std::string&)>& on_step);

/// Least and median; the lower of the two middle ones if the number is even. REQUIRES: not empty.
struct Spread {
  double least = 0;
  double median = 0;
};
[[nodiscard]] Spread spread_of(const std::vector<OverheadSample>& samples,
                               const std::function<double(const OverheadSample&)>& value);

}  // namespace kvevict::eval
