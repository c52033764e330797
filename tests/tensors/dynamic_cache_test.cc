#include "kvevict/dynamic_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <new>
#include <random>
#include <string>

#include "kvevict/error.h"
#include "kvevict/simple_evict.h"
#include "support/failing_new.h"

namespace kvevict {
namespace {

constexpr std::int64_t kHeads = 2, kDim = 8;

/// The token's K row of a layer: what every check reads back.
std::vector<float> row_of(std::int64_t token, std::size_t layer) {
  std::vector<float> row(kHeads * kDim);
  for (std::size_t i = 0; i < row.size(); ++i)
    row[i] = static_cast<float>(token * 1000 + static_cast<std::int64_t>(layer * 100 + i));
  return row;
}

/// [1, kHeads, n, kDim] of the tokens from `first` on.
struct Rows {
  Rows(std::int64_t first, std::int64_t n, std::size_t layer)
      : values(static_cast<std::size_t>(kHeads * n * kDim)) {
    for (std::int64_t t = 0; t < n; ++t) {
      const auto row = row_of(first + t, layer);
      for (std::int64_t h = 0; h < kHeads; ++h) {
        std::copy_n(row.begin() + h * kDim, kDim, values.begin() + (h * n + t) * kDim);
      }
    }
    view = KvView(values.data(), ElementType::kF32, {1, kHeads, n, kDim}, KvLayout::kHeadsFirst);
  }
  std::vector<float> values;
  KvView view;
};

/// Appends the next n tokens to every layer.
void append(DynamicCache& cache, std::int64_t n) {
  const std::int64_t first = cache.seen_tokens();
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    const Rows rows(first, n, layer);
    cache.append(layer, rows.view, rows.view);
  }
}

DynamicCache owned_cache(std::size_t n_layers, std::int64_t capacity,
                         KvLayout layout = KvLayout::kHeadsFirst) {
  DynamicCache cache;
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    cache.add_layer(KvBuffer(ElementType::kF32, {1, kHeads, capacity, kDim}, layout),
                    KvBuffer(ElementType::kF32, {1, kHeads, capacity, kDim}, layout));
  }
  return cache;
}

/// Every row is the one of the token that the record names.
void expect_rows_match_record(const DynamicCache& cache) {
  for (std::size_t layer = 0; layer < cache.n_layers(); ++layer) {
    const auto tokens = cache.abs_pos(layer).to_indices();
    ASSERT_EQ(cache.n_rows(layer), static_cast<std::int64_t>(tokens.size()));
    for (const KvView& view : {cache.k(layer), cache.v(layer)}) {
      ASSERT_EQ(view.shape().seq, cache.n_rows(layer));
      for (std::size_t r = 0; r < tokens.size(); ++r) {
        const auto row = row_of(tokens[r], layer);
        for (std::int64_t h = 0; h < kHeads; ++h) {
          const auto* const at = reinterpret_cast<const float*>(view.row(0, h, static_cast<std::int64_t>(r)));
          ASSERT_TRUE(std::equal(at, at + kDim, row.begin() + h * kDim))
              << "layer " << layer << " row " << r << " should be token " << tokens[r];
        }
      }
    }
  }
}

template <typename Call>
void expect_refused(const Call& call, const std::string& word, ErrorCode code = ErrorCode::kInvalidArgument) {
  try {
    call();
    FAIL() << "not refused; expected \"" << word << "\"";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_NE(std::string(error.what()).find(word), std::string::npos) << error.what();
  }
}

TEST(DynamicCacheTest, RandomAppendsAndEvictionsKeepRowsAndRecordsTogether) {
  std::mt19937 random(21);
  for (int round = 0; round < 40; ++round) {
    DynamicCache cache = owned_cache(3, 4, round % 2 == 0 ? KvLayout::kHeadsFirst : KvLayout::kSeqFirst);
    std::vector<std::int64_t> model;  // tokens in the cache
    std::int64_t n_seen = 0;
    for (int step = 0; step < 12; ++step) {
      const auto n = static_cast<std::int64_t>(random() % 9);
      append(cache, n);
      for (std::int64_t i = 0; i < n; ++i) model.push_back(n_seen++);
      std::vector<std::int64_t> keep, left;
      for (std::size_t r = 0; r < model.size(); ++r) {
        if (random() % 3 == 0) continue;
        keep.push_back(static_cast<std::int64_t>(r));
        left.push_back(model[r]);
      }
      evict_dynamic_cache_inplace(cache, keep);
      model = left;
      ASSERT_EQ(cache.seen_tokens(), n_seen);
      for (std::size_t layer = 0; layer < 3; ++layer) {
        ASSERT_EQ(cache.abs_pos(layer).to_indices(), model);
        ASSERT_EQ(cache.rope_pos(layer).to_indices(), model);
        ASSERT_EQ(cache.next_rope_pos(layer), n_seen);
      }
      expect_rows_match_record(cache);
    }
  }
}

