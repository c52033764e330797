// kvevict segment: jieba's word segmentation of each text in a JSONL file.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "cli/flags.h"
#include "cli/subcommands.h"
#include "hub/locations.h"
#include "results/word_segmenter.h"
#include "text/jsonl.h"

namespace kvevict::cli {
namespace {

struct SegmentFlags {
  std::string input;
  std::string output;
};

void run_segment(const SegmentFlags& flags) {
  require_writable(flags.output);
  const eval::WordSegmenter segmenter(data_folder() / "jieba");
  std::string lines;
  std::int64_t n = 0;
  for_each_jsonl_row(flags.input, [&](const JsonlRow& row) {
    lines += nlohmann::json{{"tokens", segmenter.cut(row.text("text"))}}.dump() + "\n";
    ++n;
    return true;
  });
  write_file_atomically(flags.output, lines);
  fmt::print(stderr, "{} texts segmented into {}\n", n, flags.output);
}

}  // namespace

void add_segment(CLI::App& app) {
  auto flags = std::make_shared<SegmentFlags>();
  CLI::App* command = app.add_subcommand("segment", "Segment Chinese text into words as jieba 0.42.1 does");
  add_option(*command, "input", flags->input, "JSONL: {\"text\"}")->option_text("FILE")->required();
  add_option(*command, "output", flags->output, "JSONL: {\"tokens\"} in the same order")
      ->option_text("FILE")
      ->required();
  command->callback([flags] { run_segment(*flags); });
}

}  // namespace kvevict::cli
