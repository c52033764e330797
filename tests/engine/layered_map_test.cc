#include "engine/layered_map.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr std::size_t kLayers = 5;

struct PlainToken {
  std::int64_t index, position;
};

/// The obvious record: a vector for each layer.
struct PlainLayers {
  std::vector<std::vector<PlainToken>> layers = std::vector<std::vector<PlainToken>>(kLayers);
  std::int64_t n_seen = 0, next_position = 0;

  void append(std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i, ++n_seen, ++next_position) {
      for (auto& layer : layers) layer.push_back({n_seen, next_position});
    }
  }
};

/// Sets that keep `n` tokens of each layer, the newest among them.
KeepPlan random_plan(const PlainLayers& plain, std::int64_t n, std::mt19937& random) {
  std::vector<KeepSet> sets;
  std::vector<std::size_t> set_of_layer;
  for (const auto& layer : plain.layers) {
    std::vector<std::int64_t> indices;
    for (const PlainToken& token : layer) indices.push_back(token.index);
    std::shuffle(indices.begin(), indices.end() - 1, random);
    std::rotate(indices.begin(), indices.end() - 1, indices.end());
    indices.resize(static_cast<std::size_t>(n));
    set_of_layer.push_back(sets.size());
    sets.push_back(KeepSet::from_indices(indices));
  }
  return {std::move(sets), std::move(set_of_layer)};
}

/// Carries the plan out on the plain record and checks what the arrangement says to do to the cells.
void retain_and_check(LayeredMap& map, PlainLayers& plain, const KeepPlan& plan, bool pack) {
  const PlainLayers before = plain;
  const CellArrangement arrangement = map.retain(plan, pack);
  ASSERT_EQ(arrangement.rows_of_layer.size(), kLayers);
  std::vector<std::int64_t> largest(arrangement.positions.size(), 0);
  for (std::size_t l = 0; l < kLayers; ++l) {
    auto& layer = plain.layers[l];
    std::erase_if(layer, [&](const PlainToken& token) { return !plan.layer(l).contains(token.index); });
    const LayerRows& rows = arrangement.rows[arrangement.rows_of_layer[l]];
    ASSERT_EQ(rows.source_slots.size(), layer.size());
    ASSERT_EQ(rows.rotations.size(), pack ? layer.size() : 0);
    for (std::size_t k = 0; k < layer.size(); ++k) {
      const PlainToken& source = before.layers[l][static_cast<std::size_t>(rows.source_slots[k])];
      ASSERT_EQ(source.index, layer[k].index);
      if (pack) layer[k].position = static_cast<std::int64_t>(k);
      if (pack) {
        ASSERT_EQ(source.position + rows.rotations[k], layer[k].position);
      }
      largest[k] = std::max(largest[k], layer[k].position);
    }
  }
  if (pack) plain.next_position = static_cast<std::int64_t>(largest.size());
  ASSERT_EQ(arrangement.positions, largest);
  ASSERT_TRUE(std::is_sorted(largest.begin(), largest.end()));
  ASSERT_EQ(std::adjacent_find(largest.begin(), largest.end()), largest.end());
  ASSERT_EQ(largest.back(), plain.next_position - 1);  // the next token goes right behind it
}

void expect_same(const LayeredMap& map, const PlainLayers& plain) {
  for (std::size_t l = 0; l < kLayers; ++l) {
    ASSERT_EQ(map.layer(l).n_seen(), plain.n_seen);
    ASSERT_EQ(map.layer(l).next_position(), plain.next_position);
    std::size_t k = 0;
    for (const HeldRun& run : map.layer(l).runs()) {
      for (std::int64_t i = 0; i < run.indices.count(); ++i, ++k) {
        ASSERT_EQ(run.indices.begin + i, plain.layers[l][k].index);
        ASSERT_EQ(run.first_position + i, plain.layers[l][k].position);
      }
    }
    ASSERT_EQ(k, plain.layers[l].size());
  }
}