TEST(DynamicCacheTest, APlanOfOriginalTokensIsFollowedAfterEarlierEvictions) {
  DynamicCache cache = owned_cache(2, 16);
  const auto policy = make_policy("sink_recent_uniform:4:8:8:block=4");
  PolicyState state;
  KeepSet history;
  for (int step = 0; step < 10; ++step) {
    append(cache, 7);
    history.append(cache.seen_tokens() - 7, cache.seen_tokens());
    const KeepPlan plan = policy->plan(cache.seen_tokens(), state);
    evict_to_plan(cache, plan);
    history = history.intersect(plan.layer(0));
    EXPECT_EQ(cache.abs_pos(0), history);
    EXPECT_LE(cache.n_rows(1), 4 + 8 + 8);
    expect_rows_match_record(cache);
  }
}

TEST(DynamicCacheTest, ALadderKeepsOtherRowsInEachLayer) {
  DynamicCache cache = owned_cache(3, 64);
  const auto policy = make_policy("ladder:2:6:16:span=1");  // groups of 3 rows, 1 stays
  PolicyState state{.n_layers = 3};
  for (int step = 0; step < 8; ++step) {
    append(cache, 20);
    const KeepPlan plan = policy->plan(cache.seen_tokens(), state);
    evict_to_plan(cache, plan, {.rectangular = true});
    for (std::size_t layer = 0; layer < 3; ++layer) EXPECT_EQ(cache.abs_pos(layer), plan.layer(layer));
    EXPECT_LE(cache.n_rows(0), 2 + 6 + 16);
    expect_rows_match_record(cache);
  }
  EXPECT_NE(cache.abs_pos(0), cache.abs_pos(1));
}

TEST(DynamicCacheTest, APlanOfOtherLayersThanTheCacheHasIsRefused) {
  DynamicCache cache = owned_cache(3, 64);
  append(cache, 60);
  const auto policy = make_policy("ladder:2:6:16:span=1");
  for (const std::int64_t n_layers : {2, 4}) {
    PolicyState state{.n_layers = n_layers};
    const KeepPlan plan = policy->plan(60, state);
    EXPECT_THROW(evict_to_plan(cache, plan), Error);
    EXPECT_EQ(cache.n_rows(0), 60);
  }
}

TEST(DynamicCacheTest, ResidentMemoryFallsWithTheEvictionAndGrowsAgain) {
  DynamicCache cache = owned_cache(4, 1 << 15);
  append(cache, 1 << 15);
  const std::int64_t before = cache.resident_bytes();
  EXPECT_EQ(before, 4LL * 2 * kHeads * (1 << 15) * kDim * 4);
  const CacheEvictReport report =
      evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 256}, {32256, 32768}}));
  EXPECT_EQ(cache.resident_bytes(), before - report.bytes_released);
  EXPECT_LE(cache.resident_bytes(), 4LL * 2 * kHeads * (768 * kDim * 4 + 4096));
  expect_rows_match_record(cache);
  append(cache, 1000);
  expect_rows_match_record(cache);
  for (std::size_t layer = 0; layer < 4; ++layer) cache.set_capacity(layer, cache.n_rows(layer));
  EXPECT_LE(cache.resident_bytes(), 4LL * 2 * kHeads * 1768 * kDim * 4 + 4 * 2 * 4096);
  expect_rows_match_record(cache);
}

TEST(DynamicCacheTest, KeepsThePagesWhereAskedTo) {
  DynamicCache cache = owned_cache(1, 1 << 14);
  append(cache, 1 << 14);
  const std::int64_t before = cache.resident_bytes();
  EXPECT_EQ(evict_dynamic_cache_inplace(cache, KeepSet::all(10), {.give_back = false}).bytes_released, 0);
  EXPECT_EQ(cache.resident_bytes(), before);
}

