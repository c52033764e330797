#include "kvevict/dlpack.h"

#include <dlpack/dlpack.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "kvevict/dynamic_cache.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

/// A framework's tensor: counts how often it was given back.
struct Foreign {
  Foreign(std::vector<std::int64_t> shape_, DLDataType type, std::vector<std::int64_t> strides_ = {})
      : shape(std::move(shape_)), strides(std::move(strides_)) {
    tensor.dl_tensor = {memory.data(),
                        {kDLCPU, 0},
                        static_cast<int>(shape.size()),
                        type,
                        shape.data(),
                        strides.empty() ? nullptr : strides.data(),
                        0};
    tensor.manager_ctx = this;
    tensor.deleter = [](DLManagedTensor* self) { ++static_cast<Foreign*>(self->manager_ctx)->n_deleted; };
    std::iota(memory.begin(), memory.end(), 0.0F);
  }
  std::vector<float> memory = std::vector<float>(4096);
  std::vector<std::int64_t> shape, strides;
  DLManagedTensor tensor{};
  int n_deleted = 0;
};

constexpr DLDataType kF32{kDLFloat, 32, 1}, kU8{kDLUInt, 8, 1};

ErrorCode refused(Foreign& foreign, std::string_view axes, const DlpackReadOptions& options = {}) {
  try {
    const DlpackTensor tensor(&foreign.tensor, axes, options);
  } catch (const Error& error) {
    EXPECT_EQ(foreign.n_deleted, 0) << "a refused tensor is still the caller's";
    return error.code();
  }
  ADD_FAILURE() << "not refused";
  return ErrorCode::kIo;
}

TEST(DlpackTest, AFrameworksTensorsAreEvictedWithoutACopy) {
  Foreign k({1, 6, 2, 4}, kF32), v({1, 6, 2, 4}, kF32);
  {
    const DlpackTensor wrapped_k(&k.tensor, "bshd"), wrapped_v(&v.tensor, "bshd");
    EXPECT_EQ(wrapped_k.view().shape(), (KvShape{1, 2, 6, 4}));
    EXPECT_EQ(wrapped_k.view().strides(), (KvStrides{48, 4, 8, 1}));
    DynamicCache cache;
    cache.add_layer(wrapped_k.view(), wrapped_v.view(), 6);
    evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 1}, {4, 6}}));
    EXPECT_EQ(k.memory[8], 32.0F);
    EXPECT_EQ(v.memory[23], 47.0F);
  }
  EXPECT_EQ(k.n_deleted, 1);
  EXPECT_EQ(v.n_deleted, 1);
}

TEST(DlpackTest, AxesMayBeLeftOutStridedAndOffset) {
  Foreign foreign({6, 4}, kF32, {16, 2});
  foreign.tensor.dl_tensor.byte_offset = 40;
  DlpackTensor tensor(&foreign.tensor, "sd");
  EXPECT_EQ(tensor.view().shape(), (KvShape{1, 1, 6, 4}));
  EXPECT_EQ(tensor.view().strides().seq, 16);
  EXPECT_EQ(tensor.view().data(), reinterpret_cast<std::byte*>(foreign.memory.data() + 10));
  const DlpackTensor moved = std::move(tensor);
  EXPECT_EQ(moved.view().shape().seq, 6);
  EXPECT_EQ(foreign.n_deleted, 0);
}

TEST(DlpackTest, TypesThatDlpackCannotNameArePassedAsBytesOnRequest) {
  Foreign foreign({6, 4}, kU8);
  const DlpackTensor tensor(&foreign.tensor, "sd", {.bytes_are = ElementType::kF8E4M3});
  EXPECT_EQ(tensor.view().type(), ElementType::kF8E4M3);
  EXPECT_THROW((void)to_dlpack(tensor.view(), "sd"), Error);
  DLManagedTensor* const out = to_dlpack(tensor.view(), "sd", nullptr, {.as_bytes = true});
  EXPECT_EQ(out->dl_tensor.dtype.code, kDLUInt);
  EXPECT_EQ(out->dl_tensor.dtype.bits, 8);
  out->deleter(out);
  Foreign floats({6, 4}, kF32);
  EXPECT_EQ(refused(floats, "sd", {.bytes_are = ElementType::kBytes}), ErrorCode::kUnsupported);
  Foreign bytes({6, 4}, kU8);
  EXPECT_EQ(refused(bytes, "sd", {.bytes_are = ElementType::kF16}), ErrorCode::kUnsupported);
}