/// Trims both to `n_tokens`, or checks that it is refused and nothing is changed.
void trim_and_check(LayeredMap& map, PlainLayers& plain, std::int64_t n_tokens) {
  PlainLayers after = plain;
  bool can_trim = true;
  std::int64_t first_gone = plain.next_position;
  for (auto& layer : after.layers) {
    std::erase_if(layer, [&](const PlainToken& token) { return token.index >= n_tokens; });
    can_trim = can_trim && layer.size() == after.layers.front().size() &&
               (n_tokens == 0 || (!layer.empty() && layer.back().index == n_tokens - 1));
  }
  if (!can_trim) {
    ASSERT_THROW((void)map.trim(n_tokens), Error);
    return;
  }
  const std::size_t n_left = after.layers.front().size();
  for (const auto& layer : plain.layers) {
    if (n_left == layer.size()) continue;
    const std::int64_t position = layer[n_left].position;
    first_gone = first_gone == plain.next_position ? position : std::max(first_gone, position);
  }
  const std::vector<PositionRange> removed = map.trim(n_tokens);
  ASSERT_EQ(removed.size(), n_left == plain.layers.front().size() ? 0U : 1U);
  if (!removed.empty()) {
    ASSERT_EQ(removed.front(), (PositionRange{first_gone, plain.next_position}));
  }
  plain = std::move(after);
  plain.n_seen = n_tokens;
  plain.next_position = 0;
  if (n_left > 0) plain.next_position = map.layer(0).next_position();
}

TEST(LayeredMapTest, IsTheVectorModelOverRandomSteps) {
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    PlainLayers plain;
    plain.append(20);
    CacheMap shared;
    shared.append(20);
    LayeredMap map(shared, kLayers);
    for (int step = 0; step < 25; ++step) {
      const auto n_held = static_cast<std::int64_t>(plain.layers.front().size());
      const auto choice = random() % 5;
      if (choice == 0 || n_held < 3) {
        const auto n = static_cast<std::int64_t>(1 + random() % 9);
        plain.append(n);
        map.append(n);
      } else if (choice == 4) {
        const auto n_back = static_cast<std::int64_t>(random() % 6);
        ASSERT_NO_FATAL_FAILURE(trim_and_check(map, plain, std::max<std::int64_t>(0, plain.n_seen - n_back)));
        if (plain.n_seen == 0) break;
      } else {
        const auto n = static_cast<std::int64_t>(1 + random() % static_cast<unsigned>(n_held));
        const KeepPlan plan = random_plan(plain, n, random);
        ASSERT_EQ(map.drops_tokens(plan), n < n_held);
        ASSERT_NO_FATAL_FAILURE(retain_and_check(map, plain, plan, choice == 1));
      }
      ASSERT_NO_FATAL_FAILURE(expect_same(map, plain));
    }
  }
}

TEST(LayeredMapTest, RefusesLayersOfDifferentLengthAndTheLossOfTheNewest) {
  CacheMap shared;
  shared.append(10);
  LayeredMap map(shared, 2);
  const KeepSet three = KeepSet::from_ranges({{0, 2}, {9, 10}});
  const KeepSet four = KeepSet::from_ranges({{0, 3}, {9, 10}});
  EXPECT_THROW((void)map.retain(KeepPlan({three, four}, {0, 1}), false), Error);
  const KeepSet without_newest = KeepSet::from_ranges({{0, 3}});
  EXPECT_THROW((void)map.retain(KeepPlan({three, without_newest}, {0, 1}), false), Error);
  EXPECT_EQ(map.held(), KeepPlan(KeepSet::all(10)));  // nothing was done
  EXPECT_NO_THROW((void)map.retain(KeepPlan({three, without_newest}, {0, 1}), true));
}

TEST(LayeredMapTest, AddsTheTurnsThatWereStillToBeDone) {
  CellArrangement arrangement;
  arrangement.rows = {{.source_slots = {0, 3}, .rotations = {}},
                      {.source_slots = {1, 2}, .rotations = {5, 6}}};
  EXPECT_TRUE(rotates_keys(arrangement));
  // Positions 0 4 8 9; first those from 4 to 7 move down by 2, then those from 8 on by 5.
  add_waiting_rotations(arrangement, std::vector<std::int64_t>{0, 4, 8, 9},
                        std::vector<PositionShift>{{{4, 8}, -2}, {{8, 20}, -5}});
  EXPECT_EQ(arrangement.rows[0].rotations, (std::vector<std::int32_t>{0, -5}));
  EXPECT_EQ(arrangement.rows[1].rotations, (std::vector<std::int32_t>{3, 1}));
}

}  // namespace
}  // namespace kvevict