TEST(DynamicCacheTest, ABorrowedCacheReportsItsExtentsAndTakesMoreRows) {
  std::vector<float> memory(2 * kHeads * 20 * kDim, -1.0F);
  const KvShape room{1, kHeads, 20, kDim};
  DynamicCache cache;
  cache.add_layer(KvView(memory.data(), ElementType::kF32, room, KvLayout::kHeadsFirst),
                  KvView(memory.data() + kHeads * 20 * kDim, ElementType::kF32, room, KvLayout::kHeadsFirst),
                  0);
  append(cache, 18);
  expect_refused([&] { append(cache, 3); }, "no room for 3");
  const CacheEvictReport report =
      evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 2}, {15, 18}}));
  EXPECT_EQ(report.n_rows, std::vector<std::int64_t>{5});
  EXPECT_EQ(report.bytes_released, 0);
  append(cache, 3);
  expect_rows_match_record(cache);
  EXPECT_EQ(cache.abs_pos(0), KeepSet::from_ranges({{0, 2}, {15, 21}}));
  expect_refused([&] { cache.set_capacity(0, 40); }, "borrowed");
}

TEST(DynamicCacheTest, BadKeepSetsAreRefusedBeforeAnythingMoves) {
  DynamicCache cache = owned_cache(2, 16);
  append(cache, 10);
  const auto evict_idx = [&](std::vector<std::int64_t> idx) { evict_dynamic_cache_inplace(cache, idx); };
  expect_refused([&] { evict_idx({0, 10}); }, "row 10 of layer 0, which has 10 rows");
  expect_refused([&] { evict_idx({0, 5, 4}); }, "4 behind 5");
  expect_refused([&] { evict_idx({0, 5, 5}); }, "5 behind 5");
  expect_refused([&] { evict_idx({-1, 5}); }, "-1");
  expect_refused([&] { evict_idx({INT64_MAX}); }, "beyond");
  expect_refused([&] { evict_dynamic_cache_inplace(cache, std::vector<KeepSet>(3)); },
                 "3 keep sets for 2 layers");
  const std::vector<KeepSet> uneven{KeepSet::all(4), KeepSet::all(5)};
  expect_refused([&] { evict_dynamic_cache_inplace(cache, uneven, {.rectangular = true}); }, "rectangular");
  expect_refused([&] { evict_dynamic_cache_inplace(cache, KeepSet(), {.n_threads = -1}); }, "n_threads");
  EXPECT_EQ(cache.n_rows(0), 10);
  expect_rows_match_record(cache);
  evict_dynamic_cache_inplace(cache, uneven);
  EXPECT_EQ(cache.n_rows(1), 5);
}

TEST(DynamicCacheTest, ReadOnlyMemoryIsRefusedUnlessNothingHasToMove) {
  const Rows rows(0, 10, 0), more(10, 1, 0);
  const KvShape& shape = rows.view.shape();
  const auto as_const = KvView::read_only(rows.values.data(), ElementType::kF32, shape, rows.view.strides());
  DynamicCache cache;
  cache.add_layer(as_const, KvView(nullptr, ElementType::kF32, {1, kHeads, 10, 0}, KvLayout::kHeadsFirst),
                  10);
  expect_refused([&] { evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{1, 5}})); }, "read-only");
  EXPECT_EQ(cache.n_rows(0), 10);
  EXPECT_EQ(evict_dynamic_cache_inplace(cache, KeepSet::all(5)).bytes_moved, 0);
  EXPECT_EQ(cache.n_rows(0), 5);
  const KvView no_v(nullptr, ElementType::kF32, {1, kHeads, 1, 0}, KvLayout::kHeadsFirst);
  expect_refused([&] { cache.append(0, more.view, no_v); }, "read-only");
}

TEST(DynamicCacheTest, LayersThatDoNotFitAreRefused) {
  const Rows rows(0, 10, 0), shorter(0, 9, 0), other(0, 10, 1);
  DynamicCache cache;
  expect_refused([&] { cache.add_layer(rows.view, shorter.view, 9); }, "equal");
  expect_refused([&] { cache.add_layer(rows.view, other.view, 11); }, "11");
  expect_refused([&] { cache.add_layer(rows.view, rows.view, 10); }, "share memory");
  cache.add_layer(rows.view, other.view, 10);
  expect_refused([&] { cache.add_layer(shorter.view, other.view.rows(0, 9), 9); }, "share memory");
  const KvView device(reinterpret_cast<void*>(1 << 20), ElementType::kF32, {1, 1, 4, 8},
                      KvLayout::kHeadsFirst, MemoryKind::kCuda);
  const KvView device_v(nullptr, ElementType::kF32, {1, 1, 4, 0}, KvLayout::kHeadsFirst, MemoryKind::kCuda);
  expect_refused([&] { cache.add_layer(device, device_v, 4); }, "both host and device");
  EXPECT_EQ(cache.n_layers(), 1U);
  const Rows two(10, 2, 0), three(10, 3, 0);
  expect_refused([&] { cache.append(0, two.view, three.view); }, "2 rows to append and V 3");
}

