#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "kvevict/policy.h"

namespace kvevict::test {

/// What a session shows a policy that asks for keys.
struct ShownKeys {
  KeepPlan held;
  std::vector<std::vector<float>> layers;  ///< `[rows, n_heads, head_dim]`
  std::int64_t n_heads = 0, head_dim = 0;

  /// The key of a token in a layer.
  [[nodiscard]] std::vector<float> key(std::size_t layer, std::int64_t token) const {
    const std::vector<std::int64_t> tokens = held.layer(layer).to_indices();
    const auto width = static_cast<std::ptrdiff_t>(n_heads * head_dim);
    const auto row = std::find(tokens.begin(), tokens.end(), token) - tokens.begin();
    return {layers[layer].begin() + row * width, layers[layer].begin() + (row + 1) * width};
  }
};

/// A policy that looks at all keys and keeps what it was told and all that comes behind it;
/// without a bound.
class KeyProbe final : public Policy {
 public:
  explicit KeyProbe(std::optional<KeepPlan> keep = std::nullopt, bool is_rotated = false)
      : keep_(std::move(keep)), is_rotated_(is_rotated) {}

  [[nodiscard]] std::string versioned_name() const override { return "key_probe/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] std::optional<KeyRequest> key_request() const noexcept override {
    return KeyRequest{.is_rotated = is_rotated_};
  }
  [[nodiscard]] bool is_per_layer() const noexcept override { return keep_ && !keep_->is_shared(); }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return 8; }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& /*state*/) const override {
    return std::nullopt;
  }

  [[nodiscard]] KeepPlan plan(std::int64_t n_tokens_seen, PolicyState& state) const override {
    shown = {};
    if (state.keys == nullptr) return KeepPlan(KeepSet::all(n_tokens_seen));
    shown.held = state.keys->held();
    for (std::size_t l = 0; l < state.keys->n_layers(); ++l) {
      const LayerKeys keys = state.keys->layer(l);
      shown.layers.emplace_back(keys.rows.begin(), keys.rows.end());
      shown.n_heads = keys.n_heads;
      shown.head_dim = keys.head_dim;
    }
    if (!keep_) return KeepPlan(KeepSet::all(n_tokens_seen));
    KeepPlan keep = *keep_;
    keep.append(keep.in_any_layer().end(), n_tokens_seen);
    return keep;
  }

  mutable ShownKeys shown;  ///< At the last plan.

 private:
  StrategySpec spec_{};
  std::optional<KeepPlan> keep_;
  bool is_rotated_;
};

}  // namespace kvevict::test
