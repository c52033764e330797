#include "kvevict/simple_evict.h"

#include <algorithm>
#include <cmath>

#include "kvevict/error.h"
#include "policy/middle_pieces.h"

namespace kvevict {
namespace {

void require_in_range(const char* field, std::int64_t value, std::int64_t least) {
  if (value >= least && value <= kMaxTokens) return;
  throw Error(ErrorCode::kInvalidArgument,
              std::string(field) + " is " + std::to_string(value) + ": a number of tokens from " +
                  std::to_string(least) + " to " + std::to_string(kMaxTokens) + " is needed",
              field);
}

void append_uniform_by_budget(const MiddlePieces& pieces, std::int64_t budget, std::int64_t block_n,
                              KeepSet& kept) {
  const std::int64_t m = pieces.count();
  const std::int64_t k = std::min(m, budget / block_n);
  if (k == 0) {
    const TokenRange piece = pieces[m / 2];
    kept.append(piece.begin, std::min(piece.end, piece.begin + budget));
    return;
  }
  for (std::int64_t i = 0; i < k; ++i) {
    const TokenRange piece = pieces[(2 * i + 1) * m / (2 * k)];
    kept.append(piece.begin, piece.end);
  }
}

/// The number of the i-th of k blocks spread over n, k > 1, both ends included. In single precision and from
/// the nearer end, as torch.linspace(0, n - 1, k) computes it: exact numbers differ for some n and k.
std::int64_t end_to_end(std::int64_t i, std::int64_t k, std::int64_t n) {
  const auto last = static_cast<float>(n - 1);
  const float step = last / static_cast<float>(k - 1);
  const float at =
      i < k / 2 ? step * static_cast<float>(i) : std::fma(-step, static_cast<float>(k - 1 - i), last);
  return static_cast<std::int64_t>(at);
}

void append_whole_blocks(TokenRange middle, std::int64_t block_n, const SimpleEvictConfig& config,
                         KeepSet& kept) {
  const std::int64_t first = (middle.begin + block_n - 1) / block_n;
  const std::int64_t n = middle.end / block_n - first;
  const auto append = [&](std::int64_t number) {
    kept.append((first + number) * block_n, (first + number + 1) * block_n);
  };
  if (config.uniform_stride > 0) {
    for (std::int64_t number = 0; number < n; number += config.uniform_stride) append(number);
    return;
  }
  if (config.middle_budget_tokens == 0 || n <= 0) return;
  const std::int64_t k = std::max<std::int64_t>(1, config.middle_budget_tokens / block_n);
  if (k >= n) {
    kept.append(first * block_n, (first + n) * block_n);
    return;
  }
  constexpr std::int64_t kMostBlocks = std::int64_t{1} << 24;  // single precision tells no more apart
  if (n > kMostBlocks) {
    throw Error(ErrorCode::kInvalidArgument,
                "spacing=ends of " + std::to_string(n) + " blocks: at most " + std::to_string(kMostBlocks) +
                    " can be told apart, give a larger block",
                "block_n");
  }
  append(0);
  for (std::int64_t i = 1; i < k; ++i) append(end_to_end(i, k, n));
}

void append_middle(TokenRange middle, std::int64_t block_n, const SimpleEvictConfig& config, KeepSet& kept) {
  if (config.middle_strategy == "none" || middle.count() == 0) return;
  if (config.spacing == kSpacingEnds) {
    append_whole_blocks(middle, block_n, config, kept);
    return;
  }
  const MiddlePieces pieces(middle.begin, middle.end, block_n);
  if (config.uniform_stride > 0) {
    for (std::int64_t number = 0; number < pieces.count(); number += config.uniform_stride) {
      kept.append(pieces[number].begin, pieces[number].end);
    }
  } else if (config.middle_budget_tokens >= middle.count()) {
    kept.append(middle.begin, middle.end);
  } else if (config.middle_budget_tokens > 0) {
    append_uniform_by_budget(pieces, config.middle_budget_tokens, block_n, kept);
  }
}

}  // namespace

void validate(const SimpleEvictConfig& config, std::int64_t block_n) {
  require_in_range("sink_tokens", config.sink_tokens, 0);
  require_in_range("recent_tokens", config.recent_tokens, 1);
  require_in_range("middle_budget", config.middle_budget_tokens, 0);
  require_in_range("uniform_stride", config.uniform_stride, 0);
  require_in_range("block_n", block_n, 1);
  if (config.middle_strategy != "none" && config.middle_strategy != "uniform") {
    throw Error(ErrorCode::kInvalidArgument,
                "middle_strategy is \"" + config.middle_strategy + "\": \"none\" or \"uniform\" is needed");
  }
  if (config.spacing != kSpacingMidpoints && config.spacing != kSpacingEnds) {
    throw Error(ErrorCode::kInvalidArgument,
                "spacing is " + std::to_string(config.spacing) + ": midpoints (0) or ends (1) is needed",
                "spacing");
  }
}

KeepSet build_simple_keep_token_idx(std::int64_t total_len, std::int64_t block_n,
                                    const SimpleEvictConfig& config) {
  validate(config, block_n);
  require_in_range("total_len", total_len, 0);
  const std::int64_t sink_end = std::min(config.sink_tokens, total_len);
  const std::int64_t recent_begin = std::max(sink_end, total_len - config.recent_tokens);
  KeepSet kept;
  kept.append(0, sink_end);
  append_middle({sink_end, recent_begin}, block_n, config, kept);
  kept.append(recent_begin, total_len);
  return kept;
}

}  // namespace kvevict
