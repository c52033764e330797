#include "plot/cache_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "plot/colours.h"
#include "plot/keep_cells.h"
#include "plot/layout.h"

namespace kvevict::plot {
namespace {

constexpr int kMostSeparatedLayers = 64;  // more layers are too thin for lines between them

int columns_of(PictureSize size, const Margins& margins) {
  return std::max(2, size.width - margins.left - margins.right);
}

void require_drawable(const CachePicture& picture) {
  const std::size_t n_sets = picture.layers.size();
  if (picture.total_len < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "a cache of 0 tokens cannot be drawn: at least 1 token is needed");
  }
  if (picture.n_layers < 1 || picture.n_layers > kMaxDrawnLayers) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} layers cannot be drawn: a number from 1 to {} is needed", picture.n_layers,
                            kMaxDrawnLayers));
  }
  if (n_sets != 1 && n_sets != static_cast<std::size_t>(picture.n_layers)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} layers are to be drawn, and there are kept tokens for {} of them",
                            picture.n_layers, n_sets));
  }
}

/// A data block for every shade; returns what plots them. Fully kept cells are `$kept`.
std::string add_kept_cells(GnuplotScript& script, const CachePicture& picture, int n_columns) {
  std::map<double, std::vector<std::pair<KeepCell, LayerBand>>, std::greater<>> by_share = {{1.0, {}}};
  for (const LayerBand& band : layer_bands(picture.layers, picture.n_layers)) {
    for (const KeepCell& cell : keep_cells(*band.kept, picture.total_len, n_columns))
      by_share[cell.share].push_back({cell, band});
  }
  std::string plots;
  for (const auto& [share, cells] : by_share) {
    const std::string name = share == 1 ? "kept" : fmt::format("kept{:.0f}", share * 1000);
    script.begin_data(name);
    for (const auto& [cell, band] : cells) {
      script.row({cell.begin, cell.end, static_cast<double>(band.begin), static_cast<double>(band.end)});
    }
    script.end_data();
    if (!cells.empty())
      plots += ", " + boxes(name, mix(kEvictedColour, kKeptColour, share), share == 1 ? "kept" : "");
  }
  if (by_share.size() > 1) {
    plots += fmt::format(", keyentry with boxes linecolor rgb '{}' title 'partly kept'",
                         to_hex(mix(kEvictedColour, kKeptColour, 0.5)));
  }
  return plots;
}

std::string add_boundary(GnuplotScript& script, const char* name, const std::optional<std::int64_t>& at,
                         int n_layers, Colour colour, const char* title) {
  if (!at) return {};
  script.begin_data(name);
  script.row({static_cast<double>(*at), 0});
  script.row({static_cast<double>(*at), static_cast<double>(n_layers)});
  script.end_data();
  return ", " + dashed_line(name, colour, fmt::format("{} boundary ({})", title, *at));
}

/// Thin white lines between layers.
std::string add_separators(GnuplotScript& script, const CachePicture& picture) {
  if (picture.n_layers < 2 || picture.n_layers > kMostSeparatedLayers) return {};
  script.begin_data("between");
  for (int layer = 1; layer < picture.n_layers; ++layer) {
    script.row({0, static_cast<double>(layer)});
    script.row({static_cast<double>(picture.total_len), static_cast<double>(layer)});
    script.blank_row();
  }
  script.end_data();
  return ", $between using 1:2 with lines linewidth 0.7 linecolor rgb '#ffffff' notitle";
}

void add_layer_axis(GnuplotScript& script, const CachePicture& picture) {
  script.add(fmt::format("set yrange [{}:0]", picture.n_layers));
  if (!picture.has_layer_count) {
    script.add("set ytics ('all' 0.5)\nset ylabel 'layers'");
    return;
  }
  int step = 1;
  for (int i = 0; picture.n_layers / step > 12; ++i)
    step = step * (i % 3 == 1 ? 5 : 2) / (i % 3 == 1 ? 2 : 1);
  std::string tics;
  for (int layer = 0; layer < picture.n_layers; layer += step)
    tics += fmt::format("{}'{}' {}.5", layer == 0 ? "" : ", ", layer, layer);
  script.add("set ytics (" + tics + ")\nset ylabel 'layer'");
}

}  // namespace

