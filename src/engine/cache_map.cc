#include "engine/cache_map.h"

#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {

CacheMap::CacheMap(std::span<const HeldRun> runs, std::int64_t n_seen, std::int64_t next_position)
    : n_seen_(n_seen), next_position_(next_position) {
  std::int64_t index = 0;
  std::int64_t position = 0;
  bool is_sound = true;
  for (const HeldRun& run : runs) {
    is_sound =
        is_sound && run.indices.begin >= index && run.indices.count() > 0 && run.first_position >= position;
    if (!is_sound) break;
    index = run.indices.end;
    position = run.first_position + run.indices.count();
    add_run(run);
  }
  if (!is_sound || index > n_seen || position > next_position ||
      (position < next_position && index == n_seen)) {
    throw Error(ErrorCode::kBadData,
                "the record of a cache with " + std::to_string(n_seen) +
                    " tokens seen contradicts itself: ascending runs within them are needed");
  }
}

void CacheMap::add_run(const HeldRun& run) {
  if (run.indices.count() == 0) return;
  held_.append(run.indices.begin, run.indices.end);
  n_held_ += run.indices.count();
  if (!runs_.empty()) {
    HeldRun& last = runs_.back();
    const bool goes_on = last.indices.end == run.indices.begin &&
                         last.first_position + last.indices.count() == run.first_position;
    if (goes_on) {
      last.indices.end = run.indices.end;
      return;
    }
  }
  runs_.push_back(run);
}

void CacheMap::prepare_append() {
  if (runs_.size() == runs_.capacity()) runs_.reserve(2 * runs_.size() + 1);
  held_.reserve(held_.ranges().size() + 1);
}

void CacheMap::append(std::int64_t n_tokens) {
  add_run({{n_seen_, n_seen_ + n_tokens}, next_position_});
  n_seen_ += n_tokens;
  next_position_ += n_tokens;
}

std::vector<PositionRange> CacheMap::retain(const KeepSet& keep) {
  std::vector<PositionRange> removed;
  const std::vector<HeldRun> before = std::exchange(runs_, {});
  held_ = {};
  n_held_ = 0;
  const auto position_in = [](const HeldRun& run, std::int64_t index) {
    return run.first_position + index - run.indices.begin;
  };
  for (const HeldRun& run : before) {
    const KeepSet whole = KeepSet::from_ranges({run.indices});
    const KeepSet kept = whole.intersect(keep);
    for (const TokenRange& range : kept.ranges()) add_run({range, position_in(run, range.begin)});
    const KeepSet gone = whole.subtract(kept);
    for (const TokenRange& range : gone.ranges()) {
      removed.push_back({position_in(run, range.begin), position_in(run, range.end)});
    }
  }
  return removed;
}

std::vector<PositionRange> CacheMap::trim(std::int64_t n_tokens) {
  if (n_tokens < 0 || n_tokens > n_seen_ || (n_tokens > 0 && !held_.contains(n_tokens - 1))) {
    throw Error(ErrorCode::kInvalidArgument,
                "the cache cannot be trimmed to its first " + std::to_string(n_tokens) + " tokens: " +
                    std::to_string(n_seen_) + " were seen, and the last one that stays must still be held");
  }
  std::vector<PositionRange> removed = retain(KeepSet::all(n_tokens));
  n_seen_ = n_tokens;
  next_position_ = runs_.empty() ? 0 : runs_.back().first_position + runs_.back().indices.count();
  return removed;
}

std::vector<PositionShift> CacheMap::pack() {
  std::vector<PositionShift> shifts;
  const std::vector<HeldRun> before = std::exchange(runs_, {});
  held_ = {};
  n_held_ = 0;
  for (const HeldRun& run : before) {
    const std::int64_t target = n_held_;
    if (target != run.first_position) {
      shifts.push_back(
          {{run.first_position, run.first_position + run.indices.count()}, target - run.first_position});
    }
    add_run({run.indices, target});
  }
  next_position_ = n_held_;
  return shifts;
}

}  // namespace kvevict
