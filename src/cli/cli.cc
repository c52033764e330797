// The program's commands, and how an error becomes an exit code.
#include "cli/command_line.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <new>

#include "cli/poll.h"
#include "cli/subcommands.h"
#include "kvevict/engine_info.h"
#include "kvevict/error.h"
#include "kvevict/version.h"

namespace kvevict::cli {
namespace {

std::string version_text() {
  const EngineInfo info = engine_info();
  std::string backends;
  for (const std::string& name : info.backends) backends += (backends.empty() ? "" : ", ") + name;
  std::string text = fmt::format("kvevict {}\nllama.cpp {} (ggml {}, {})\nback ends: {}\n", KVEVICT_VERSION,
                                 info.llama_version, info.ggml_version, info.ggml_commit, backends);
  for (const Device& device : info.devices) {
    text += fmt::format("device: {}: {}\n", device.name, device.description);
  }
  text.pop_back();
  return text;
}

void log_to_stderr() {
  // Not by stderr_color_mt, which refuses the name if it was called before.
  auto logger =
      std::make_shared<spdlog::logger>("kvevict", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  logger->set_pattern("%^%l%$: %v");
  spdlog::set_default_logger(std::move(logger));
}

/// The flags among the arguments that no command knows; all of them if there is no flag.
std::string unknown_arguments(const CLI::App& app) {
  std::string flags;
  std::string all;
  for (const std::string& argument : app.remaining(true)) {
    if (argument.rfind('-', 0) == 0) flags += (flags.empty() ? "" : ", ") + argument;
    all += (all.empty() ? "" : ", ") + argument;
  }
  return flags.empty() ? "unexpected argument " + all : "unknown flag " + flags;
}

int report_usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const bool is_unknown = dynamic_cast<const CLI::ExtrasError*>(&error) != nullptr;
  const std::vector<CLI::App*> commands = app.get_subcommands();
  fmt::print(stderr, "kvevict: {} (see kvevict{} --help)\n",
             is_unknown ? unknown_arguments(app) : error.what(),
             commands.empty() ? "" : " " + commands.front()->get_name());
  return 2;
}

/// " (--recent_tokens)" for an error about an option that the command has and the sentence does not name as a
/// flag.
std::string flag_of(const Error& error, const CLI::App& app) {
  const std::vector<CLI::App*> commands = app.get_subcommands();
  const std::string flag = "--" + error.field();
  if (error.field().empty() || commands.empty() || std::string(error.what()).find(flag) != std::string::npos)
    return {};
  return commands.front()->get_option_no_throw(flag) == nullptr ? std::string() : " (" + flag + ")";
}

int report_error(const Error& error, const CLI::App& app) {
  fmt::print(stderr, "kvevict: {}{}\n", error.what(), flag_of(error, app));
  if (error.code() == ErrorCode::kCancelled) return 130;
  return error.code() == ErrorCode::kInvalidArgument ? 2 : 1;
}

}  // namespace

}  // namespace kvevict::cli

namespace kvevict {

int run_command_line(int argc, char** argv) {
  using namespace cli;
  std::signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error of the write, as a full disk is
  try {
    log_to_stderr();
    restart_with_poll(argc, argv);
    CLI::App app("kvevict: keeps a language model's KV cache within a budget by evicting tokens by position",
                 "kvevict");
    app.set_version_flag("--version", version_text);
    app.require_subcommand(1);
    app.failure_message(CLI::FailureMessage::simple);
    add_demo(app);
    add_longbench(app);
    add_compare(app);
    add_merge(app);
    add_fetch(app);
    add_needle(app);
    add_rpc_worker(app);
    add_generate(app);
    add_prompt(app);
    add_chat(app);
    add_serve(app);
    add_stream(app);
    add_perplexity(app);
    add_overhead(app);
    add_plan(app);
    add_score(app);
    add_segment(app);
    add_models(app);
    add_visualize(app);
    add_report(app);
    add_tune(app);
    try {
      app.parse(argc, argv);
    } catch (const Error& error) {
      return report_error(error, app);
    } catch (const CLI::Success& success) {
      return app.exit(success);
    } catch (const CLI::ParseError& error) {
      return report_usage_error(app, error);
    }
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "kvevict: {}\n", error.what());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "kvevict: out of memory: what was asked for needs more than this machine gives\n");
  } catch (const std::exception& error) {
    fmt::print(stderr, "kvevict: unexpected error: {}\n", error.what());
  }
  return 1;
}

}  // namespace kvevict
