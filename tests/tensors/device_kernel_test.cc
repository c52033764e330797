// The CUDA kernel's own code, run on the host: a thread for each of a block's, a barrier for
// __syncthreads, block after block. It proves the plan and the kernel's arithmetic and order within a
// block (under ThreadSanitizer also that no two threads meet), not what a device makes of it.
#define KVEVICT_DEVICE_THREADS 32
#define __device__
#define __global__
#define __shared__ static
#define __launch_bounds__(n)

#include <barrier>
#include <cstdint>

namespace {
struct Index {
  unsigned int x = 0;
};
struct uint2 {
  std::uint32_t words[2];
};
struct uint4 {
  std::uint32_t words[4];
};
thread_local Index threadIdx, blockIdx;
std::barrier<>* block_barrier = nullptr;
void __syncthreads() {
  block_barrier->arrive_and_wait();
}
}  // namespace

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tensor_cases.h"
#include "tensors/device_kernel.cuh"
#include "tensors/move_tensors.h"

namespace kvevict {
namespace {

using testing::GuardedTensor;

void run_on_host(const DevicePlan& plan) {
  std::barrier<> barrier(kDeviceThreads);
  block_barrier = &barrier;
  std::vector<std::thread> threads;
  for (unsigned int number = 0; number < kDeviceThreads; ++number) {
    threads.emplace_back([&plan, &barrier, number] {
      threadIdx.x = number;
      for (std::int64_t block = 0; block < plan.n_blocks(); ++block) {
        blockIdx.x = static_cast<unsigned int>(block);
        move_kernel(plan.moves().data(), static_cast<std::int64_t>(plan.moves().size()),
                    plan.ranges().data());
        barrier.arrive_and_wait();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void expect_gathered(const GuardedTensor& tensor, const std::vector<std::byte>& before, const KeepSet& keep,
                     const std::string& what) {
  const auto kept = keep.to_indices();
  const auto after = tensor.bytes();
  tensor.for_each_element(
      [&](std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d, const std::byte*) {
        if (t >= static_cast<std::int64_t>(kept.size())) return;
        ASSERT_TRUE(tensor.holds(after, b, h, t, d, before, kept[static_cast<std::size_t>(t)]))
            << what << " row " << t;
      });
  ASSERT_TRUE(tensor.guards_hold()) << what;
}

KeepSet random_keep(std::int64_t n_rows, std::mt19937& random) {
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < n_rows; ++i) {
    if (random() % 3 != 0) kept.push_back(i);
  }
  return KeepSet::from_indices(kept);
}

TEST(DeviceKernelTest, EveryLayoutAndTypeEqualsAGatherByElementInOneLaunch) {
  std::mt19937 random(61);
  for (const std::string& order : testing::all_orders()) {
    const ElementType type = testing::kAllTypes[random() % 8];
    const KvShape shape{1 + static_cast<std::int64_t>(random() % 2), 2, 37,
                        1 + static_cast<std::int64_t>(random() % 40)};
    const GuardedTensor k(type, shape, order.c_str(), static_cast<std::int64_t>(random() % 2), "", random);
    const GuardedTensor v(ElementType::kF32, {shape.batch, 3, 37, 8}, order.c_str(), 0, "s", random);
    const KeepSet keep_k = random_keep(37, random), keep_v = random_keep(37, random);
    const auto k_before = k.bytes(), v_before = v.bytes();
    const TensorMove moves[] = {tensor_move(k.view(), keep_k), tensor_move(v.view(), keep_v)};
    run_on_host(DevicePlan(moves));
    expect_gathered(k, k_before, keep_k, order + " K");
    expect_gathered(v, v_before, keep_v, order + " V");
    if (HasFatalFailure()) return;
  }
}

void move_one(const KvShape& shape, const KeepSet& keep, std::int64_t n_parts, const std::string& what) {
  std::mt19937 random(62);
  const GuardedTensor k(ElementType::kBf16, shape, "bhsd", 0, "", random);
  const auto before = k.bytes();
  const TensorMove move = tensor_move(k.view(), keep);
  const DevicePlan plan({&move, 1});
  EXPECT_EQ(plan.moves().front().n_parts > 1, n_parts > 1) << what;
  run_on_host(plan);
  expect_gathered(k, before, keep, what);
}

TEST(DeviceKernelTest, OverlapGoesTileByTileAndRowsApartInParts) {
  std::mt19937 random(63);
  move_one({1, 1, 900, 64}, KeepSet::from_ranges({{0, 4}, {5, 900}}), 1, "one row less");
  move_one({1, 1, 900, 64}, KeepSet::from_ranges({{0, 64}, {300, 900}}), 1, "overlapping recent");
  move_one({1, 1, 900, 64}, KeepSet::from_ranges({{0, 64}, {600, 900}}), 4, "recent apart");
  move_one({1, 1, 60, 5000}, random_keep(60, random), 1, "rows longer than a slice");
}

}  // namespace
}  // namespace kvevict
