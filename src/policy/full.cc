#include "policy/full.h"

namespace kvevict {
namespace {

class Full final : public Policy {
 public:
  explicit Full(StrategySpec spec) : spec_(std::move(spec)) {}

  [[nodiscard]] std::string versioned_name() const override { return "full/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& /*state*/) const override {
    return KeepPlan(KeepSet::all(n_tokens_seen));
  }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& /*state*/) const override {
    return std::nullopt;
  }
  [[nodiscard]] bool keeps_all() const noexcept override { return true; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return kMaxTokens; }

 private:
  StrategySpec spec_;
};

}  // namespace

std::unique_ptr<const Policy> make_full(const StrategySpec& spec) {
  return std::make_unique<Full>(spec);
}

}  // namespace kvevict
