#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "kvevict/dynamic_cache.h"
#include "kvevict/error.h"
#include "kvevict/simple_evict.h"
#include "tensor_cases.h"

namespace kvevict {
namespace {

using testing::GuardedTensor;

KeepSet random_keep(std::int64_t n_rows, std::mt19937& random) {
  std::vector<std::int64_t> kept;
  std::bernoulli_distribution stays(std::uniform_real_distribution<>(0.0, 1.0)(random));
  const bool by_runs = random() % 2 == 0;
  bool stay = random() % 2 == 0;
  for (std::int64_t i = 0; i < n_rows; ++i) {
    if (by_runs ? random() % 4 == 0 : true) stay = stays(random);
    if (stay) kept.push_back(i);
  }
  return KeepSet::from_indices(kept);
}

/// The move by its definition: element by element, out of a copy of what there was.
void expect_gathered(const GuardedTensor& tensor, const std::vector<std::byte>& before, const KeepSet& keep,
                     const std::string& what) {
  const auto kept = keep.to_indices();
  const std::vector<std::byte> after = tensor.bytes();
  const KvShape& shape = tensor.view().shape();
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
      for (std::size_t r = 0; r < kept.size(); ++r) {
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
          ASSERT_TRUE(tensor.holds(after, b, h, static_cast<std::int64_t>(r), d, before, kept[r]))
              << what << ": batch " << b << " head " << h << " row " << r << " from " << kept[r]
              << " element " << d;
        }
      }
    }
  }
  ASSERT_TRUE(tensor.guards_hold()) << what << ": wrote outside the tensor";
}

TEST(EvictTest, EveryLayoutAndTypeEqualsAGatherByElement) {
  std::mt19937 random(3);
  const char* const flips[] = {"", "s", "h", "bd", "bhsd"};
  for (const std::string& order : testing::all_orders()) {
    for (const ElementType type : testing::kAllTypes) {
      for (int round = 0; round < 6; ++round) {
        const auto pick = [&](std::int64_t least, std::int64_t most) {
          return std::uniform_int_distribution<std::int64_t>(least, most)(random);
        };
        const std::int64_t batch = pick(1, 2), seq = pick(0, 40);
        const std::int64_t padding = pick(0, 2);
        const char* const flip = flips[pick(0, 4)];
        const GuardedTensor k(type, {batch, pick(1, 3), seq, pick(1, 20)}, order.c_str(), padding, flip,
                              random);
        const GuardedTensor v(type, {batch, pick(0, 3), seq, pick(0, 20)}, order.c_str(), 0, "", random);
        DynamicCache cache;
        cache.add_layer(k.view(), v.view(), seq);
        const auto k_before = k.bytes(), v_before = v.bytes();
        const KeepSet keep = random_keep(seq, random);
        const std::string what = order + " " + std::string(to_string(type)) + " flip " + flip;
        evict_dynamic_cache_inplace(cache, keep, {.n_threads = static_cast<int>(pick(1, 3))});
        expect_gathered(k, k_before, keep, what + " K");
        expect_gathered(v, v_before, keep, what + " V");
        ASSERT_EQ(cache.abs_pos(0), keep);
        ASSERT_EQ(cache.n_rows(0), keep.count());
        if (HasFatalFailure()) return;
      }
    }
  }
}

/// Large enough for several threads, shared lanes and stores past the caches.
void evict_large(const KvShape& shape, const char* order, const KeepSet& keep, const std::string& what) {
  std::mt19937 random(5);
  for (const int n_threads : {1, 2, 5}) {
    const GuardedTensor k(ElementType::kBf16, shape, order, 0, "", random);
    const GuardedTensor v(ElementType::kU8, {shape.batch, 1, shape.seq, 4}, order, 0, "", random);
    DynamicCache cache;
    cache.add_layer(k.view(), v.view(), shape.seq);
    const auto k_before = k.bytes(), v_before = v.bytes();
    const CacheEvictReport report = evict_dynamic_cache_inplace(cache, keep, {.n_threads = n_threads});
    EXPECT_LE(report.n_workers, n_threads);
    EXPECT_EQ(report.n_workers > 1, n_threads > 1) << what;
    expect_gathered(k, k_before, keep, what);
    expect_gathered(v, v_before, keep, what);
  }
}

KeepSet every(std::int64_t n, std::int64_t step) {
  KeepSet keep;
  for (std::int64_t i = 0; i < n; i += step) keep.append(i, i + 1);
  return keep;
}

