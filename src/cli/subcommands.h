#pragma once

#include <CLI/CLI.hpp>

namespace kvevict::cli {

/// Each adds one subcommand, whose callback does the work and throws kvevict::Error.
void add_chat(CLI::App& app);
void add_compare(CLI::App& app);
void add_demo(CLI::App& app);
void add_fetch(CLI::App& app);
void add_generate(CLI::App& app);
void add_longbench(CLI::App& app);
void add_merge(CLI::App& app);
void add_models(CLI::App& app);
void add_needle(CLI::App& app);
void add_overhead(CLI::App& app);
void add_perplexity(CLI::App& app);
void add_plan(CLI::App& app);
void add_prompt(CLI::App& app);
void add_report(CLI::App& app);
void add_rpc_worker(CLI::App& app);
void add_score(CLI::App& app);
void add_segment(CLI::App& app);
void add_serve(CLI::App& app);
void add_stream(CLI::App& app);
void add_tune(CLI::App& app);
void add_visualize(CLI::App& app);

}  // namespace kvevict::cli