void set_boundaries(CachePicture& picture, std::int64_t sink_tokens, std::int64_t recent_tokens) {
  const std::int64_t sink_end = std::min(sink_tokens, picture.total_len);
  const std::int64_t recent_begin = std::max(sink_end, picture.total_len - recent_tokens);
  if (sink_end > 0 && sink_end < picture.total_len) picture.sink_end = sink_end;
  if (recent_begin > 0 && recent_begin < picture.total_len) picture.recent_begin = recent_begin;
}

CachePicture picture_of_plan(const StrategySpec& spec, std::int64_t total_len, int n_layers) {
  if (total_len < 1 || total_len > kMaxTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a cache of {} tokens cannot be drawn: a number from 1 to {} is needed",
                            total_len, kMaxTokens));
  }
  PolicyState state{.n_layers = n_layers};
  const KeepPlan plan = make_policy(spec)->plan(total_len, state);
  CachePicture picture{.title = to_string(spec), .total_len = total_len, .layers = {}, .n_layers = n_layers};
  const int n_sets = plan.is_shared() ? 1 : n_layers;
  for (int layer = 0; layer < n_sets; ++layer)
    picture.layers.push_back(plan.layer(static_cast<std::size_t>(layer)));
  if (policy_info(spec.name).uses("recent"))
    set_boundaries(picture, spec.config.sink_tokens, spec.config.recent_tokens);
  return picture;
}

std::string summary_line(const CachePicture& picture) {
  double n_kept = 0;
  for (const LayerBand& band : layer_bands(picture.layers, picture.n_layers)) {
    n_kept += static_cast<double>(band.kept->count()) * (band.end - band.begin);
  }
  n_kept /= picture.n_layers;
  const auto n_total = static_cast<double>(picture.total_len);
  const bool is_shared = picture.layers.size() == 1;
  const std::string where =
      !picture.has_layer_count ? "every layer"
      : is_shared ? fmt::format("each of {} layer{}", picture.n_layers, picture.n_layers == 1 ? "" : "s")
                  : fmt::format("a layer, on average over {}", picture.n_layers);
  return fmt::format("{:.{}f} of {} tokens kept in {}: {:.1f} % of the KV cache saved", n_kept,
                     is_shared ? 0 : 1, picture.total_len, where, 100 * (1 - n_kept / n_total));
}

PictureSize cache_picture_size(const CachePicture& picture) {
  return {800, std::clamp(184 + picture.n_layers * 8, 266, 640)};
}

GnuplotScript cache_script(const CachePicture& picture, PictureSize size) {
  require_drawable(picture);
  const Margins margins;
  GnuplotScript script;
  add_margins(script, margins, Strip(size));
  add_titles(script, picture.title, summary_line(picture), margins, Strip(size));
  add_plain_axes(script);
  script.add(fmt::format("set xrange [0:{}]\nset xlabel 'token position'", picture.total_len));
  add_layer_axis(script, picture);
  script.add(fmt::format(
      "set key at screen 0.5,{:.6f} center center horizontal maxrows 2 Left reverse samplen 2 width 1",
      26.0 / size.height));
  script.begin_data("all");
  script.row({0, static_cast<double>(picture.total_len), 0, static_cast<double>(picture.n_layers)});
  script.end_data();
  std::string plots = "plot " + boxes("all", kEvictedColour, "evicted");
  plots += add_kept_cells(script, picture, columns_of(size, margins));
  plots += add_separators(script, picture);
  plots += add_boundary(script, "sink", picture.sink_end, picture.n_layers, kSinkColour, "sink");
  plots += add_boundary(script, "recent", picture.recent_begin, picture.n_layers, kRecentColour, "recent");
  script.add(plots);
  return script;
}

void save_cache_picture(const CachePicture& picture, const std::filesystem::path& path) {
  const PictureSize size = cache_picture_size(picture);
  save_with_gnuplot(cache_script(picture, size), size, path);
}

}  // namespace kvevict::plot
