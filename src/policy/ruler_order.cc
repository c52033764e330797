#include "kvevict/simple_evict.h"

#include <bit>
#include <string>
#include <vector>

#include "kvevict/error.h"
#include "policy/middle_pieces.h"

namespace kvevict {
namespace {

/// The numbers of the `n_kept` pieces of highest value out of `n_pieces`, the newest first among equals.
std::vector<std::int64_t> pieces_by_value(std::int64_t n_pieces, std::int64_t n_kept) {
  std::vector<std::int64_t> numbers;
  if (n_kept < 1 || n_pieces < 1) return numbers;
  numbers.push_back(0);
  const auto n_values = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n_pieces - 1)));
  for (int value = n_values - 1; value >= 0; --value) {
    const std::int64_t step = std::int64_t{2} << value;  // odd multiples of 2^value are a step apart
    const std::int64_t first = step / 2;
    for (std::int64_t number = first + (n_pieces - 1 - first) / step * step; number >= first;
         number -= step) {
      if (static_cast<std::int64_t>(numbers.size()) == n_kept) return numbers;
      numbers.push_back(number);
    }
  }
  return numbers;
}

}  // namespace

std::int64_t ruler_middle_tokens(std::int64_t block_n, const SimpleEvictConfig& config) noexcept {
  return config.middle_strategy == "uniform" ? config.middle_budget_tokens / block_n * block_n : 0;
}

void require_ruler_order(const SimpleEvictConfig& config) {
  if (config.middle_strategy != "uniform") return;
  if (config.uniform_stride > 0) {
    throw Error(ErrorCode::kInvalidArgument, "a uniform stride (here " +
                                                 std::to_string(config.uniform_stride) +
                                                 ") has no bound in a stream: a middle budget is needed");
  }
  if (config.spacing == kSpacingEnds) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "spacing=ends chooses among all tokens, which a stream does not hold: leave spacing out, a stream's "
        "middle goes by ruler order",
        "spacing");
  }
}

KeepSet build_ruler_keep_token_idx(std::int64_t total_len, std::int64_t block_n,
                                   const SimpleEvictConfig& config) {
  require_ruler_order(config);
  validate(config, block_n);
  SimpleEvictConfig ends = config;
  ends.middle_strategy = "none";
  const KeepSet sink_and_recent = build_simple_keep_token_idx(total_len, block_n, ends);
  if (config.middle_strategy == "none") return sink_and_recent;
  const std::int64_t sink_end = std::min(config.sink_tokens, total_len);
  const std::int64_t recent_begin = std::max(sink_end, total_len - config.recent_tokens);
  if (config.middle_budget_tokens >= recent_begin - sink_end) return KeepSet::all(total_len);
  const MiddlePieces pieces(sink_end, recent_begin, block_n);
  std::vector<TokenRange> kept;
  for (const std::int64_t number : pieces_by_value(pieces.count(), config.middle_budget_tokens / block_n)) {
    kept.push_back(pieces[number]);
  }
  return sink_and_recent.unite(KeepSet::from_ranges(std::move(kept)));
}

}  // namespace kvevict
