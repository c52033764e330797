#include "http/connection_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace kvevict::http {
namespace {

TEST(ConnectionThreads, ThoseThatTakeTheirTimeKeepNoOtherWaiting) {
  ConnectionThreads threads(64);
  std::promise<void> end;
  const std::shared_future<void> ended(end.get_future());
  for (int i = 0; i < 50; ++i) threads.enqueue([ended] { ended.wait(); });
  std::promise<void> quick;
  threads.enqueue([&] { quick.set_value(); });
  quick.get_future().wait();
  EXPECT_EQ(threads.n_threads(), 51U);
  end.set_value();
  threads.shutdown();
}

TEST(ConnectionThreads, BeyondTheMostTheyWaitAndAllAreServed) {
  ConnectionThreads threads(3);
  std::atomic<int> n_at_once = 0, n_most = 0, n_served = 0;
  for (int i = 0; i < 200; ++i) {
    threads.enqueue([&] {
      const int n = ++n_at_once;
      for (int most = n_most; n > most && !n_most.compare_exchange_weak(most, n);) {
      }
      ++n_served;
      --n_at_once;
    });
  }
  threads.shutdown();
  EXPECT_EQ(n_served, 200);
  EXPECT_LE(n_most, 3);
  EXPECT_LE(threads.n_threads(), 3U);
}

TEST(ConnectionThreads, OneThatWaitsTakesTheNextConnection) {
  ConnectionThreads threads(64);
  for (int i = 0; i < 100; ++i) {
    std::promise<void> done;
    threads.enqueue([&] { done.set_value(); });
    done.get_future().wait();
  }
  EXPECT_LT(threads.n_threads(), 64U);
  threads.shutdown();
}

}  // namespace
}  // namespace kvevict::http