TEST(EvictTest, OneLongHeadOnSeveralThreads) {
  const KvShape shape{1, 1, 60000, 64};
  evict_large(shape, "bhsd", every(shape.seq, 2), "alternate rows");
  evict_large(shape, "bhsd", KeepSet::from_ranges({{0, 4}, {5, shape.seq}}), "one row less");
  evict_large(shape, "bhsd", KeepSet::from_ranges({{0, 100}, {9000, shape.seq}}), "overlapping recent");
  evict_large(shape, "bhsd", KeepSet::from_ranges({{3, 7}, {20, 20000}, {20003, 40000}, {55000, shape.seq}}),
              "mixed");
  evict_large(shape, "bhds", KeepSet::from_ranges({{0, 4}, {5, shape.seq}}), "sequence innermost");
  std::mt19937 random(6);
  for (int round = 0; round < 3; ++round) {
    KeepSet keep;
    const auto longest = static_cast<std::int64_t>(1 + random() % 4000);
    for (auto at = static_cast<std::int64_t>(random() % 9); at < shape.seq;) {
      const auto end = std::min(shape.seq, at + 1 + static_cast<std::int64_t>(random()) % longest);
      keep.append(at, end);
      at = end + 1 + static_cast<std::int64_t>(random() % 40) * static_cast<std::int64_t>(random() % 40);
    }
    evict_large(shape, round == 0 ? "bhsd" : "shbd", keep, "runs of up to " + std::to_string(longest));
  }
}

TEST(EvictTest, ManyHeadsOnSeveralThreads) {
  evict_large({2, 40, 700, 64}, "bhsd", KeepSet::from_ranges({{0, 16}, {90, 700}}), "heads first");
  evict_large({1, 40, 1400, 64}, "bshd", KeepSet::from_ranges({{0, 16}, {90, 1400}}), "sequence first");
}

TEST(EvictTest, MovesLargerThanTheCachesAreExact) {
  const KvShape shape{1, 1, 300000, 96};
  std::mt19937_64 random(9);
  std::vector<std::uint16_t> data(static_cast<std::size_t>(shape.seq * shape.head_dim));
  for (auto& value : data) value = static_cast<std::uint16_t>(random());
  const auto before = data;
  const KeepSet keep =
      KeepSet::from_ranges({{0, 3}, {10, 20}, {30000, 250000}, {250001, 250004}, {299000, 300000}});
  DynamicCache cache;
  cache.add_layer(KvView(data.data(), ElementType::kBf16, shape, KvLayout::kHeadsFirst),
                  KvView(nullptr, ElementType::kBf16, {1, 1, shape.seq, 0}, KvLayout::kHeadsFirst),
                  shape.seq);
  for (const KeepSet& set : {keep, every(keep.count(), 2)}) {
    const auto expected = data;
    evict_dynamic_cache_inplace(cache, set);
    auto to = data.begin();
    for (const TokenRange& range : set.ranges()) {
      const auto n = range.count() * shape.head_dim;
      ASSERT_TRUE(std::equal(to, to + n, expected.begin() + range.begin * shape.head_dim)) << range.begin;
      to += n;
    }
  }
}

TEST(EvictTest, LayersOfDifferentLengthsAndTypesWithASetEach) {
  std::mt19937 random(4);
  for (int round = 0; round < 50; ++round) {
    std::vector<std::unique_ptr<GuardedTensor>> tensors;
    std::vector<std::vector<std::byte>> before;
    std::vector<KeepSet> keep;
    DynamicCache cache;
    for (int layer = 0; layer < 5; ++layer) {
      const auto seq = static_cast<std::int64_t>(random() % 50);
      const ElementType type = testing::kAllTypes[random() % 8];
      for (int i = 0; i < 2; ++i) {
        tensors.push_back(
            std::make_unique<GuardedTensor>(type, KvShape{1, 2, seq, 6 + i}, "bhsd", 0, "", random));
        before.push_back(tensors.back()->bytes());
      }
      cache.add_layer(tensors[tensors.size() - 2]->view(), tensors.back()->view(), seq);
      keep.push_back(random_keep(seq, random));
    }
    const CacheEvictReport report = evict_dynamic_cache_inplace(cache, keep);
    for (std::size_t layer = 0; layer < keep.size(); ++layer) {
      expect_gathered(*tensors[2 * layer], before[2 * layer], keep[layer], "K");
      expect_gathered(*tensors[2 * layer + 1], before[2 * layer + 1], keep[layer], "V");
      EXPECT_EQ(report.n_rows[layer], keep[layer].count());
      EXPECT_EQ(cache.k(layer).shape().seq, keep[layer].count());
    }
  }
}

TEST(EvictTest, KAndVInterleavedInOneAllocation) {
  std::vector<float> data(2 * 6 * 2 * 3 * 4);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i);
  const auto before = data;
  const KvShape shape{2, 3, 6, 4};
  const KvStrides strides{144, 4, 24, 1};
  DynamicCache cache;
  cache.add_layer(KvView(data.data(), ElementType::kF32, shape, strides),
                  KvView(data.data() + 12, ElementType::kF32, shape, strides), 6);
  const std::int64_t keep[] = {1, 4, 5};
  evict_dynamic_cache_inplace(cache, keep);
  for (std::size_t b = 0; b < 2; ++b) {
    for (std::size_t r = 0; r < 3; ++r) {
      for (std::size_t i = 0; i < 24; ++i) {
        EXPECT_EQ(data[b * 144 + r * 24 + i], before[b * 144 + static_cast<std::size_t>(keep[r]) * 24 + i]);
      }
    }
  }
}

}  // namespace
}  // namespace kvevict
