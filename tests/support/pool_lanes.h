#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "kvevict/session_pool.h"
#include "support/exact_runs.h"

namespace kvevict::test {

/// A session of a pool beside one alone to which the same is done.
struct Lane {
  std::shared_ptr<const Policy> policy;
  Session pooled;
  Session alone;
};

/// Does the same random things to sessions of a pool, together, and to sessions alone, one after the other,
/// and holds them against each other.
class PoolLanes {
 public:
  static constexpr std::int64_t kCells = 256;

  PoolLanes(std::shared_ptr<const Model> model, const SessionOptions& options,
            const std::vector<std::string>& strategies, unsigned seed)
      : model_(std::move(model)),
        options_(options),
        pool_(model_, options, {.n_sessions = static_cast<int>(strategies.size()), .n_cells = kCells}),
        random_(seed) {
    for (const std::string& strategy : strategies) {
      const auto policy = make_policy(strategy);
      lanes_.push_back({policy, pool_.open(policy), Session(model_, policy, options_)});
    }
  }

  [[nodiscard]] std::vector<Lane>& lanes() { return lanes_; }
  [[nodiscard]] SessionPool& pool() { return pool_; }

  void step() {
    switch (below(12)) {
      case 0:
      case 1:
        append_together(PrefillMode::kBounded);
        break;
      case 2:
      case 3:
        append_together(PrefillMode::kFull);
        break;
      case 4:
        evict(any());
        break;
      case 5:
        trim(any());
        break;
      case 6:
        restore(any());
        break;
      case 7:
        if (below(4) == 0) begin_anew(any());
        break;
      default:
        answer_together();
    }
  }

  void compare(const std::string& when) const {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const std::string where = when + ", session " + std::to_string(i);
      const Session& a = lanes_[i].pooled;
      const Session& b = lanes_[i].alone;
      ASSERT_EQ(a.held_by_layer(), b.held_by_layer()) << where;
      ASSERT_EQ(a.stats().n_tokens_seen, b.stats().n_tokens_seen) << where;
      ASSERT_EQ(a.count_occupied_cells(), b.count_occupied_cells()) << where;
      for (int layer = 0; layer < model_->info().n_cache_layers(); ++layer) {
        const auto l = static_cast<std::size_t>(layer);
        const auto x = a.record(l), y = b.record(l);
        ASSERT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << where;
      }
      ASSERT_EQ(a.logits().empty(), b.logits().empty()) << where;
      if (a.logits().empty()) continue;
      ASSERT_LE(most_different(a.logits(), b.logits()), 2e-4) << where;
    }
  }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<unsigned>(n)); }
  Lane& any() { return lanes_[static_cast<std::size_t>(below(static_cast<int>(lanes_.size())))]; }

  /// Whether `n` more tokens fit; else both are cleared, if they must be.
  void ensure_room(Lane& lane, std::int64_t n) {
    const SessionStats stats = lane.alone.stats();
    const bool fits = model_->info().cache_layers.empty() || stats.n_tokens_held + n <= kCells;
    if (fits && stats.n_tokens_seen + n < 500) return;
    lane.pooled.clear();
    lane.alone.clear();
  }

  std::vector<Token> some_tokens(int n) {
    std::vector<Token> tokens;
    for (int i = 0; i < n; ++i) tokens.push_back(below(model_->info().n_vocab));
    return tokens;
  }

  void append_together(PrefillMode prefill) {
    std::vector<std::vector<Token>> tokens;
    for (Lane& lane : lanes_) {
      tokens.push_back(some_tokens(below(3) == 0 ? 1 : below(40)));
      ensure_room(lane, std::ssize(tokens.back()));
    }
    std::vector<SessionTokens> all;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      const bool has_bound = lanes_[i].policy->budget_tokens({.n_layers = 1}).has_value();
      const PrefillMode mode = has_bound ? prefill : PrefillMode::kFull;
      all.push_back({&lanes_[i].pooled, tokens[i], mode});
      lanes_[i].alone.append(tokens[i], {.prefill = mode});
    }
    Session::append_each(all);
  }

  /// A token of each answer: what is most probable, with a look at one of the two alone.
  void answer_together() {
    std::vector<std::vector<Token>> tokens;
    std::vector<SessionTokens> all;
    tokens.reserve(lanes_.size());
    for (Lane& lane : lanes_) {
      const std::span<const float> logits = lane.alone.logits();
      if (logits.empty()) continue;
      ensure_room(lane, 1);
      const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
      tokens.push_back({static_cast<Token>(best)});
      EXPECT_EQ(lane.pooled.make_room(1), lane.alone.make_room(1));
      all.push_back({&lane.pooled, tokens.back()});
      lane.alone.append(tokens.back(), {.prefill = PrefillMode::kFull});
    }
    Session::append_each(all);
  }

  static std::string refusal(const std::function<void()>& call) {
    try {
      call();
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  }

  void evict(Lane& lane) {
    EXPECT_EQ(refusal([&] { lane.pooled.evict(); }), refusal([&] { lane.alone.evict(); }));
  }

  void trim(Lane& lane) {
    const std::int64_t n = std::max<std::int64_t>(0, lane.alone.stats().n_tokens_seen - below(30));
    EXPECT_EQ(refusal([&] { lane.pooled.trim(n); }), refusal([&] { lane.alone.trim(n); }));
  }

  /// Both go on from snapshots, each of the other.
  void restore(Lane& lane) {
    const SessionSnapshot of_pool = lane.pooled.snapshot();
    const SessionSnapshot of_alone = lane.alone.snapshot();
    lane.alone = Session::restore(model_, lane.policy, options_, of_pool);
    if (below(3) == 0) {  // out of the pool and back
      lane.pooled.detach();
      EXPECT_LT(pool_.n_open(), pool_.n_sessions());
      lane.pooled = pool_.restore(lane.policy, below(2) == 0 ? of_alone : lane.pooled.snapshot());
    } else {
      lane.pooled = Session(model_, lane.policy, options_);  // its place is free now
      lane.pooled = pool_.restore(lane.policy, of_alone);
    }
  }

  void begin_anew(Lane& lane) {
    lane.pooled = Session(model_, lane.policy, options_);
    lane.pooled = pool_.open(lane.policy);
    lane.alone = Session(model_, lane.policy, options_);
  }

  std::shared_ptr<const Model> model_;
  SessionOptions options_;
  SessionPool pool_;
  std::mt19937 random_;
  std::vector<Lane> lanes_;
};

}  // namespace kvevict::test
