#include "kvevict/kv_view.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "kvevict/error.h"

namespace kvevict {
namespace {

alignas(16) std::byte memory[1 << 16];

template <typename Call>
std::string refusal(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "";
}

std::string refusal_of(const KvShape& shape, const KvStrides& strides, void* data = memory,
                       ElementType type = ElementType::kF32) {
  return refusal([&] { const KvView view(data, type, shape, strides); });
}

/// Whether two elements share an address, by writing all addresses down.
bool aliases(const std::vector<KvView>& views) {
  std::set<const std::byte*> seen;
  for (const KvView& view : views) {
    const KvShape& shape = view.shape();
    for (std::int64_t b = 0; b < shape.batch; ++b) {
      for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
        for (std::int64_t t = 0; t < shape.seq; ++t) {
          for (std::int64_t d = 0; d < shape.head_dim; ++d) {
            if (!seen.insert(view.row(b, h, t) + d * view.strides().head_dim).second) return true;
          }
        }
      }
    }
  }
  return false;
}

TEST(KvViewTest, DenseStridesFollowTheLayout) {
  const KvShape shape{2, 3, 5, 7};
  EXPECT_EQ(dense_strides(shape, KvLayout::kHeadsFirst), (KvStrides{105, 35, 7, 1}));
  EXPECT_EQ(dense_strides(shape, KvLayout::kSeqFirst), (KvStrides{105, 7, 21, 1}));
  const KvView view(memory, ElementType::kF16, shape, KvLayout::kSeqFirst);
  EXPECT_EQ(view.row(1, 2, 3), memory + 2 * (105 + 14 + 63));
  EXPECT_EQ(view.bytes_per_token(), 2 * 3 * 7 * 2);
}

TEST(KvViewTest, RefusesImpossibleTensorsAndNamesTheAxis) {
  EXPECT_NE(refusal_of({1, -1, 4, 8}, {32, 32, 8, 1}).find("kv_heads"), std::string::npos);
  EXPECT_NE(refusal_of({1, 2, 4, 8}, {32, 0, 8, 1}).find("kv_heads"), std::string::npos)
      << "a broadcast head";
  EXPECT_NE(refusal_of({1, 2, 4, 8}, {64, 32, 7, 1}).find("seq"), std::string::npos) << "rows overlap";
  EXPECT_NE(refusal_of({2, 1, 4, 8}, {31, 32, 8, 1}).find("batch"), std::string::npos);
  EXPECT_NE(refusal_of({1, 1, INT64_MAX, 8}, {1, 1, 8, 1}).find("seq"), std::string::npos);
  EXPECT_NE(refusal_of({1 << 30, 1 << 30, 1 << 30, 8}, {1, 1, 1, 1}), "");
  EXPECT_NE(refusal_of({1, 1, 4, 8}, {32, 32, 8, 1}, nullptr).find("null"), std::string::npos);
  EXPECT_NE(refusal_of({1, 1, 4, 8}, {32, 32, 8, 1}, memory + 2).find("aligned"), std::string::npos);
  EXPECT_NE(refusal([] {
              const KvView view(memory, ElementType::kF32, {1LL << 40, 1LL << 40, 8, 8}, KvLayout::kSeqFirst);
            }),
            "");
}

TEST(KvViewTest, ZeroSizedDimensionsAreLegal) {
  for (const KvShape shape : {KvShape{0, 2, 4, 8}, {1, 0, 4, 8}, {1, 2, 0, 8}, {1, 2, 4, 0}}) {
    EXPECT_EQ(KvView(nullptr, ElementType::kF32, shape, KvLayout::kHeadsFirst).n_elements(), 0);
  }
}

TEST(KvViewTest, StridesOfSingleElementsDoNotMatter) {
  EXPECT_EQ(refusal_of({1, 1, 4, 8}, {0, -3, 8, 1}), "");
  EXPECT_EQ(refusal_of({1, 1, 1, 8}, {INT64_MAX, INT64_MIN, INT64_MAX, 1}), "");
}

TEST(KvViewTest, NoAcceptedRandomTensorAliases) {
  std::mt19937 random(11);
  int n_accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto size = [&] { return std::uniform_int_distribution<std::int64_t>(1, 4)(random); };
    const auto stride = [&] { return std::uniform_int_distribution<std::int64_t>(-40, 40)(random); };
    const KvShape shape{size(), size(), size(), size()};
    const KvStrides strides{stride(), stride(), stride(), stride()};
    try {
      const KvView view(memory + 4096, ElementType::kI8, shape, strides);
      ++n_accepted;
      ASSERT_FALSE(aliases({view})) << "round " << round;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(n_accepted, 500);
}

TEST(KvViewTest, EveryPermutedPaddedTensorIsAccepted) {
  std::array<int, 4> order{0, 1, 2, 3};
  do {
    std::array<std::int64_t, 4> sizes{2, 3, 4, 5};
    std::array<std::int64_t, 4> strides{};
    std::int64_t step = 1;
    for (const int axis : order) {
      strides[static_cast<std::size_t>(axis)] = step;
      step = step * sizes[static_cast<std::size_t>(axis)] + 3;
    }
    EXPECT_EQ(refusal_of({sizes[0], sizes[1], sizes[2], sizes[3]},
                         {strides[0], strides[1], strides[2], strides[3]}),
              "");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST(KvViewTest, RowsAreASliceOfTheSameMemory) {
  const KvView view(memory, ElementType::kF32, {1, 2, 10, 4}, KvLayout::kHeadsFirst);
  const KvView part = view.rows(3, 5);
  EXPECT_EQ(part.shape(), (KvShape{1, 2, 5, 4}));
  EXPECT_EQ(part.row(0, 1, 0), view.row(0, 1, 3));
  EXPECT_EQ(view.rows(10, 0).shape().seq, 0);
  EXPECT_NE(refusal([&] { (void)view.rows(8, 3); }), "");
  EXPECT_NE(refusal([&] { (void)view.rows(-1, 3); }), "");
  EXPECT_NE(refusal([&] { (void)view.rows(INT64_MAX, INT64_MAX); }), "");
}

TEST(RequireDisjointTest, AcceptsKAndVInterleavedInOneAllocation) {
  // [batch 2, seq 6, 2 (K, V), heads 3, dim 4]
  const KvShape shape{2, 3, 6, 4};
  const KvStrides strides{144, 4, 24, 1};
  const KvView k(memory, ElementType::kF32, shape, strides);
  const KvView v(memory + 12 * 4, ElementType::kF32, shape, strides);
  EXPECT_EQ(refusal([&] { require_disjoint(std::array{k, v}); }), "");
  // rows of K of width 5 and V of width 3 side by side
  const KvView wide(memory, ElementType::kF32, {1, 1, 6, 5}, {0, 0, 8, 1});
  const KvView narrow(memory + 5 * 4, ElementType::kF32, {1, 1, 6, 3}, {0, 0, 8, 1});
  EXPECT_EQ(refusal([&] { require_disjoint(std::array{wide, narrow}); }), "");
}

TEST(RequireDisjointTest, RefusesAVThatIsASliceOfItsK) {
  const KvView latent(memory, ElementType::kF32, {1, 1, 6, 8}, KvLayout::kHeadsFirst);
  const KvView slice(memory, ElementType::kF32, {1, 1, 6, 5}, {0, 0, 8, 1});
  EXPECT_NE(refusal([&] {
              require_disjoint(std::array{latent, slice});
            }).find("head_dim 0"),
            std::string::npos);
  EXPECT_NE(refusal([&] { require_disjoint(std::array{latent, latent}); }), "");
}

TEST(RequireDisjointTest, NoAcceptedRandomPairAliases) {
  std::mt19937 random(12);
  int n_accepted = 0, n_interleaved = 0;
  for (int round = 0; round < 60000; ++round) {
    const auto number = [&](std::int64_t least, std::int64_t most) {
      return std::uniform_int_distribution<std::int64_t>(least, most)(random);
    };
    const KvStrides strides{number(20, 60), number(4, 16), number(8, 40), number(1, 2)};
    try {
      const KvView a(memory, ElementType::kI8, {number(1, 2), number(1, 3), number(1, 3), number(1, 4)},
                     strides);
      const KvView b(memory + number(0, 60), ElementType::kI8,
                     {number(1, 2), number(1, 3), number(1, 3), number(1, 4)}, strides);
      require_disjoint(std::array{a, b});
      ++n_accepted;
      ASSERT_FALSE(aliases({a, b})) << "round " << round;
      n_interleaved +=
          b.data() < a.row(a.shape().batch - 1, a.shape().kv_heads - 1, a.shape().seq - 1) ? 1 : 0;
    } catch (const Error&) {
    }
  }
  EXPECT_GT(n_accepted, 500);
  EXPECT_GT(n_interleaved, 100);
}

}  // namespace
}  // namespace kvevict
