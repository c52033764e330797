#include "engine/layered_map.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

std::vector<std::int64_t> positions_of(const CacheMap& map) {
  std::vector<std::int64_t> positions;
  positions.reserve(static_cast<std::size_t>(map.n_held()));
  for (const HeldRun& run : map.runs()) {
    for (std::int64_t i = 0; i < run.indices.count(); ++i) positions.push_back(run.first_position + i);
  }
  return positions;
}

/// The places that the tokens of `kept` have among those of `held`, which contains them.
std::vector<std::int32_t> places_in(const KeepSet& held, const KeepSet& kept) {
  std::vector<std::int32_t> places;
  places.reserve(static_cast<std::size_t>(kept.count()));
  std::int64_t n_before = 0;
  auto range = held.ranges().begin();
  for (const TokenRange& wanted : kept.ranges()) {
    for (std::int64_t index = wanted.begin; index < wanted.end; ++index) {
      for (; range->end <= index; ++range) n_before += range->count();
      places.push_back(static_cast<std::int32_t>(n_before + index - range->begin));
    }
  }
  return places;
}

void require_equal_counts(const std::vector<CacheMap>& maps) {
  for (const CacheMap& map : maps) {
    if (map.n_held() == maps.front().n_held()) continue;
    throw Error(ErrorCode::kInvalidArgument, "one layer would hold " + std::to_string(maps.front().n_held()) +
                                                 " tokens and another " + std::to_string(map.n_held()) +
                                                 ": llama.cpp's cells need equally many in each layer");
  }
}

}  // namespace

bool rotates_keys(const CellArrangement& arrangement) {
  return std::any_of(arrangement.rows.begin(), arrangement.rows.end(), [](const LayerRows& rows) {
    return std::any_of(rows.rotations.begin(), rows.rotations.end(),
                       [](std::int32_t turn) { return turn != 0; });
  });
}

void add_waiting_rotations(CellArrangement& arrangement, std::span<const std::int64_t> positions,
                           std::span<const PositionShift> waiting) {
  if (waiting.empty()) return;
  std::vector<std::int32_t> rotation_of_slot;
  for (const std::int64_t before : positions) {
    std::int64_t position = before;
    for (const PositionShift& shift : waiting) {
      if (position >= shift.positions.begin && position < shift.positions.end) position += shift.delta;
    }
    rotation_of_slot.push_back(static_cast<std::int32_t>(position - before));
  }
  for (LayerRows& rows : arrangement.rows) {
    rows.rotations.resize(rows.source_slots.size(), 0);
    for (std::size_t k = 0; k < rows.source_slots.size(); ++k)
      rows.rotations[k] += rotation_of_slot[static_cast<std::size_t>(rows.source_slots[k])];
  }
}

LayeredMap::LayeredMap(std::vector<CacheMap> maps, std::vector<std::size_t> map_of_layer)
    : maps_(std::move(maps)), map_of_layer_(std::move(map_of_layer)) {
  const auto is_sound = [&](std::size_t number) { return number < maps_.size(); };
  bool agree = !maps_.empty() && std::all_of(map_of_layer_.begin(), map_of_layer_.end(), is_sound);
  for (const CacheMap& map : maps_) {
    agree = agree && map.n_held() == maps_.front().n_held() && map.n_seen() == maps_.front().n_seen() &&
            map.next_position() == maps_.front().next_position();
  }
  if (!agree) throw Error(ErrorCode::kBadData, "the records of the layers of a cache contradict each other");
}

void LayeredMap::prepare_append() {
  for (CacheMap& map : maps_) map.prepare_append();
}

void LayeredMap::append(std::int64_t n_tokens) {
  for (CacheMap& map : maps_) map.append(n_tokens);
}

KeepPlan LayeredMap::held() const {
  if (maps_.size() == 1) return KeepPlan(maps_.front().held());
  std::vector<KeepSet> sets;
  for (const CacheMap& map : maps_) sets.push_back(map.held());
  return {std::move(sets), map_of_layer_};
}

std::vector<std::int64_t> LayeredMap::slot_positions() const {
  std::vector<std::int64_t> largest = positions_of(maps_.front());
  for (std::size_t m = 1; m < maps_.size(); ++m) {
    const std::vector<std::int64_t> positions = positions_of(maps_[m]);
    for (std::size_t k = 0; k < largest.size(); ++k) largest[k] = std::max(largest[k], positions[k]);
  }
  return largest;
}

bool LayeredMap::drops_tokens(const KeepPlan& plan) const {
  plan.require_layers(map_of_layer_.size());
  const KeepPlan kept = held().intersect(plan);
  for (std::size_t l = 0; l < map_of_layer_.size(); ++l) {
    if (kept.layer(l).count() < layer(l).n_held()) return true;
  }
  return false;
}

CellArrangement LayeredMap::retain(const KeepPlan& plan, bool pack) {
  plan.require_layers(map_of_layer_.size());
  std::vector<CacheMap> maps;
  std::vector<std::size_t> map_of_layer;
  CellArrangement arrangement;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> number_of;
  for (std::size_t l = 0; l < map_of_layer_.size(); ++l) {
    const auto [place, is_new] = number_of.try_emplace({map_of_layer_[l], plan.set_number(l)}, maps.size());
    map_of_layer.push_back(place->second);
    if (!is_new) continue;
    const CacheMap& before = layer(l);
    CacheMap& map = maps.emplace_back(before);
    static_cast<void>(map.retain(plan.layer(l)));
    if (!pack && map.n_seen() > 0 && !map.held().contains(map.n_seen() - 1)) {
      throw Error(ErrorCode::kInvalidArgument,
                  "the newest token cannot be dropped from a cache whose layers differ: keep more recent "
                  "tokens, or use packed positions");
    }
    LayerRows& rows = arrangement.rows.emplace_back();
    rows.source_slots = places_in(before.held(), map.held());
    if (!pack) continue;
    for (const std::int64_t position : positions_of(map)) {
      rows.rotations.push_back(
          static_cast<std::int32_t>(static_cast<std::int64_t>(rows.rotations.size()) - position));
    }
    static_cast<void>(map.pack());
  }
  require_equal_counts(maps);
  maps_ = std::move(maps);
  map_of_layer_ = map_of_layer;
  arrangement.rows_of_layer = std::move(map_of_layer);
  arrangement.positions = slot_positions();
  return arrangement;
}

std::vector<PositionRange> LayeredMap::trim(std::int64_t n_tokens) {
  const std::vector<std::int64_t> positions = slot_positions();
  std::vector<CacheMap> maps = maps_;
  for (CacheMap& map : maps) static_cast<void>(map.trim(n_tokens));
  require_equal_counts(maps);
  maps_ = std::move(maps);
  const auto n_held = static_cast<std::size_t>(maps_.front().n_held());
  if (n_held == positions.size()) return {};
  return {{positions[n_held], positions.back() + 1}};
}

}  // namespace kvevict
