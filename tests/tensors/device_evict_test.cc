// The same move in CUDA memory. Built with KVEVICT_CUDA=ON; skipped where there is no device.
#ifdef KVEVICT_WITH_CUDA

#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>

#include "kvevict/dynamic_cache.h"
#include "tensor_cases.h"

namespace kvevict {
namespace {

using testing::GuardedTensor;

/// A copy of a guarded tensor, guards and all, in device memory.
class DeviceTensor {
 public:
  explicit DeviceTensor(const GuardedTensor& host) : host_(host), before_(host.bytes()) {
    EXPECT_EQ(cudaMalloc(&memory_, before_.size()), cudaSuccess);
    EXPECT_EQ(cudaMemcpy(memory_, before_.data(), before_.size(), cudaMemcpyHostToDevice), cudaSuccess);
    view_ = KvView(static_cast<std::byte*>(memory_) + host.offset_of_view(), host.view().type(),
                   host.view().shape(), host.view().strides(), MemoryKind::kCuda);
  }
  ~DeviceTensor() { cudaFree(memory_); }
  DeviceTensor(const DeviceTensor&) = delete;
  DeviceTensor& operator=(const DeviceTensor&) = delete;

  [[nodiscard]] const KvView& view() const { return view_; }

  /// Kept rows are where they belong, and bytes outside the tensor as they were.
  void expect_gathered(const KeepSet& keep, const std::string& what) const {
    std::vector<std::byte> after(before_.size());
    ASSERT_EQ(cudaMemcpy(after.data(), memory_, after.size(), cudaMemcpyDeviceToHost), cudaSuccess);
    const auto kept = keep.to_indices();
    std::vector<bool> is_element(after.size(), false);
    host_.for_each_element(
        [&](std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d, const std::byte* at) {
          for (std::int64_t i = 0; i < element_bytes(view_.type()); ++i)
            is_element[host_.offset_of(at + i)] = true;
          if (t >= static_cast<std::int64_t>(kept.size())) return;
          EXPECT_TRUE(host_.holds(after, b, h, t, d, before_, kept[static_cast<std::size_t>(t)]))
              << what << " row " << t;
        });
    for (std::size_t i = 0; i < after.size(); ++i)
      ASSERT_TRUE(is_element[i] || after[i] == before_[i]) << what;
  }

 private:
  const GuardedTensor& host_;
  std::vector<std::byte> before_;
  void* memory_ = nullptr;
  KvView view_;
};

class DeviceEvictTest : public ::testing::Test {
 protected:
  void SetUp() override {
    int n_devices = 0;
    if (cudaGetDeviceCount(&n_devices) != cudaSuccess || n_devices == 0)
      GTEST_SKIP() << "there is no CUDA device here";
  }
};

void evict_on_device(const KvShape& shape, ElementType type, const std::string& order, const KeepSet& keep,
                     std::mt19937& random) {
  const GuardedTensor k(type, shape, order.c_str(), 1, "", random),
      v(type, shape, order.c_str(), 0, "s", random);
  const DeviceTensor device_k(k), device_v(v);
  cudaStream_t stream = nullptr;
  ASSERT_EQ(cudaStreamCreate(&stream), cudaSuccess);
  DynamicCache cache;
  cache.add_layer(device_k.view(), device_v.view(), shape.seq);
  evict_dynamic_cache_inplace(cache, keep, {.cuda_stream = stream});
  ASSERT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  cudaStreamDestroy(stream);
  EXPECT_EQ(cache.abs_pos(0), keep);
  device_k.expect_gathered(keep, order + " K");
  device_v.expect_gathered(keep, order + " V");
}

KeepSet random_keep(std::int64_t n_rows, std::mt19937& random) {
  std::vector<std::int64_t> kept;
  for (std::int64_t i = 0; i < n_rows; ++i) {
    if (random() % 3 != 0) kept.push_back(i);
  }
  return KeepSet::from_indices(kept);
}

TEST_F(DeviceEvictTest, EveryLayoutAndTypeEqualsAGatherByElement) {
  std::mt19937 random(51);
  for (const std::string& order : testing::all_orders()) {
    for (const ElementType type : testing::kAllTypes) {
      evict_on_device({2, 3, 70, 24}, type, order, random_keep(70, random), random);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(DeviceEvictTest, LongHeadsOverlapAndPartsApart) {
  std::mt19937 random(52);
  const KvShape shape{1, 1, 20000, 64};
  evict_on_device(shape, ElementType::kBf16, "bhsd", KeepSet::from_ranges({{0, 4}, {5, 20000}}), random);
  evict_on_device(shape, ElementType::kBf16, "bhsd", KeepSet::from_ranges({{0, 256}, {15000, 20000}}),
                  random);
  evict_on_device(shape, ElementType::kBf16, "bhsd", random_keep(20000, random), random);
  evict_on_device({1, 1, 500, 9000}, ElementType::kBf16, "bhsd", random_keep(500, random), random);
}

}  // namespace
}  // namespace kvevict

#endif
