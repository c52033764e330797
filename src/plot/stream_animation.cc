#include "plot/stream_animation.h"

#include <fmt/format.h>

#include <algorithm>

#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "plot/colours.h"
#include "plot/keep_cells.h"
#include "plot/layout.h"

namespace kvevict::plot {
namespace {

constexpr Margins kMargins = {.left = 98, .right = 24, .top = 64, .bottom = 84};
constexpr int kMostFrames = 500;
constexpr int kFrameMs = 120;
constexpr int kFramesAtEnd = 10;  // the last picture again, so that it can be read

void require_drawable(const StreamAnimation& animation) {
  require_layer(animation.layer, animation.n_layers);
  if (animation.n_tokens < 1 || animation.n_tokens > kMaxTokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a stream of {} tokens cannot be drawn: a number from 1 to {} is needed",
                            animation.n_tokens, kMaxTokens));
  }
  if (animation.n_frames < 1 || animation.n_frames > kMostFrames) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} frames cannot be drawn: a number from 1 to {} is needed", animation.n_frames,
                            kMostFrames));
  }
}

void begin_rows(GnuplotScript& script, const char* name, int frame) {
  if (frame > 0) {
    script.blank_row();
    script.blank_row();
  } else {
    script.begin_data(name);
  }
}

struct Frame {
  TokenRange tokens;
  KeepSet held;
};

/// The rows of all frames in two data blocks; index i of each belongs to frame i. Partly kept cells are as
/// wide as their kept share.
void add_rows(GnuplotScript& script, const std::vector<Frame>& frames, std::int64_t n_tokens, int n_columns) {
  for (std::size_t i = 0; i < frames.size(); ++i) {
    begin_rows(script, "seen", static_cast<int>(i));
    const TokenRange& rows = frames[i].tokens;
    script.row(
        {0, static_cast<double>(rows.end), static_cast<double>(rows.begin), static_cast<double>(rows.end)});
  }
  script.end_data();
  for (std::size_t i = 0; i < frames.size(); ++i) {
    begin_rows(script, "held", static_cast<int>(i));
    const TokenRange& rows = frames[i].tokens;
    for (const KeepCell& cell : keep_cells(frames[i].held, n_tokens, n_columns)) {
      script.row({cell.begin, cell.begin + (cell.end - cell.begin) * cell.share,
                  static_cast<double>(rows.begin), static_cast<double>(rows.end)});
    }
  }
  script.end_data();
}

std::string indexed_boxes(const char* name, std::size_t last, Colour colour, const char* title) {
  return fmt::format(
      "${} index 0:{} using (($1+$2)/2):(($3+$4)/2):1:2:3:4 with boxxyerror linecolor rgb '{}' title '{}'",
      name, last, to_hex(colour), title);
}

}  // namespace

GnuplotScript stream_script(const StreamAnimation& animation, PictureSize size) {
  require_drawable(animation);
  const std::int64_t n_step = (animation.n_tokens + animation.n_frames - 1) / animation.n_frames;
  std::vector<Frame> frames;
  for_each_bounded_chunk(*make_policy(animation.spec), animation.n_tokens, n_step, animation.n_layers,
                         [&](const BoundedChunk& chunk) {
                           KeepSet held = chunk.cached.layer(static_cast<std::size_t>(animation.layer));
                           held.append(chunk.tokens.begin, chunk.tokens.end);
                           frames.push_back({chunk.tokens, std::move(held)});
                         });
  GnuplotScript script;
  add_margins(script, kMargins, Strip(size));
  add_plain_axes(script);
  script.add(fmt::format("set xrange [0:{0}]\nset yrange [{0}:0]\nset format y '%.0f'", animation.n_tokens));
  script.add("set xlabel 'token position'\nset ylabel 'tokens seen'");
  script.add(fmt::format(
      "set key at screen 0.5,{:.6f} center center horizontal maxrows 1 Left reverse samplen 2 width 1",
      16.0 / size.height));
  add_rows(script, frames, animation.n_tokens, size.width - kMargins.left - kMargins.right);
  for (std::size_t i = 0; i < frames.size() + kFramesAtEnd; ++i) {
    const std::size_t frame = std::min(i, frames.size() - 1);
    add_titles(script,
               to_string(animation.spec) + ", streaming" +
                   layer_label(animation.spec, animation.layer, animation.n_layers),
               fmt::format("{} of {} tokens held", frames[frame].held.count(), frames[frame].tokens.end),
               kMargins, Strip(size));
    script.add("plot " + indexed_boxes("seen", frame, kEvictedColour, "evicted") + ", " +
               indexed_boxes("held", frame, kKeptColour, "in the cache"));
  }
  return script;
}

void save_stream_animation(const StreamAnimation& animation, const std::filesystem::path& path) {
  const PictureSize size = {720, 480};
  if (picture_format(path) != PictureFormat::kGif) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("an animation is a .gif file, \"{}\" is something else", path.string()));
  }
  save_with_gnuplot(stream_script(animation, size), size, path, {.frame_ms = kFrameMs});
}

}  // namespace kvevict::plot
