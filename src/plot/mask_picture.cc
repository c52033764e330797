#include "plot/mask_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "plot/colours.h"
#include "plot/keep_cells.h"
#include "plot/layout.h"

namespace kvevict::plot {
namespace {

constexpr Margins kMargins = {.left = 98, .right = 24, .top = 64, .bottom = 84};
constexpr std::int64_t kMostRows = 512;
constexpr std::int64_t kMostChunks = 65536;

/// One drawn row: some chunks, the share of each part of the past that they see.
struct MaskRow {
  TokenRange tokens;
  std::vector<KeepCell> seen;
};

void require_drawable(const MaskPicture& picture) {
  require_layer(picture.layer, picture.n_layers);
  if (picture.n_tokens < 1 || picture.n_tokens > kMaxTokens || picture.n_chunk < 1) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format(
            "a mask of {} tokens in chunks of {} cannot be drawn: 1 to {} tokens and chunks of at least 1 "
            "are needed",
            picture.n_tokens, picture.n_chunk, kMaxTokens));
  }
  if ((picture.n_tokens - 1) / picture.n_chunk >= kMostChunks) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("a mask of {} tokens in chunks of {} has more than {} chunks: larger chunks are needed",
                    picture.n_tokens, picture.n_chunk, kMostChunks));
  }
}

struct MaskRows {
  std::vector<MaskRow> rows;
  double n_seen = 0;  ///< Pairs of tokens of which one sees the other.
};

/// Joins `n_joined` chunks into one row if that is more than 1.
class RowGatherer {
 public:
  RowGatherer(const MaskPicture& picture, int n_columns, std::int64_t n_joined)
      : n_tokens_(picture.n_tokens),
        layer_(static_cast<std::size_t>(picture.layer)),
        n_joined_(n_joined),
        sums_(static_cast<std::size_t>(n_columns), 0) {}

  void add(const BoundedChunk& chunk) {
    const int n_columns = static_cast<int>(sums_.size());
    const KeepSet& cached = chunk.cached.layer(layer_);
    const auto n = static_cast<double>(chunk.tokens.count());
    result_.n_seen += n * static_cast<double>(cached.count()) + n * (n + 1) / 2;
    if (n_joined_ == 1) {
      result_.rows.push_back({chunk.tokens, keep_cells(cached, n_tokens_, n_columns)});
      return;
    }
    if (n_in_row_ == 0) result_.rows.push_back({chunk.tokens, {}});
    const std::vector<double> shares = column_shares(cached, n_tokens_, n_columns);
    for (std::size_t i = 0; i < sums_.size(); ++i) sums_[i] += shares[i];
    result_.rows.back().tokens.end = chunk.tokens.end;
    if (++n_in_row_ == n_joined_ || chunk.tokens.end == n_tokens_) end_row();
  }

  [[nodiscard]] MaskRows take() { return std::move(result_); }

 private:
  void end_row() {
    for (double& sum : sums_) sum /= static_cast<double>(n_in_row_);
    result_.rows.back().seen = joined_columns(sums_, n_tokens_);
    std::fill(sums_.begin(), sums_.end(), 0);
    n_in_row_ = 0;
  }

  std::int64_t n_tokens_;
  std::size_t layer_;
  std::int64_t n_joined_;
  std::vector<double> sums_;
  std::int64_t n_in_row_ = 0;
  MaskRows result_;
};

MaskRows mask_rows(const MaskPicture& picture, int n_columns) {
  const std::int64_t n_chunks = (picture.n_tokens + picture.n_chunk - 1) / picture.n_chunk;
  RowGatherer gatherer(picture, n_columns, (n_chunks + kMostRows - 1) / kMostRows);
  for_each_bounded_chunk(*make_policy(picture.spec), picture.n_tokens, picture.n_chunk, picture.n_layers,
                         [&](const BoundedChunk& chunk) { gatherer.add(chunk); });
  return gatherer.take();
}

std::string add_seen(GnuplotScript& script, const std::vector<MaskRow>& rows) {
  std::map<double, std::vector<std::pair<KeepCell, TokenRange>>, std::greater<>> by_share = {{1.0, {}}};
  for (const MaskRow& row : rows) {
    for (const KeepCell& cell : row.seen) by_share[cell.share].push_back({cell, row.tokens});
  }
  std::string plots;
  for (const auto& [share, cells] : by_share) {
    const std::string name = share == 1 ? "seen" : fmt::format("seen{:.0f}", share * 1000);
    script.begin_data(name);
    for (const auto& [cell, tokens] : cells) {
      script.row({cell.begin, cell.end, static_cast<double>(tokens.begin), static_cast<double>(tokens.end)});
    }
    script.end_data();
    if (!cells.empty())
      plots +=
          ", " + boxes(name, mix(kEvictedColour, kKeptColour, share), share == 1 ? "seen in the cache" : "");
  }
  return plots;
}

/// A triangle for each row: what its tokens see of their own chunk.
std::string add_own_chunks(GnuplotScript& script, const std::vector<MaskRow>& rows) {
  script.begin_data("own");
  for (const MaskRow& row : rows) {
    const auto begin = static_cast<double>(row.tokens.begin);
    const auto end = static_cast<double>(row.tokens.end);
    script.row({begin, begin});
    script.row({begin, end});
    script.row({end, end});
    script.blank_row();
  }
  script.end_data();
  return fmt::format(
      ", $own using 1:2 with filledcurves closed linecolor rgb '{}' title 'seen in its own chunk'",
      to_hex(0x56B4E9));
}

/// Everything that could be seen without eviction: the lower triangle.
std::string add_causal(GnuplotScript& script, double n_tokens) {
  script.begin_data("causal");
  for (const auto& [x, y] : {std::pair{0.0, 0.0}, {0.0, n_tokens}, {n_tokens, n_tokens}}) script.row({x, y});
  script.end_data();
  return fmt::format("plot $causal using 1:2 with filledcurves closed linecolor rgb '{}' title 'evicted'",
                     to_hex(kEvictedColour));
}

}  // namespace

GnuplotScript mask_script(const MaskPicture& picture, PictureSize size) {
  require_drawable(picture);
  const auto [rows, n_seen] = mask_rows(picture, std::max(2, size.width - kMargins.left - kMargins.right));
  const auto n_tokens = static_cast<double>(picture.n_tokens);
  GnuplotScript script;
  add_margins(script, kMargins, Strip(size));
  add_titles(script,
             fmt::format("{}, bounded prefill in chunks of {}{}", to_string(picture.spec), picture.n_chunk,
                         layer_label(picture.spec, picture.layer, picture.n_layers)),
             fmt::format("{} tokens: {:.1f} % of the attention of a full prefill", picture.n_tokens,
                         200 * n_seen / (n_tokens * (n_tokens + 1))),
             kMargins, Strip(size));
  add_plain_axes(script);
  script.add(fmt::format("set xrange [0:{0}]\nset yrange [{0}:0]\nset format y '%.0f'", picture.n_tokens));
  script.add("set xlabel 'token that is seen'\nset ylabel 'token that looks'");
  script.add(fmt::format(
      "set key at screen 0.5,{:.6f} center center horizontal maxrows 1 Left reverse samplen 2 width 1",
      16.0 / size.height));
  std::string plots = add_causal(script, n_tokens);
  plots += add_seen(script, rows);
  plots += add_own_chunks(script, rows);
  script.add(plots);
  return script;
}

void save_mask_picture(const MaskPicture& picture, const std::filesystem::path& path) {
  const PictureSize size = {800, 800};
  save_with_gnuplot(mask_script(picture, size), size, path);
}

}  // namespace kvevict::plot
