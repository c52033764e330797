#pragma once

#include <string>

#include "kvevict/policy.h"

namespace kvevict {

/// What sink_recent, sink_recent_uniform and streaming_llm share: `build_simple_keep_token_idx`
/// for the first plan that drops a token, then the sink, the frozen middle and the recent window;
/// in a stream, `build_ruler_keep_token_idx`.
class PositionPolicy : public Policy {
 public:
  /// `version` is the version of the rule.
  PositionPolicy(StrategySpec spec, int version);

  [[nodiscard]] std::string versioned_name() const override;
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const override;
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& state) const override;

 private:
  StrategySpec spec_;
  int version_;
};

}  // namespace kvevict