#ifndef KVEVICT_WITH_CUDA
TEST(DynamicCacheTest, DeviceMemoryNeedsABuildWithCuda) {
  const auto device = [](std::uintptr_t at) {
    return KvView(reinterpret_cast<void*>(at), ElementType::kF32, {1, 1, 4, 8}, KvLayout::kHeadsFirst,
                  MemoryKind::kCuda);
  };
  DynamicCache cache;
  cache.add_layer(device(1 << 20), device(1 << 21), 4);
  expect_refused(
      [&] {
        evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{1, 4}}));
      },
      "KVEVICT_CUDA", ErrorCode::kUnsupported);
  EXPECT_EQ(cache.n_rows(0), 4);
}
#endif

TEST(DynamicCacheTest, ZeroSizedDimensionsAreEvictedAndAppendedLikeOthers) {
  DynamicCache cache;
  const KvView nothing(nullptr, ElementType::kF32, {1, 0, 8, 4}, KvLayout::kHeadsFirst);
  cache.add_layer(nothing, nothing, 6);
  cache.add_layer(KvBuffer(ElementType::kF16, {0, 2, 8, 4}), KvBuffer(ElementType::kF16, {0, 2, 8, 4}), 6);
  evict_dynamic_cache_inplace(cache, KeepSet::from_ranges({{0, 1}, {3, 5}}));
  EXPECT_EQ(cache.n_rows(0), 3);
  cache.note_appended(0, 2);
  EXPECT_EQ(cache.abs_pos(0), KeepSet::from_ranges({{0, 1}, {3, 5}, {6, 8}}));
  evict_dynamic_cache_inplace(cache, KeepSet());
  EXPECT_EQ(cache.n_rows(0), 0);
  EXPECT_EQ(cache.seen_tokens(), 8);
  DynamicCache none;
  EXPECT_TRUE(evict_dynamic_cache_inplace(none, KeepSet()).n_rows.empty());
}

TEST(DynamicCacheTest, NothingIsLostWhereverAnAllocationFails) {
  for (std::int64_t failing = 1;; ++failing) {
    DynamicCache cache = owned_cache(3, 4);
    append(cache, 10);
    const std::vector<KeepSet> keep{KeepSet::from_ranges({{1, 3}, {6, 9}}), KeepSet::from_ranges({{2, 9}}),
                                    KeepSet::all(3)};
    const Rows rows(10, 30, 0);
    bool failed = false;
    test::fail_allocation(failing);
    try {
      cache.append(0, rows.view, rows.view);
    } catch (const std::bad_alloc&) {
      failed = true;
      ASSERT_EQ(cache.n_rows(0), 10);
    }
    if (!failed) {
      try {
        evict_dynamic_cache_inplace(cache, keep, {.n_threads = 2});
      } catch (const std::bad_alloc&) {
        failed = true;
        ASSERT_EQ(cache.n_rows(0), 40);
        ASSERT_EQ(cache.n_rows(2), 10);
      }
    }
    test::fail_allocation(0);
    expect_rows_match_record(cache);
    if (!failed) {
      ASSERT_EQ(cache.abs_pos(1), keep[1]);
      ASSERT_GT(failing, 8) << "the test no longer reaches the allocations";
      return;
    }
  }
}

TEST(DynamicCacheTest, AnEvictionAllocatesRecordsOnlyNeverRows) {
  DynamicCache cache = owned_cache(8, 1 << 14);
  append(cache, 1 << 14);
  const std::int64_t kv_bytes = cache.resident_bytes();
  const KeepSet keep = build_simple_keep_token_idx(1 << 14, 128, {256, 512, "uniform", 512, 0});
  test::fail_allocation(0);
  evict_dynamic_cache_inplace(cache, keep, {.n_threads = 1});
  EXPECT_LT(test::allocated_bytes(), 16384);
  EXPECT_GE(kv_bytes, 1 << 24);
}

}  // namespace
}  // namespace kvevict
