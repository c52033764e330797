#pragma once

#include <string>

#include "kvevict/policy.h"

namespace kvevict {

/// One-shot: the middle tokens that were chosen when the cache was first evicted, frozen from then on.
class FrozenMiddle final : public PolicyMemory {
 public:
  FrozenMiddle() = default;
  explicit FrozenMiddle(KeepSet tokens) : tokens(std::move(tokens)) {}

  [[nodiscard]] std::unique_ptr<PolicyMemory> clone() const override {
    return std::make_unique<FrozenMiddle>(*this);
  }
  void trim(std::int64_t n_tokens, const KeepPlan& held) override;
  [[nodiscard]] std::string save() const override { return tokens ? to_text(KeepPlan(*tokens)) : "none"; }
  [[nodiscard]] bool has_frozen() const noexcept override { return tokens.has_value(); }

  std::optional<KeepSet> tokens;
};

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
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return spec_.config.recent_tokens; }
  [[nodiscard]] std::unique_ptr<PolicyMemory> load_memory(std::string_view text,
                                                          std::int64_t n_layers) const override;

 private:
  StrategySpec spec_;
  int version_;
};

}  // namespace kvevict
