#pragma once

#include <algorithm>
#include <charconv>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/error.h"
#include "kvevict/registry.h"

namespace kvevict::test {

/// Where the middle ended when tokens first went; 0: none went yet.
class EveryNthMemory final : public PolicyMemory {
 public:
  explicit EveryNthMemory(std::int64_t middle_end = 0) : middle_end(middle_end) {}

  [[nodiscard]] std::unique_ptr<PolicyMemory> clone() const override {
    return std::make_unique<EveryNthMemory>(*this);
  }
  void trim(std::int64_t n_tokens, const KeepPlan& /*held*/) override {
    middle_end = std::min(middle_end, n_tokens);
  }
  [[nodiscard]] std::string save() const override { return std::to_string(middle_end); }
  [[nodiscard]] bool has_frozen() const noexcept override { return middle_end > 0; }

  std::int64_t middle_end;
};

/// A policy as a program brings its own: the first and the last tokens, and of what was between them when
/// tokens first went those whose indices are multiples of a number. In a stream the ends alone.
class EveryNth final : public Policy {
 public:
  EveryNth(StrategySpec spec, std::int64_t step) : spec_(std::move(spec)), step_(step) {}

  [[nodiscard]] std::string versioned_name() const override { return spec_.name + "/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return spec_.config.recent_tokens; }

  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const override {
    const std::int64_t sink_end = std::min(spec_.config.sink_tokens, n_tokens_seen);
    const std::int64_t recent_begin = std::max(sink_end, n_tokens_seen - spec_.config.recent_tokens);
    const KeepSet ends = KeepSet::from_ranges({{0, sink_end}, {recent_begin, n_tokens_seen}});
    if (state.schedule == Schedule::kStreaming) return KeepPlan(ends);
    auto& memory = memory_in<EveryNthMemory>(state);
    if (memory.middle_end == 0 && recent_begin > sink_end) memory.middle_end = recent_begin;
    return KeepPlan(ends.unite(middle(memory.middle_end).intersect(KeepSet::all(n_tokens_seen))));
  }

  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& state) const override {
    const std::int64_t n_ends = spec_.config.sink_tokens + spec_.config.recent_tokens;
    const auto* const memory = dynamic_cast<const EveryNthMemory*>(state.memory.get());
    if (memory != nullptr && memory->has_frozen()) return n_ends + middle(memory->middle_end).count();
    return state.schedule == Schedule::kStreaming ? std::optional(n_ends) : std::nullopt;
  }

  [[nodiscard]] std::unique_ptr<PolicyMemory> load_memory(std::string_view text,
                                                          std::int64_t /*n_layers*/) const override {
    std::int64_t middle_end = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), middle_end);
    if (error != std::errc() || stop != text.data() + text.size() || middle_end < 0)
      throw Error(ErrorCode::kBadData, "the saved end of the middle is no number");
    return std::make_unique<EveryNthMemory>(middle_end);
  }

 private:
  [[nodiscard]] KeepSet middle(std::int64_t end) const {
    std::vector<std::int64_t> indices;
    for (std::int64_t i = 0; i < end; i += step_) {
      if (i >= spec_.config.sink_tokens) indices.push_back(i);
    }
    return KeepSet::from_indices(indices);
  }

  StrategySpec spec_;
  std::int64_t step_;
};

/// Its row: a strategy `name` with a key `key` of its own, 4 if nothing says it.
[[nodiscard]] inline PolicyInfo every_nth(std::string name, std::string key) {
  const StrategyKey step{.name = key,
                         .long_name = key + "_tokens",
                         .help = "Keep the middle tokens whose indices are multiples of N (4)",
                         .least = 1,
                         .most = 1000,
                         .otherwise = 4};
  PolicyInfo info;
  info.name = std::move(name);
  info.summary = "first and last tokens, and every N-th between them";
  info.keys = {"sink", "recent", key};
  info.defaults.sink_tokens = 2;
  info.defaults.recent_tokens = 8;
  info.make = [step](const StrategySpec& spec) {
    return std::make_unique<const EveryNth>(spec, step.value_of(spec));
  };
  info.compared_at = "4:1020";
  info.own_keys = {step};
  return info;
}

}  // namespace kvevict::test
