#include "tensors/move_rows.h"

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace kvevict {
namespace {

/// Stores past the caches pay for runs that are long (the processor's own prefetching follows them)
/// and not so near to their place that they find it in the first cache.
constexpr std::int64_t kLeastStreamedBytes = 16 << 10;
constexpr std::int64_t kLeastStreamedDistance = 32 << 10;

/// Few elements of a dense strip are moved one by one: a call would cost more than they do.
constexpr std::int64_t kFewElements = 16;

#if defined(__x86_64__)
constexpr std::int64_t kLines = 128;  ///< Bytes moved at a time: two cache lines, four registers.

bool has_wide_stores() noexcept {
  return __builtin_cpu_supports("avx") != 0;
}

/// Moves n bytes forward (to < from, `to` on a cache line) past the caches; each piece is read whole
/// before it is written, so that the two may overlap. Returns the bytes moved: whole pieces only.
__attribute__((target("avx"))) std::int64_t stream_pieces(std::byte* to, const std::byte* from,
                                                          std::int64_t n) noexcept {
  std::int64_t done = 0;
  for (; done + kLines <= n; done += kLines) {
    const auto* source = reinterpret_cast<const __m256i*>(from + done);
    auto* target = reinterpret_cast<__m256i*>(to + done);
    const __m256i a = _mm256_loadu_si256(source);
    const __m256i b = _mm256_loadu_si256(source + 1);
    const __m256i c = _mm256_loadu_si256(source + 2);
    const __m256i d = _mm256_loadu_si256(source + 3);
    _mm256_stream_si256(target, a);
    _mm256_stream_si256(target + 1, b);
    _mm256_stream_si256(target + 2, c);
    _mm256_stream_si256(target + 3, d);
  }
  return done;
}

void finish_streaming() noexcept {
  _mm_sfence();
}
#else
constexpr std::int64_t kLines = 128;
bool has_wide_stores() noexcept {
  return false;
}
std::int64_t stream_pieces(std::byte*, const std::byte*, std::int64_t) noexcept {
  return 0;
}
void finish_streaming() noexcept {}
#endif

/// REQUIRES: to < from.
void stream_forward(std::byte* to, const std::byte* from, std::int64_t n) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(to);
  const std::int64_t head = std::min(n, static_cast<std::int64_t>((kLines - address % kLines) % kLines));
  std::memmove(to, from, static_cast<std::size_t>(head));
  const std::int64_t done = head + stream_pieces(to + head, from + head, n - head);
  std::memmove(to + done, from + done, static_cast<std::size_t>(n - done));
}

void move_dense(const Lane& lane, const RowRun& run, bool streaming) noexcept {
  const std::int64_t first = lane.stride < 0 ? run.n - 1 : 0;  // the row with the lowest address
  std::byte* const to = lane.row(run.to + first);
  const std::byte* const from = lane.row(run.from + first);
  const std::int64_t n_bytes = run.n * lane.row_bytes;
  const bool pays = n_bytes >= kLeastStreamedBytes && from - to >= kLeastStreamedDistance;
  if (streaming && pays) {
    stream_forward(to, from, n_bytes);
  } else {
    std::memmove(to, from, static_cast<std::size_t>(n_bytes));
  }
}

/// Rows of a size known when compiling, so that each is a few instructions. A row and its place
/// never overlap: they are different rows.
template <std::size_t kBytes>
void move_small(const Lane& lane, const RowRun& run) noexcept {
  std::byte* to = lane.row(run.to);
  const std::byte* from = lane.row(run.from);
  for (std::int64_t i = 0; i < run.n; ++i, to += lane.stride, from += lane.stride)
    std::memcpy(to, from, kBytes);
}

void move_one_by_one(const Lane& lane, const RowRun& run) noexcept {
  switch (lane.row_bytes) {
    case 1:
      return move_small<1>(lane, run);
    case 2:
      return move_small<2>(lane, run);
    case 4:
      return move_small<4>(lane, run);
    default:
      break;
  }
  std::byte* to = lane.row(run.to);
  const std::byte* from = lane.row(run.from);
  for (std::int64_t i = 0; i < run.n; ++i, to += lane.stride, from += lane.stride) {
    std::memcpy(to, from, static_cast<std::size_t>(lane.row_bytes));
  }
}

}  // namespace

void move_rows(const Lane& lane, RowWalk walk, std::int64_t to_end, bool streaming) noexcept {
  const bool tiny = lane.row_bytes <= 4;
  streaming = streaming && has_wide_stores();
  while (!walk.done() && walk.to() < to_end) {
    const RowRun run = walk.take(to_end - walk.to());
    if (run.from == run.to) continue;
    if (lane.is_dense() && !(tiny && run.n < kFewElements)) {
      move_dense(lane, run, streaming);
    } else {
      move_one_by_one(lane, run);
    }
  }
  if (streaming) finish_streaming();
}

void stash_rows(const Lane& lane, RowWalk walk, std::int64_t to_end, std::byte* stash) noexcept {
  while (!walk.done() && walk.to() < to_end) {
    const RowRun run = walk.take(to_end - walk.to());
    const bool together = lane.stride == lane.row_bytes;
    const std::int64_t n_pieces = together ? 1 : run.n;
    const std::int64_t piece_bytes = together ? run.n * lane.row_bytes : lane.row_bytes;
    for (std::int64_t i = 0; i < n_pieces; ++i, stash += piece_bytes) {
      std::memcpy(stash, lane.row(run.from + i), static_cast<std::size_t>(piece_bytes));
    }
  }
}

void unstash_rows(const Lane& lane, std::int64_t to_begin, std::int64_t to_end,
                  const std::byte* stash) noexcept {
  for (std::int64_t row = to_begin; row < to_end; ++row, stash += lane.row_bytes) {
    std::memcpy(lane.row(row), stash, static_cast<std::size_t>(lane.row_bytes));
  }
}

}  // namespace kvevict
