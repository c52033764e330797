#include "runtime/turn_snapshots.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

class TurnSnapshotsTest : public testing::Test {
 protected:
  std::shared_ptr<const Model> model = test::load_model(test::shallow_model_path());
  std::vector<Token> text = test::prose_tokens(*model, 64);
  Session session{model, make_policy("full")};

  /// Lets the session have seen `n` tokens in all.
  void go_on_to(std::size_t n) {
    const auto n_seen = static_cast<std::size_t>(session.stats().n_tokens_seen);
    session.append(std::span(text).subspan(n_seen, n - n_seen));
  }
  std::int64_t n_bytes() {
    const SessionSnapshot one = session.snapshot();
    return static_cast<std::int64_t>(one.cells.size() + one.logits.size() * sizeof(float));
  }
};

std::int64_t tokens_of(const SessionSnapshot* snapshot) {
  return snapshot == nullptr ? -1 : snapshot->n_tokens_seen;
}

TEST_F(TurnSnapshotsTest, TheLatestAreKept) {
  TurnSnapshots snapshots(2, std::int64_t{1} << 30);
  EXPECT_EQ(snapshots.latest(100), nullptr);
  for (const std::size_t n : {10U, 20U, 30U}) {
    go_on_to(n);
    snapshots.take(session);
  }
  EXPECT_EQ(tokens_of(snapshots.latest(100)), 30);
  EXPECT_EQ(tokens_of(snapshots.latest(29)), 20);
  EXPECT_EQ(snapshots.latest(19), nullptr);
  snapshots.take(session);  // the same place again
  EXPECT_EQ(tokens_of(snapshots.latest(29)), 20);
  snapshots.forget_behind(29);
  EXPECT_EQ(tokens_of(snapshots.latest(100)), 20);
  snapshots.clear();
  EXPECT_EQ(snapshots.latest(100), nullptr);
}

TEST_F(TurnSnapshotsTest, TheyAreBoundedInBytes) {
  go_on_to(10);
  const std::int64_t n_first = n_bytes();
  TurnSnapshots small(4, n_first - 1), one(4, n_first + 1);
  small.take(session);
  one.take(session);
  EXPECT_EQ(small.latest(100), nullptr);
  EXPECT_EQ(tokens_of(one.latest(100)), 10);
  TurnSnapshots two(4, 3 * n_first);
  two.take(session);
  go_on_to(20);
  two.take(session);
  EXPECT_EQ(tokens_of(two.latest(19)), 10);
  go_on_to(60);
  two.take(session);
  EXPECT_NE(tokens_of(two.latest(19)), 10);
  EXPECT_FALSE(TurnSnapshots(0, 100).are_wanted());
  EXPECT_THROW(TurnSnapshots(-1, 100), Error);
}

}  // namespace
}  // namespace kvevict
