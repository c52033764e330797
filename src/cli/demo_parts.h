#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "cli/status_line.h"
#include "kvevict/session.h"
#include "results/results.h"

namespace kvevict::cli {

/// What kvevict demo was asked for.
struct DemoFlags {
  EngineFlags engine;
  std::string output;                    ///< Folder of the files; empty: kvevict-demo.
  std::int64_t questions = 2;            ///< Of each data set.
  std::int64_t document_tokens = 12000;  ///< Of the long document.
  std::int64_t prompt_tokens = 8000;     ///< Before the decoding that is timed.
  std::int64_t new_tokens = 64;          ///< Decoded and timed.
};

/// What its parts share. Each part prints its heading, runs, and prints what came of it.
struct Demo {
  const DemoFlags& flags;
  std::shared_ptr<const Model> model;
  SessionOptions session;
  std::filesystem::path data;  ///< The shipped demo set.
  StatusLine& status;
};

/// The demo set's data sets in English, in LongBench's order.
[[nodiscard]] std::vector<std::string> english_demo_datasets();

/// Part 1: the first questions of every English demo set by three strategies, from shared prefills. Loads the
/// model, which `demo.model` is from then on. Errors: those of run_longbench.
[[nodiscard]] eval::Results ask_demo_questions(Demo& demo);

/// The documents of the demo set in `folder`, each once.
[[nodiscard]] std::vector<std::string> demo_texts(const std::filesystem::path& folder);

/// Part 2: facts that are asked for once tokens were evicted, by position and by their keys. A model whose
/// keys cannot be compared does without the latter, which is said.
void ask_for_hidden_facts(const Demo& demo);

/// Part 3: a document beyond the trained context, with the whole cache and with a bounded one.
void read_long_document(const Demo& demo);

/// Part 4: the speed of decoding behind a long prompt, before and after an eviction.
void time_decoding(const Demo& demo);

/// Part 5: results, picture and report in `folder`, and what a cache looks like. Without gnuplot there is
/// neither picture nor report, which is said.
void show_demo_files(const Demo& demo, const eval::Results& results, const std::filesystem::path& folder);

/// A heading, and a sentence or two that say what the part shows.
void print_heading(const Demo& demo, const std::string& heading, const std::string& what);

/// "12,000"
[[nodiscard]] std::string with_commas(std::int64_t number);

/// "28.1 MiB"
[[nodiscard]] std::string mib_text(double bytes);

}  // namespace kvevict::cli