TEST(DlpackTest, WhatDoesNotFitIsRefusedAndStaysTheCallers) {
  Foreign foreign({1, 2, 6, 4}, kF32);
  for (const char* axes : {"bhs", "bhsdd", "bhhd", "bxsd", "bhd", ""}) {
    EXPECT_EQ(refused(foreign, axes), ErrorCode::kInvalidArgument) << axes;
  }
  Foreign broadcast({1, 2, 6, 4}, kF32, {48, 0, 4, 1});
  EXPECT_EQ(refused(broadcast, "bhsd"), ErrorCode::kInvalidArgument);
  Foreign negative({1, -2, 6, 4}, kF32);
  EXPECT_EQ(refused(negative, "bhsd"), ErrorCode::kInvalidArgument);
  for (const DLDataType type : {DLDataType{kDLFloat, 64, 1}, DLDataType{kDLFloat, 32, 4},
                                DLDataType{kDLInt, 32, 1}, DLDataType{kDLComplex, 64, 1}}) {
    Foreign other({1, 2, 6, 4}, type);
    EXPECT_EQ(refused(other, "bhsd"), ErrorCode::kUnsupported);
  }
  foreign.tensor.dl_tensor.device = {kDLROCM, 0};
  EXPECT_EQ(refused(foreign, "bhsd"), ErrorCode::kUnsupported);
  EXPECT_THROW(DlpackTensor(nullptr, "bhsd"), Error);
}

TEST(DlpackTest, GoesOutAndComesBackAsTheSameTensor) {
  std::vector<float> memory(2 * 3 * 5 * 4);
  const auto alive = std::make_shared<int>(7);
  for (const char* axes : {"bhsd", "bshd", "dshb"}) {
    for (const KvLayout layout : {KvLayout::kHeadsFirst, KvLayout::kSeqFirst}) {
      const KvView view(memory.data(), ElementType::kF32, {2, 3, 5, 4}, layout);
      DLManagedTensor* const out = to_dlpack(view, axes, alive);
      EXPECT_EQ(alive.use_count(), 2);
      {
        const DlpackTensor back(out, axes);
        EXPECT_EQ(back.view().shape(), view.shape());
        EXPECT_EQ(back.view().strides(), view.strides());
        EXPECT_EQ(back.view().data(), view.data());
      }
      EXPECT_EQ(alive.use_count(), 1);
    }
  }
}

TEST(DlpackTest, RefusesToGiveAwayWhatItCannotDescribe) {
  std::vector<float> memory(2 * 3 * 5 * 4);
  const KvView view(memory.data(), ElementType::kF32, {2, 3, 5, 4}, KvLayout::kHeadsFirst);
  EXPECT_THROW((void)to_dlpack(view, "hsd"), Error);
  const auto as_const = KvView::read_only(memory.data(), ElementType::kF32, view.shape(), view.strides());
  EXPECT_THROW((void)to_dlpack(as_const, "bhsd"), Error);
  Foreign foreign({6, 4}, kF32);
  const DlpackTensor read_only(&foreign.tensor, "sd", {.read_only = true});
  EXPECT_TRUE(read_only.view().is_read_only());
}

TEST(DlpackTest, DeviceMemoryKeepsItsKind) {
  Foreign foreign({6, 4}, kF32);
  foreign.tensor.dl_tensor.device = {kDLCUDA, 0};
  const DlpackTensor tensor(&foreign.tensor, "sd");
  EXPECT_EQ(tensor.view().memory(), MemoryKind::kCuda);
  DLManagedTensor* const out = to_dlpack(tensor.view(), "sd", nullptr, {.device_id = 3});
  EXPECT_EQ(out->dl_tensor.device.device_type, kDLCUDA);
  EXPECT_EQ(out->dl_tensor.device.device_id, 3);
  out->deleter(out);
}

}  // namespace
}  // namespace kvevict
