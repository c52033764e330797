#include "kvevict/simple_evict.h"

#include <algorithm>

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

void append_middle(TokenRange middle, std::int64_t block_n, const SimpleEvictConfig& config, KeepSet& kept) {
  if (config.middle_strategy == "none" || middle.count() == 0) return;
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
