#include "plot/cache_preview.h"

#include <fmt/format.h>

#include <algorithm>

#include "plot/keep_cells.h"
#include "plot/layout.h"

namespace kvevict::plot {
namespace {

constexpr int kMostRows = 16;
constexpr int kLabelWidth = 9;

struct Ink {
  const char* character;
  const char* colour;
};

constexpr Ink kKeptInk = {"█", "\x1b[34m"};
constexpr Ink kPartlyInk = {"▒", "\x1b[36m"};
constexpr Ink kEvictedInk = {"░", "\x1b[90m"};

Ink ink_of(double share) {
  if (share >= 1) return kKeptInk;
  return share > 0 ? kPartlyInk : kEvictedInk;
}

std::string painted(const Ink& ink, const std::string& text, bool has_colours) {
  return has_colours ? ink.colour + text + "\x1b[0m" : text;
}

std::string row_of(const std::vector<double>& shares, bool has_colours) {
  std::string row;
  for (std::size_t from = 0; from < shares.size();) {
    const Ink ink = ink_of(shares[from]);
    std::string run;
    for (; from < shares.size() && ink_of(shares[from]).character == ink.character; ++from)
      run += ink.character;
    row += painted(ink, run, has_colours);
  }
  return row;
}

/// The kept share of every column, on average over the layers `[begin, end)`.
std::vector<double> shares_of_layers(const CachePicture& picture, int begin, int end, int n_columns) {
  std::vector<double> sum(static_cast<std::size_t>(n_columns), 0);
  const bool is_shared = picture.layers.size() == 1;
  for (int layer = begin; layer < (is_shared ? begin + 1 : end); ++layer) {
    const KeepSet& kept = picture.layers[is_shared ? 0 : static_cast<std::size_t>(layer)];
    const std::vector<double> shares = column_shares(kept, picture.total_len, n_columns);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += shares[i] / (is_shared ? 1 : end - begin);
  }
  for (double& share : sum) share = share > 1 - 1e-9 ? 1 : share;
  return sum;
}

std::string label_of(const CachePicture& picture, int begin, int end) {
  if (!picture.has_layer_count) return "all";
  return end - begin == 1 ? fmt::format("{}", begin) : fmt::format("{}-{}", begin, end - 1);
}

/// "S" and "R" under the columns at which the boundaries lie.
std::string boundary_marks(const CachePicture& picture, int n_columns, bool has_colours) {
  std::string marks(static_cast<std::size_t>(n_columns) + 1, ' ');
  const auto column = [&](std::int64_t at) {
    return static_cast<std::size_t>(static_cast<double>(at) * n_columns /
                                    static_cast<double>(picture.total_len));
  };
  if (picture.recent_begin) marks[column(*picture.recent_begin)] = 'R';
  if (picture.sink_end) marks[column(*picture.sink_end)] = 'S';
  if (!has_colours) return marks;
  std::string painted_marks;
  for (const char c : marks) {
    painted_marks += c == 'S' ? "\x1b[31mS\x1b[0m" : c == 'R' ? "\x1b[32mR\x1b[0m" : std::string(1, c);
  }
  return painted_marks;
}

std::string legend(const CachePicture& picture, bool has_colours) {
  std::string text = painted(kKeptInk, kKeptInk.character, has_colours) + " kept  " +
                     painted(kPartlyInk, kPartlyInk.character, has_colours) + " partly  " +
                     painted(kEvictedInk, kEvictedInk.character, has_colours) + " evicted";
  if (picture.sink_end) text += fmt::format("  S: sink up to {}", *picture.sink_end);
  if (picture.recent_begin) text += fmt::format("  R: recent from {}", *picture.recent_begin);
  return text;
}

}  // namespace

std::string cache_preview(const CachePicture& picture, const PreviewOptions& options) {
  static_cast<void>(cache_script(picture, cache_picture_size(picture)));  // refuses what cannot be drawn
  const int n_columns = std::max(40, options.width) - kLabelWidth - 1;
  const int n_rows = std::min(picture.n_layers, kMostRows);
  const auto width = static_cast<std::size_t>(std::max(40, options.width));
  std::string text =
      shortened(picture.title, width) + "\n" + shortened(summary_line(picture), width) + "\n\n";
  for (int row = 0; row < n_rows; ++row) {
    const int begin = row * picture.n_layers / n_rows;
    const int end = (row + 1) * picture.n_layers / n_rows;
    text += fmt::format("{:>{}} ", label_of(picture, begin, end), kLabelWidth - 1);
    text += row_of(shares_of_layers(picture, begin, end, n_columns), options.has_colours) + "\n";
  }
  const std::string indent(kLabelWidth, ' ');
  text += indent + boundary_marks(picture, n_columns, options.has_colours) + "\n";
  text += indent + fmt::format("0{:>{}}", picture.total_len, n_columns - 1) + "\n\n";
  return text + legend(picture, options.has_colours) + "\n";
}

}  // namespace kvevict::plot
