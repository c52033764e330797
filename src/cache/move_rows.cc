#include "cache/move_rows.h"

#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace kvevict {
namespace {

/// Stores past the caches pay for runs that are long (the processor's own prefetching follows them)
/// and not so near to their place that they find it in the first cache.
constexpr std::int64_t kLeastStreamedBytes = 16 << 10;
constexpr std::int64_t kLeastStreamedDistance = 32 << 10;

/// Few elements of a dense strip are moved one by one: a call would cost more than they do.
constexpr std::int64_t kFewElements = 16;

#if defined(__SSE2__)
constexpr std::int64_t kLine = 64;

/// Moves n bytes forward (to < from) through registers, a cache line at a time, each read whole
/// before it is written, so that the two may overlap.
void stream_forward(std::byte* to, const std::byte* from, std::int64_t n) noexcept {
  const auto misaligned = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(to) % kLine);
  const std::int64_t head = misaligned == 0 ? 0 : std::min(n, kLine - misaligned);
  if (head > 0) std::memmove(to, from, static_cast<std::size_t>(head));
  std::int64_t done = head;
  for (; done + kLine <= n; done += kLine) {
    const auto* source = reinterpret_cast<const __m128i*>(from + done);
    auto* target = reinterpret_cast<__m128i*>(to + done);
    const __m128i a = _mm_loadu_si128(source);
    const __m128i b = _mm_loadu_si128(source + 1);
    const __m128i c = _mm_loadu_si128(source + 2);
    const __m128i d = _mm_loadu_si128(source + 3);
    _mm_stream_si128(target, a);
    _mm_stream_si128(target + 1, b);
    _mm_stream_si128(target + 2, c);
    _mm_stream_si128(target + 3, d);
  }
  if (done < n) std::memmove(to + done, from + done, static_cast<std::size_t>(n - done));
}

void finish_streaming() noexcept {
  _mm_sfence();
}
#else
void stream_forward(std::byte* to, const std::byte* from, std::int64_t n) noexcept {
  std::memmove(to, from, static_cast<std::size_t>(n));
}

void finish_streaming() noexcept {}
#endif

void move_dense(const Strip& strip, const RowRun& run, bool streaming) noexcept {
  const std::int64_t first = strip.stride < 0 ? run.n - 1 : 0;  // the row with the lowest address
  std::byte* const to = strip.base + (run.to + first) * strip.stride;
  const std::byte* const from = strip.base + (run.from + first) * strip.stride;
  const std::int64_t n_bytes = run.n * strip.n_bytes;
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
void move_small(const Strip& strip, const RowRun& run) noexcept {
  std::byte* to = strip.base + run.to * strip.stride;
  const std::byte* from = strip.base + run.from * strip.stride;
  for (std::int64_t i = 0; i < run.n; ++i, to += strip.stride, from += strip.stride)
    std::memcpy(to, from, kBytes);
}

void move_apart(const Strip& strip, const RowRun& run) noexcept {
  switch (strip.n_bytes) {
    case 1:
      return move_small<1>(strip, run);
    case 2:
      return move_small<2>(strip, run);
    case 4:
      return move_small<4>(strip, run);
    case 64:
      return move_small<64>(strip, run);
    default:
      break;
  }
  std::byte* to = strip.base + run.to * strip.stride;
  const std::byte* from = strip.base + run.from * strip.stride;
  for (std::int64_t i = 0; i < run.n; ++i, to += strip.stride, from += strip.stride) {
    std::memcpy(to, from, static_cast<std::size_t>(strip.n_bytes));
  }
}

}  // namespace

void move_rows(const Strip& strip, RowWalk walk, std::int64_t to_end, bool streaming) noexcept {
  if (strip.n_bytes == 0) return;
  while (!walk.done() && walk.to() < to_end) {
    const RowRun run = walk.take(to_end - walk.to());
    if (run.from == run.to) continue;
    const bool few = strip.n_bytes <= 4 && run.n < kFewElements;
    if (strip.is_dense() && !few) {
      move_dense(strip, run, streaming);
    } else {
      move_apart(strip, run);
    }
  }
  if (streaming) finish_streaming();
}

}  // namespace kvevict
