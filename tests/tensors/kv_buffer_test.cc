#include "kvevict/kv_buffer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <type_traits>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

static_assert(!std::is_copy_constructible_v<KvBuffer> && !std::is_copy_assignable_v<KvBuffer>,
              "K/V is never copied by accident");

template <typename Buffer>
concept GivesAView = requires(Buffer&& buffer) {
  std::forward<Buffer>(buffer).view();
};
static_assert(GivesAView<KvBuffer&> && GivesAView<const KvBuffer&>);
static_assert(!GivesAView<KvBuffer> && !GivesAView<const KvBuffer>, "a view of a temporary would dangle");

std::int32_t value_of(std::int64_t batch, std::int64_t head, std::int64_t token, std::int64_t d) {
  return static_cast<std::int32_t>(((batch * 7 + head) * 10007 + token) * 31 + d);
}

void fill(const KvView& view, std::int64_t n_rows) {
  for (std::int64_t b = 0; b < view.shape().batch; ++b) {
    for (std::int64_t h = 0; h < view.shape().kv_heads; ++h) {
      for (std::int64_t t = 0; t < n_rows; ++t) {
        for (std::int64_t d = 0; d < view.shape().head_dim; ++d) {
          const std::int32_t value = value_of(b, h, t, d);
          std::memcpy(view.row(b, h, t) + 4 * d, &value, 4);
        }
      }
    }
  }
}

void expect_filled(const KvView& view, std::int64_t n_rows) {
  for (std::int64_t b = 0; b < view.shape().batch; ++b) {
    for (std::int64_t h = 0; h < view.shape().kv_heads; ++h) {
      for (std::int64_t t = 0; t < n_rows; ++t) {
        for (std::int64_t d = 0; d < view.shape().head_dim; ++d) {
          std::int32_t value = 0;
          std::memcpy(&value, view.row(b, h, t) + 4 * d, 4);
          ASSERT_EQ(value, value_of(b, h, t, d)) << b << " " << h << " " << t << " " << d;
        }
      }
    }
  }
}

class KvBufferLayoutTest : public ::testing::TestWithParam<KvLayout> {};
INSTANTIATE_TEST_SUITE_P(Layouts, KvBufferLayoutTest,
                         ::testing::Values(KvLayout::kHeadsFirst, KvLayout::kSeqFirst));

TEST_P(KvBufferLayoutTest, GrowsAndShrinksInPlaceAndKeepsTheRows) {
  KvBuffer buffer(ElementType::kF32, {2, 3, 100, 16}, GetParam());
  fill(buffer.view(), 90);
  buffer.set_capacity(3000, 90);
  EXPECT_EQ(buffer.view().shape(), (KvShape{2, 3, 3000, 16}));
  expect_filled(buffer.view(), 90);
  buffer.set_capacity(41, 40);
  expect_filled(buffer.view(), 40);
  EXPECT_LE(buffer.reserved_bytes(), 2 * 3 * 41 * 16 * 4 + 4096);
  buffer.set_capacity(0, 0);
  EXPECT_EQ(buffer.reserved_bytes(), 0);
  buffer.set_capacity(5, 0);
  fill(buffer.view(), 5);
  expect_filled(buffer.view(), 5);
}

TEST_P(KvBufferLayoutTest, ReleasedRowsLeaveTheOthersAlone) {
  KvBuffer buffer(ElementType::kF32, {2, 3, 1000, 16}, GetParam());
  fill(buffer.view(), 1000);
  const std::int64_t before = buffer.resident_bytes();
  EXPECT_GE(before, 2 * 3 * 1000 * 16 * 4);
  const std::int64_t released = buffer.release_rows(300);
  EXPECT_EQ(buffer.resident_bytes(), before - released);
  // each stripe gives back all but the two pages that it shares with its neighbours
  EXPECT_GE(released, 2 * 3 * 700 * 16 * 4 - 6 * 2 * 4096);
  expect_filled(buffer.view(), 300);
  fill(buffer.view(), 1000);
  expect_filled(buffer.view(), 1000);
}

TEST(KvBufferTest, CapacityTakesNoMemoryUntilWritten) {
  const KvBuffer buffer(ElementType::kBf16, {1, 8, 1 << 20, 128});
  EXPECT_EQ(buffer.reserved_bytes(), std::int64_t{1} << 31);
  EXPECT_EQ(buffer.resident_bytes(), 0);
}

TEST(KvBufferTest, RefusesWhatCannotBe) {
  EXPECT_THROW(KvBuffer(ElementType::kF32, {1, 1, -1, 8}), Error);
  try {
    const KvBuffer buffer(ElementType::kF32, {1, 1, std::int64_t{1} << 53, 8});
    FAIL() << "no machine has that much";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kOutOfMemory);
  }
  KvBuffer buffer(ElementType::kF32, {1, 2, 10, 8});
  fill(buffer.view(), 10);
  EXPECT_THROW(buffer.set_capacity(5, 6), Error);
  EXPECT_THROW(buffer.set_capacity(20, 11), Error);
  EXPECT_THROW(buffer.set_capacity(std::int64_t{1} << 53, 10), Error);
  EXPECT_EQ(buffer.capacity(), 10);
  expect_filled(buffer.view(), 10);
}

}  // namespace
}  // namespace kvevict
