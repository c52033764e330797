#pragma once

#include <string>

#include "kvevict/policy.h"

namespace kvevict {

/// How a policy reads attention.
struct ScoreRule {
  ScoreRequest request;
  std::int64_t pool = 1;  ///< A row counts as the highest score of so many rows around it; odd.
  int version = 1;
};

/// What h2o, snapkv and tova share. With sink S, recent R, middle budget M and N = S + R + M, of the tokens
/// that the cache holds and those to come the N highest stay: first the sink and the last R, then tokens that
/// have no score yet, then the others by score, the newest first among equals. N or fewer: all stay.
///
/// `per_layer` 0: the mean over the layers decides for all of them (tokens that only some layers hold do not
/// count); 1: each layer decides for itself, all keep equally many; 2: the same where
/// `PolicyState::layers_may_differ`, else as 0. Scores that are no finite numbers count
/// as 0. Pooling looks at the rows in front of the recent window, which are neighbours in the cache, not
/// always in the text.
///
/// Bound: N. Nested over time: only what `PolicyState::scores` says is held, and newer tokens, can stay. The
/// same rule under both schedules. Without scores (null) only N or fewer tokens can be planned for; more
/// throw `Error(kInvalidArgument)`, as do scores that do not fit what is held. O(n) for n held tokens, for
/// each layer that decides.
class ScorePolicy final : public Policy {
 public:
  ScorePolicy(StrategySpec spec, const ScoreRule& rule) : spec_(std::move(spec)), rule_(rule) {}

  [[nodiscard]] std::string versioned_name() const override {
    return spec_.name + "/" + std::to_string(rule_.version);
  }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::optional<ScoreRequest> score_request() const noexcept override { return rule_.request; }
  [[nodiscard]] bool is_per_layer() const noexcept override { return spec_.per_layer != 0; }
  [[nodiscard]] bool needs_layers_apart() const noexcept override { return spec_.per_layer == 1; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return spec_.config.recent_tokens; }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& state) const override;
  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const override;

 private:
  [[nodiscard]] KeepPlan plan_shared(const TokenScores& scores, TokenRange fresh) const;
  [[nodiscard]] KeepPlan plan_each_layer(const TokenScores& scores, TokenRange fresh) const;
  [[nodiscard]] KeepSet choose(const KeepSet& held, std::span<const float> scores, TokenRange fresh,
                               std::int64_t n_most) const;

  StrategySpec spec_;
  ScoreRule rule_;
};

}  // namespace kvevict
