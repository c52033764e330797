#include "kvevict/bounded_schedule.h"

#include <gtest/gtest.h>

#include <vector>

#include "kvevict/error.h"

namespace kvevict {
namespace {

std::vector<BoundedChunk> schedule(const char* strategy, std::int64_t n_tokens, std::int64_t n_chunk) {
  std::vector<BoundedChunk> chunks;
  for_each_bounded_chunk(*make_policy(strategy), n_tokens, n_chunk, 0,
                         [&](const BoundedChunk& chunk) { chunks.push_back(chunk); });
  return chunks;
}

TEST(BoundedScheduleTest, AWorkedCase) {
  const auto chunks = schedule("sink_recent:2:3", 10, 4);
  ASSERT_EQ(chunks.size(), 3U);
  EXPECT_EQ(chunks[0].tokens, (TokenRange{0, 4}));
  EXPECT_TRUE(chunks[0].cached.layer(0).empty());
  EXPECT_EQ(chunks[1].cached.layer(0), KeepSet::all(4));  // within the budget of 5
  EXPECT_EQ(chunks[2].tokens, (TokenRange{8, 10}));
  EXPECT_EQ(chunks[2].cached.layer(0), KeepSet::from_ranges({{0, 2}, {5, 8}}));
}

TEST(BoundedScheduleTest, NeverHoldsMoreThanBudgetAndChunkAndNothingComesBack) {
  for (const char* strategy :
       {"sink_recent:4:30", "sink_recent_uniform:4:30:48:block=8", "streaming_llm:2:17", "sink_recent:0:1",
        "sink_recent_uniform:0:5:7:block=8"}) {
    const auto policy = make_policy(strategy);
    for (const std::int64_t n_chunk : {1, 7, 64}) {
      const std::int64_t bound = policy->budget_tokens({.schedule = Schedule::kStreaming}).value() + n_chunk;
      KeepSet held;
      std::int64_t n_seen = 0;
      for (const BoundedChunk& chunk : schedule(strategy, 400, n_chunk)) {
        ASSERT_EQ(chunk.tokens.begin, n_seen);
        ASSERT_LE(chunk.cached.layer(0).count() + chunk.tokens.count(), bound) << strategy;
        ASSERT_TRUE(chunk.cached.layer(0).subtract(held).empty()) << strategy << " brings a token back";
        ASSERT_TRUE(n_seen == 0 || chunk.cached.layer(0).contains(n_seen - 1)) << strategy;
        held = chunk.cached.layer(0);
        held.append(chunk.tokens.begin, chunk.tokens.end);
        n_seen = chunk.tokens.end;
      }
      EXPECT_EQ(n_seen, 400);
    }
  }
}

TEST(BoundedScheduleTest, FullNeverEvictsAndHasNoBound) {
  EXPECT_EQ(schedule("full", 100, 30).back().cached.layer(0), KeepSet::all(90));
  EXPECT_FALSE(make_policy("full")->budget_tokens({.schedule = Schedule::kStreaming}).has_value());
  EXPECT_TRUE(make_policy("full")->keeps_all());
  EXPECT_NO_THROW(require_bound(*make_policy("full"), 30));
}

/// The newest token of so many alone, once it is asked.
class EvictsWhenAsked final : public Policy {
 public:
  [[nodiscard]] std::string versioned_name() const override { return "evicts_when_asked/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] KeepPlan plan(std::int64_t n, PolicyState&) const override {
    return KeepPlan(KeepSet::from_ranges({{n - 1, n}}));
  }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState&) const override {
    return std::nullopt;
  }

 private:
  StrategySpec spec_;
};

TEST(BoundedScheduleTest, ABoundIsRequiredOfAPolicyThatDropsTokens) {
  EXPECT_THROW(require_bound(EvictsWhenAsked(), 30), Error);
  EXPECT_THROW(require_bound(*make_policy("sink_recent_uniform:2:3:stride=2"), 30), Error);
  for (const char* strategy : {"full", "sink_recent:2:3", "sink_recent_uniform:2:3:4", "ladder", "h2o"})
    EXPECT_NO_THROW(require_bound(*make_policy(strategy), 30)) << strategy;
}

TEST(BoundedScheduleTest, RefusesWhatHasNoBound) {
  EXPECT_THROW(schedule("sink_recent_uniform:2:3:stride=2", 10, 4), Error);
  EXPECT_THROW(schedule("sink_recent:2:3", 10, 0), Error);
  EXPECT_THROW(schedule("sink_recent:2:3", -1, 4), Error);
}

}  // namespace
}  // namespace kvevict
