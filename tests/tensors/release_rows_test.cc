#include "tensors/release_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "tensors/mapping.h"

namespace kvevict {
namespace {

constexpr KvShape kShape{1, 2, 4096, 16};  // f32: 64 bytes a row, 256 KiB a head
constexpr std::int64_t kHeadBytes = 4096 * 64;

class ReleaseRowsTest : public testing::TestWithParam<KvLayout> {
 protected:
  ReleaseRowsTest()
      : mapping_(2 * kHeadBytes), view_(mapping_.data(), ElementType::kF32, kShape, GetParam()) {
    std::fill_n(reinterpret_cast<float*>(mapping_.data()), view_.n_elements(), 1.5F);
  }

  [[nodiscard]] float at(std::int64_t head, std::int64_t row) const {
    return *reinterpret_cast<const float*>(view_.row(0, head, row));
  }

  Mapping mapping_;
  KvView view_;
};

TEST_P(ReleaseRowsTest, GivesBackWhatLiesBehindAndNothingElse) {
  const std::int64_t before = mapping_.resident_bytes();
  const std::int64_t n_released = release_rows_behind(view_, 1000);
  EXPECT_EQ(mapping_.resident_bytes(), before - n_released);
  EXPECT_GT(n_released, (4096 - 1000) * 128 - 4 * 4096) << "all but the pages at the borders";
  for (std::int64_t head = 0; head < 2; ++head) {
    for (std::int64_t row = 0; row < 1000; ++row) ASSERT_EQ(at(head, row), 1.5F) << head << " " << row;
  }
  EXPECT_EQ(release_rows_behind(view_, 1000), 0) << "it is gone already";
}

TEST_P(ReleaseRowsTest, AllRowsKeptGiveNothingBack) {
  EXPECT_EQ(release_rows_behind(view_, 4096), 0);
  EXPECT_EQ(release_rows_behind(view_, 5000), 0);
  EXPECT_EQ(release_rows_behind(KvView(), 0), 0);
  EXPECT_EQ(at(1, 4095), 1.5F);
}

INSTANTIATE_TEST_SUITE_P(Layouts, ReleaseRowsTest,
                         testing::Values(KvLayout::kHeadsFirst, KvLayout::kSeqFirst));

TEST(ReleaseRows, RowsBetweenThoseOfOthersStay) {
  Mapping mapping(2 * kHeadBytes);
  std::fill_n(reinterpret_cast<float*>(mapping.data()), 2 * kHeadBytes / 4, 1.5F);
  const KvView every_second(mapping.data(), ElementType::kF32, {1, 1, 4096, 16}, KvStrides{0, 0, 32, 1});
  EXPECT_EQ(release_rows_behind(every_second, 10), 0);
  EXPECT_EQ(mapping.resident_bytes(), 2 * kHeadBytes);
}

}  // namespace
}  // namespace kvevict
