// kvevict visualize: which tokens a cache keeps, as a picture or in characters. Needs no model.
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "cli/flags.h"
#include "cli/picture_source.h"
#include "cli/strategy_flags.h"
#include "cli/subcommands.h"
#include "kvevict/error.h"
#include "plot/cache_picture.h"
#include "plot/cache_preview.h"
#include "plot/mask_picture.h"
#include "plot/needle_picture.h"
#include "plot/stream_animation.h"

namespace kvevict::cli {
namespace {

constexpr const char* kDefaultStrategy = "sink_recent_uniform:256:512:512";

struct VisualizeFlags {
  StrategyFlags strategy;
  std::int64_t total_len = 4096;
  std::optional<int> n_layers;
  std::string save;
  std::string mode = "cache";
  std::int64_t chunk = 512;
  int layer = 0;
  std::string animate;
  int frames = 60;
  PictureSource from;
};

plot::PreviewOptions preview_options() {
  plot::PreviewOptions options;
  winsize window{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0) options.width = window.ws_col;
  options.has_colours = isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr;
  return options;
}

int drawn_layers(const VisualizeFlags& flags, const StrategySpec& spec) {
  return static_cast<int>(layers_for(spec, flags.n_layers));
}

plot::CachePicture picture_for(const VisualizeFlags& flags, const StrategySpec& spec) {
  if (flags.from.file.empty()) return plot::picture_of_plan(spec, flags.total_len, drawn_layers(flags, spec));
  return read_picture(flags.from, flags.n_layers);
}

/// Flags that would have no effect are refused: a picture of something else than was asked for misleads.
void require_consistent(const VisualizeFlags& flags) {
  const bool is_cache = flags.mode == "cache";
  if (!flags.from.file.empty() && (!is_cache || !flags.animate.empty())) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "--from draws the cache of an example or a session: it goes with neither --mode mask nor --animate");
  }
  if (flags.from.file.empty() &&
      (!flags.from.run.empty() || !flags.from.dataset.empty() || !flags.from.example.empty())) {
    throw Error(ErrorCode::kInvalidArgument,
                "--run, --dataset and --example choose from a file: --from is missing");
  }
  if (!is_cache && flags.save.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "--mode mask draws a file: --save FILE is missing");
  }
  if (!flags.save.empty() && plot::picture_format(flags.save) == plot::PictureFormat::kGif) {
    throw Error(ErrorCode::kInvalidArgument, "--save takes .png, .svg or .pdf; a .gif is drawn by --animate");
  }
}

void draw_needle_map(const VisualizeFlags& flags) {
  if (flags.save.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} is a needle map, which is drawn into a file: --save FILE is missing",
                            flags.from.file));
  }
  plot::save_needle_picture(plot::read_needle_picture(flags.from.file), flags.save);
  fmt::print("picture: {}\n", flags.save);
}

void run_visualize(VisualizeFlags flags) {
  require_consistent(flags);
  // by its name alone the strategy has the middle budget of the default
  if (flags.strategy.strategy == "sink_recent_uniform") flags.strategy.strategy = kDefaultStrategy;
  const StrategySpec spec = flags.strategy.specs(kDefaultStrategy).front();
  if (flags.from.file.empty()) require_no_cache(*make_policy(spec));
  if (!flags.animate.empty()) {
    plot::save_stream_animation({.spec = spec,
                                 .n_tokens = flags.total_len,
                                 .n_frames = flags.frames,
                                 .n_layers = drawn_layers(flags, spec),
                                 .layer = flags.layer},
                                flags.animate);
    fmt::print("animation: {}\n", flags.animate);
    if (flags.save.empty()) return;
  }
  if (flags.mode == "mask") {
    plot::save_mask_picture({.spec = spec,
                             .n_tokens = flags.total_len,
                             .n_chunk = flags.chunk,
                             .n_layers = drawn_layers(flags, spec),
                             .layer = flags.layer},
                            flags.save);
    fmt::print("picture: {}\n", flags.save);
    return;
  }
  if (!flags.from.file.empty() && plot::is_needle_file(flags.from.file)) {
    draw_needle_map(flags);
    return;
  }
  const plot::CachePicture picture = picture_for(flags, spec);
  if (flags.save.empty()) {
    fmt::print("{}", plot::cache_preview(picture, preview_options()));
    return;
  }
  plot::save_cache_picture(picture, flags.save);
  fmt::print("{}\n{}\npicture: {}\n", picture.title, plot::summary_line(picture), flags.save);
}

}  // namespace

void add_visualize(CLI::App& app) {
  auto flags = std::make_shared<VisualizeFlags>();
  CLI::App* command = app.add_subcommand("visualize", "Draw which tokens a cache keeps (no model needed)");
  add_count(*command, "total_len", flags->total_len, "Tokens in the cache before the eviction")
      ->capture_default_str();
  flags->strategy.add_to(*command, false);
  add_count(*command, "n_layers", flags->n_layers, "Layers (30, the default model's)");
  add_option(*command, "save", flags->save,
             "The picture: *.png, *.svg or *.pdf; without it a preview is printed")
      ->option_text("FILE");
  add_option(*command, "mode", flags->mode,
             "cache: what is kept; mask: which token sees which during a bounded prefill")
      ->check(CLI::IsMember({"cache", "mask"}))
      ->capture_default_str();
  add_count(*command, "chunk", flags->chunk,
            "Tokens between two evictions of a bounded prefill, for --mode mask")
      ->capture_default_str();
  add_count(*command, "layer", flags->layer,
            "The layer that --mode mask and --animate draw where layers keep other tokens")
      ->capture_default_str();
  add_option(*command, "animate", flags->animate,
             "Also draw the cache over time in a stream of --total_len tokens: *.gif")
      ->option_text("FILE");
  add_count(*command, "frames", flags->frames, "Frames of --animate")->capture_default_str();
  add_option(*command, "from", flags->from.file,
             "Draw what happened: an example of a results file, a saved session or a map of kvevict needle")
      ->option_text("FILE");
  add_option(*command, "run", flags->from.run, "The run in --from, by its strategy")->option_text("NAME");
  add_option(*command, "dataset", flags->from.dataset, "The data set in --from")->option_text("NAME");
  add_option(*command, "example", flags->from.example, "The example in --from, by its id")->option_text("ID");
  command->callback([flags] { run_visualize(*flags); });
}

}  // namespace kvevict::cli
