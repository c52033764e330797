// A policy of your own in the whole program: every command knows the strategy "thinning" beside its own.
//
//   08_own_policy longbench --demo_mode --strategies full,thinning:4:60:64
//   08_own_policy chat --strategy thinning:4:60:64:step=2
#include <algorithm>
#include <charconv>
#include <iostream>
#include <string>
#include <utility>

#include "cli/command_line.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"

namespace {

using kvevict::KeepPlan;
using kvevict::KeepSet;

/// The step at which the past is thinned. It only grows, also when the sequence is cut: the tokens that a
/// smaller step would keep are gone.
struct Step final : kvevict::PolicyMemory {
  explicit Step(std::int64_t step = 0) : step(step) {}
  [[nodiscard]] std::unique_ptr<PolicyMemory> clone() const override { return std::make_unique<Step>(step); }
  void trim(std::int64_t /*n_tokens*/, const KeepPlan& /*held*/) override {}
  [[nodiscard]] std::string save() const override { return std::to_string(step); }

  std::int64_t step;  // 0: no plan was made yet
};

/// The first and the last tokens, and of those between them each whose index is a multiple of a step. The
/// step doubles as soon as there would be more of these than the middle budget: multiples of the new step are
/// multiples of the old one too, so that no plan asks for a token that is gone.
class Thinning final : public kvevict::Policy {
 public:
  Thinning(kvevict::StrategySpec spec, std::int64_t first_step)
      : spec_(std::move(spec)), first_step_(first_step) {}

  [[nodiscard]] std::string versioned_name() const override { return "thinning/1"; }
  [[nodiscard]] const kvevict::StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return spec_.config.recent_tokens; }

  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const kvevict::PolicyState&) const override {
    return spec_.config.sink_tokens + spec_.config.recent_tokens + spec_.config.middle_budget_tokens;
  }

  [[nodiscard]] KeepPlan plan(std::int64_t n_seen, kvevict::PolicyState& state) const override {
    const std::int64_t begin = std::min(spec_.config.sink_tokens, n_seen);
    const std::int64_t end = std::max(begin, n_seen - spec_.config.recent_tokens);
    std::int64_t& step = kvevict::memory_in<Step>(state).step;
    if (step == 0) step = first_step_;
    const auto first = [&] { return (begin + step - 1) / step * step; };  // multiple at or behind `begin`
    const auto count = [&] { return first() < end ? (end - first() - 1) / step + 1 : 0; };
    while (count() > spec_.config.middle_budget_tokens && step <= end) step *= 2;
    KeepSet kept;
    kept.append(0, begin);
    if (count() <= spec_.config.middle_budget_tokens) {
      for (std::int64_t i = first(); i < end; i += step) kept.append(i, i + 1);
    }
    kept.append(end, n_seen);
    return KeepPlan(kept);
  }

  [[nodiscard]] std::unique_ptr<kvevict::PolicyMemory> load_memory(std::string_view text,
                                                                   std::int64_t /*layers*/) const override {
    std::int64_t step = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), step);
    if (error != std::errc() || stop != text.data() + text.size() || step < 0 ||
        step > 2 * kvevict::kMaxTokens)
      throw kvevict::Error(kvevict::ErrorCode::kBadData, "the saved step of the thinning is no number");
    return std::make_unique<Step>(step);
  }

 private:
  kvevict::StrategySpec spec_;
  std::int64_t first_step_;
};

/// The row of the registry: "thinning:sink:recent:budget:step=N".
kvevict::PolicyInfo thinning() {
  const kvevict::StrategyKey step{.name = "step",
                                  .long_name = "first_step",
                                  .help = "Thinning begins with every N-th token (1)",
                                  .least = 1,
                                  .most = 1 << 20,
                                  .otherwise = 1};
  kvevict::PolicyInfo info;
  info.name = "thinning";
  info.summary = "first and last tokens, and fewer and fewer between them";
  info.keys = {"sink", "recent", "budget", "step"};
  info.defaults = {.sink_tokens = 4, .recent_tokens = 508, .middle_budget_tokens = 512};
  info.make = [step](const kvevict::StrategySpec& spec) {
    return std::make_unique<const Thinning>(spec, step.value_of(spec));
  };
  info.own_keys = {step};
  return info;
}

}  // namespace

int main(int argc, char** argv) try {
  kvevict::register_policy(thinning());
  return kvevict::run_command_line(argc, argv);
} catch (const kvevict::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
