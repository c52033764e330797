#include "engine/thread_count.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/environment.h"
#include "base/processors.h"
#include "engine/new_context.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

TEST(ThreadsFor, AreAllWhereNothingIsKnownOrNothingElseRuns) {
  EXPECT_EQ(threads_for(std::nullopt, 8), 8);
  EXPECT_EQ(threads_for(8.0, 8), 8);
  EXPECT_EQ(threads_for(16.0, 8), 8) << "hyperthreads are no reason for more";
}

TEST(ThreadsFor, LeaveOutWhatOthersUse) {
  EXPECT_EQ(threads_for(15.0, 16), 15);
  EXPECT_EQ(threads_for(1.33, 2), 1) << "a neighbour has its fair share of two processors";
  EXPECT_EQ(threads_for(1.0, 2), 1);
  EXPECT_EQ(threads_for(0.0, 2), 1);
}

TEST(ThreadsFor, BearABriefGuest) {
  EXPECT_EQ(threads_for(1.75, 2), 2);
  EXPECT_EQ(threads_for(15.8, 16), 16);
}

TEST(CrowdedBatchThreads, AreOneMoreThanTheCoresSoThatOpenMpLetsThemSleep) {
  EXPECT_EQ(crowded_batch_threads(1, 2, 2, true), 3);
  EXPECT_EQ(crowded_batch_threads(15, 16, 16, true), 17);
}

TEST(CrowdedBatchThreads, AreFewWhereThatWouldNotMakeThemSleep) {
  EXPECT_EQ(crowded_batch_threads(1, 2, 2, false), 1) << "threads that spin without end";
  EXPECT_EQ(crowded_batch_threads(3, 4, 8, true), 3)
      << "hyperthreads or a quota: still fewer than processors";
}

SessionOptions with_threads(int n, int n_batch) {
  SessionOptions options;
  options.n_threads = n;
  options.n_threads_batch = n_batch;
  return options;
}

TEST(ThreadCount, IsWhatWasAskedFor) {
  const ThreadCount both(with_threads(3, 5));
  EXPECT_EQ(both.n_decode(), 3);
  EXPECT_EQ(both.n_batch(), 5);
  EXPECT_FALSE(both.follows());
  const ThreadCount one(with_threads(3, 0));
  EXPECT_EQ(one.n_batch(), 3);
  EXPECT_FALSE(one.follows());
}

/// Sets $OMP_NUM_THREADS (null: takes it away) and puts it back at the end.
class OpenMpThreads {
 public:
  explicit OpenMpThreads(const char* value) : before_(environment_variable("OMP_NUM_THREADS")) { set(value); }
  ~OpenMpThreads() { set(before_.empty() ? nullptr : before_.c_str()); }
  OpenMpThreads(const OpenMpThreads&) = delete;
  OpenMpThreads& operator=(const OpenMpThreads&) = delete;

 private:
  static void set(const char* value) {
    if (value == nullptr) {
      unsetenv("OMP_NUM_THREADS");
    } else {
      setenv("OMP_NUM_THREADS", value, 1);
    }
  }
  std::string before_;
};

TEST(ThreadCount, IsThatOfOpenMpWhereTheUserSetIt) {
  for (const auto& [value, n] : {std::pair("3", 3), {"4,2", 4}, {"9999", 512}}) {
    const OpenMpThreads set(value);
    const ThreadCount threads(with_threads(0, 0));
    EXPECT_EQ(threads.n_decode(), n) << value;
    EXPECT_EQ(threads.n_batch(), n) << value;
    EXPECT_FALSE(threads.follows()) << value;
    EXPECT_EQ(ThreadCount(with_threads(5, 0)).n_decode(), 5) << value;
  }
  for (const char* value : {"", "x", "0", "-2", "2x"}) {
    const OpenMpThreads set(value);
    EXPECT_TRUE(ThreadCount(with_threads(0, 0)).follows()) << value;
  }
}

TEST(ThreadCount, FollowsTheMachineWhereNothingWasAskedFor) {
  const OpenMpThreads unset(nullptr);
  EXPECT_TRUE(ThreadCount(with_threads(0, 0)).follows());
  EXPECT_EQ(ThreadCount(with_threads(0, 0)).n_decode(), usable_cores());
  const ThreadCount decode_alone(with_threads(0, 5));
  EXPECT_TRUE(decode_alone.follows());
  EXPECT_EQ(decode_alone.n_batch(), 5);
}

TEST(ThreadCount, GoesDownAndComesBack) {
  const OpenMpThreads unset(nullptr);
  const auto model = test::load_model(test::tiny_model_path());
  const LlamaContextHandle context = make_llama_context(*model, {}, 256, 1);
  ThreadCount threads(with_threads(0, 0));
  threads.apply(context.get(), 0.4);
  EXPECT_EQ(llama_n_threads(context.get()), 1);
  // one core alone is never crowded: a thread is left to it whatever else runs
  const int n_few =
      crowded_batch_threads(1, usable_cores(), static_cast<int>(allowed_processors().size()), true);
  EXPECT_EQ(llama_n_threads_batch(context.get()), usable_cores() == 1 ? 1 : n_few);
  threads.apply(context.get(), 1024.0);
  EXPECT_EQ(llama_n_threads(context.get()), usable_cores());
  ThreadCount fixed(with_threads(2, 3));
  fixed.apply(context.get(), 0.4);
  EXPECT_EQ(llama_n_threads(context.get()), 2);
  EXPECT_EQ(llama_n_threads_batch(context.get()), 3);
}

TEST(ThreadCount, IsInTheSessionsFigures) {
  const auto model = test::load_model(test::tiny_model_path());
  Session session(model, make_policy("full"), with_threads(2, 3));
  EXPECT_EQ(session.stats().n_threads, 0);
  session.append(std::vector<Token>{1, 2, 3});
  EXPECT_EQ(session.stats().n_threads, 2);
  EXPECT_EQ(session.stats().n_threads_batch, 3);
}

TEST(ThreadCount, OutOfRangeIsRefusedByName) {
  const auto model = test::load_model(test::tiny_model_path());
  for (const auto& [options, field] : {std::pair(with_threads(-1, 0), "threads"),
                                       {with_threads(0, -1), "threads_batch"},
                                       {with_threads(0, 513), "threads_batch"}}) {
    try {
      const Session session(model, make_policy("full"), options);
      FAIL() << field;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_EQ(error.field(), field);
    }
  }
}

}  // namespace
}  // namespace kvevict
