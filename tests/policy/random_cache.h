#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "kvevict/policy.h"
#include "support/plain_keys.h"

namespace kvevict {

inline constexpr std::int64_t kLayers = 6;

class Draw {
 public:
  std::int64_t operator()(std::int64_t least, std::int64_t most) {
    return std::uniform_int_distribution<std::int64_t>(least, most)(random_);
  }

 private:
  std::mt19937 random_{29};
};

/// A cache that does what the plans say, and random attention and keys for what it
/// holds.
class Cache {
 public:
  /// `n_upcoming` of the tokens are planned for and not in the cache yet.
  void see(std::int64_t n_tokens, std::int64_t n_upcoming, Draw& draw) {
    scores_.held = held_;
    scores_.held.append(n_seen_, n_tokens - n_upcoming);
    possible_ = held_;
    possible_.append(n_seen_, n_tokens);
    n_seen_ = n_tokens;
    scores_.by_layer.clear();
    std::vector<std::vector<float>> keys;
    for (std::size_t l = 0; l < kLayers; ++l) {
      scores_.by_layer.emplace_back();
      keys.emplace_back();
      for (std::int64_t i = scores_.held.layer(l).count(); i > 0; --i) {
        scores_.by_layer.back().push_back(static_cast<float>(draw(0, 50)) / 50);
        for (int e = 0; e < kHeads * kHeadDim; ++e) keys.back().push_back(static_cast<float>(draw(-3, 3)));
      }
    }
    keys_ = {scores_.held, std::move(keys), kHeads, kHeadDim};
  }

  /// What a policy may look at, told to `state`.
  void show(PolicyState& state) {
    state.scores = &scores_;
    state.keys = &keys_;
  }

  void hold(const KeepPlan& plan) { held_ = possible_.intersect(plan); }

  /// Goes back to the first `n_tokens` tokens, if the last of them is there and layers hold equally many.
  [[nodiscard]] bool cut(std::int64_t n_tokens) {
    const KeepPlan left = held_.intersect(KeepPlan(KeepSet::all(n_tokens)));
    for (std::size_t l = 0; l < kLayers; ++l) {
      if (!left.layer(l).contains(n_tokens - 1) || left.layer(l).count() != left.layer(0).count())
        return false;
    }
    held_ = left;
    n_seen_ = n_tokens;
    return true;
  }

  [[nodiscard]] const KeepPlan& held() const { return held_; }
  [[nodiscard]] const KeepPlan& possible() const { return possible_; }

 private:
  static constexpr int kHeads = 2;
  static constexpr int kHeadDim = 4;

  KeepPlan held_, possible_;
  std::int64_t n_seen_ = 0;
  TokenScores scores_;
  test::PlainKeys keys_;
};

/// A sequence: what its cache holds and what its policy remembers.
struct Stream {
  PolicyState state{};
  Cache cache{};
  std::int64_t n_seen = 0;

  /// The plan after some more tokens, which the cache follows.
  KeepPlan step(const Policy& policy, Draw& draw) {
    n_seen += draw(1, 80);
    cache.see(n_seen, draw(0, 1), draw);
    cache.show(state);
    KeepPlan plan = policy.plan(n_seen, state);
    cache.hold(plan);
    return plan;
  }
};

}  // namespace kvevict
