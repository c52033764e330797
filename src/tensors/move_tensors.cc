#include "tensors/move_tensors.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "tensors/move_rows.h"
#include "tensors/workers.h"

namespace kvevict {
namespace {

constexpr std::int64_t kBytesWorthThread = 1 << 20;  ///< Starting a thread costs as much as moving this.
constexpr std::int64_t kStashBytes = 256 << 10;      ///< Rows that move by less share a lane by stashing.

std::int64_t last_cache_bytes() noexcept {
  const auto bytes = static_cast<std::int64_t>(::sysconf(_SC_LEVEL3_CACHE_SIZE));
  return bytes > 0 ? bytes : std::int64_t{32} << 20;
}

/// Begin of the share of [0, n) of the worker `number`.
std::int64_t share(std::int64_t n, int number, int n_workers) {
  return n * number / n_workers;
}

Lane lane_of(const Lanes& lanes, std::int64_t number) {
  return {lanes.lane(number), lanes.row_bytes, lanes.row_stride};
}

class Mover {
 public:
  Mover(std::span<const TensorMove> tensors, int n_threads) : tensors_(tensors) {
    std::int64_t total = 0;
    for (const TensorMove& tensor : tensors) total += tensor.total_bytes();
    streaming_ = total >= last_cache_bytes();
    n_threads_ = std::clamp<std::int64_t>(total / kBytesWorthThread, 1, n_threads);
    const std::int64_t long_lane = std::max(total / (4 * n_threads_), kBytesWorthThread);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (tensors[i].total_bytes() == 0) continue;
      const bool is_long = n_threads_ > 1 && tensors[i].lane_bytes() > long_lane;
      if (is_long) {
        shared_.push_back(i);
      } else {
        single_.push_back({n_single_lanes_, i});
        n_single_lanes_ += tensors[i].lanes.n_lanes;
      }
    }
    if (!shared_.empty()) stashes_.resize(static_cast<std::size_t>(n_threads_ * kStashBytes));
    grab_ = std::max<std::int64_t>(1, n_single_lanes_ / (16 * n_threads_));
  }

  int run() {
    if (shared_.empty() && single_.empty()) return 0;
    return run_workers(static_cast<int>(n_threads_), [this](const Worker& worker) { work(worker); });
  }

 private:
  struct SingleLanes {
    std::int64_t first_lane;  ///< Among all lanes that are not shared.
    std::size_t tensor;
  };

  void work(const Worker& worker) noexcept {
    for (const std::size_t i : shared_) {
      for (std::int64_t lane = 0; lane < tensors_[i].lanes.n_lanes; ++lane) {
        share_lane(tensors_[i], lane_of(tensors_[i].lanes, lane), worker);
      }
    }
    for (;;) {
      const std::int64_t begin = next_lane_.fetch_add(grab_, std::memory_order_relaxed);
      if (begin >= n_single_lanes_) return;
      move_lanes(begin, std::min(begin + grab_, n_single_lanes_));
    }
  }

  void move_lanes(std::int64_t begin, std::int64_t end) const noexcept {
    auto at = std::upper_bound(single_.begin(), single_.end(), begin,
                               [](std::int64_t lane, const SingleLanes& s) { return lane < s.first_lane; }) -
              1;
    for (std::int64_t lane = begin; lane < end; ++lane) {
      if (at + 1 != single_.end() && lane == (at + 1)->first_lane) ++at;
      const TensorMove& tensor = tensors_[at->tensor];
      move_rows(lane_of(tensor.lanes, lane - at->first_lane), RowWalk(tensor.keep), tensor.n_kept,
                streaming_);
    }
  }

  void share_lane(const TensorMove& tensor, const Lane& lane, const Worker& worker) noexcept {
    RowWalk walk(tensor.keep);
    walk.advance_to(tensor.n_kept - tensor.n_moved);
    const RowWalk begin = walk;
    while (!walk.done() && (walk.from() - walk.to()) * lane.row_bytes < kStashBytes) walk.take(tensor.n_kept);
    const std::int64_t near_end = walk.done() ? tensor.n_kept : walk.to();
    const bool some_near = begin.to() < near_end;
    if (some_near) share_near(lane, begin, near_end, worker);
    for (bool first = !some_near; !walk.done(); first = false) {
      if (!first) worker.barrier->arrive_and_wait();
      share_apart(lane, walk, std::min(walk.from(), tensor.n_kept), worker);
    }
  }

  /// Rows that move by less than a stash: what a worker reads out of the pieces of others is stashed
  /// before anyone writes.
  void share_near(const Lane& lane, RowWalk mine, std::int64_t end, const Worker& worker) noexcept {
    const std::int64_t n = end - mine.to(), first = mine.to();
    const std::int64_t my_end = first + share(n, worker.number + 1, worker.n_workers);
    mine.advance_to(first + share(n, worker.number, worker.n_workers));
    RowWalk beyond = mine;
    beyond.advance_past(my_end);
    const std::int64_t stashed = beyond.done() ? my_end : std::min(beyond.to(), my_end);
    std::byte* const stash = stashes_.data() + worker.number * kStashBytes;
    stash_rows(lane, beyond, my_end, stash);
    worker.barrier->arrive_and_wait();
    move_rows(lane, mine, stashed, streaming_);
    unstash_rows(lane, stashed, my_end, stash);
  }

  /// Rows up to `end`, behind which all of them are read.
  void share_apart(const Lane& lane, RowWalk& walk, std::int64_t end, const Worker& worker) const noexcept {
    const std::int64_t n = end - walk.to(), first = walk.to();
    RowWalk mine = walk;
    mine.advance_to(first + share(n, worker.number, worker.n_workers));
    move_rows(lane, mine, first + share(n, worker.number + 1, worker.n_workers), streaming_);
    walk.advance_to(end);
  }

  std::span<const TensorMove> tensors_;
  std::int64_t n_threads_ = 1;
  bool streaming_ = false;
  std::vector<std::size_t> shared_;
  std::vector<std::byte> stashes_;  ///< One for each worker.
  std::vector<SingleLanes> single_;
  std::int64_t n_single_lanes_ = 0;
  std::int64_t grab_ = 1;
  std::atomic<std::int64_t> next_lane_{0};
};

}  // namespace

TensorMove tensor_move(const KvView& view, const KeepSet& keep) {
  TensorMove move{lanes_of(view), keep.ranges(), keep.count(), 0};
  RowWalk walk(move.keep);
  if (!walk.done() && walk.from() == 0) walk.take(move.n_kept);  // only the first range can be in its place
  move.n_moved = move.n_kept - (walk.done() ? move.n_kept : walk.to());
  return move;
}

int move_tensors(std::span<const TensorMove> tensors, int n_threads) {
  return Mover(tensors, n_threads).run();
}

}  // namespace kvevict
