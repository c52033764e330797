#include "base/scope_guard.h"

#include <gtest/gtest.h>

#include <new>
#include <stdexcept>

namespace kvevict {
namespace {

TEST(OnFailure, UndoesForExceptionsOfAnyTypeAndForNothingElse) {
  int n_undone = 0;
  const auto run = [&](auto throwing) {
    const OnFailure undo([&] { ++n_undone; });
    throwing();
  };
  run([] {});
  EXPECT_EQ(n_undone, 0);
  EXPECT_THROW(run([] { throw std::bad_alloc(); }), std::bad_alloc);
  EXPECT_THROW(run([] { throw 7; }), int);
  EXPECT_EQ(n_undone, 2);
}

TEST(OnFailure, AnUndoThatThrowsLeavesTheFirstExceptionUnderWay) {
  const auto run = [] {
    const OnFailure undo([] { throw std::logic_error("undo"); });
    throw std::runtime_error("first");
  };
  EXPECT_THROW(run(), std::runtime_error);
}

TEST(OnFailure, WithinAnotherExceptionsCleanUpASuccessIsASuccess) {
  bool is_undone = false;
  struct CleanUp {
    bool& is_undone;
    ~CleanUp() {
      const OnFailure undo([this] { is_undone = true; });
    }
  };
  try {
    const CleanUp clean_up{is_undone};
    throw 1;
  } catch (int) {
  }
  EXPECT_FALSE(is_undone);
}

}  // namespace
}  // namespace kvevict
