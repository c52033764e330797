// kvevict demo: what eviction is good for and what it costs, in a few minutes on the default model.
#include <fmt/format.h>

#include <memory>

#include "base/atomic_file.h"
#include "cli/demo_parts.h"
#include "cli/flags.h"
#include "cli/interrupt.h"
#include "cli/paragraph.h"
#include "cli/subcommands.h"
#include "cli/template_advice.h"
#include "hub/locations.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFolder = "kvevict-demo";

void require_least(const char* flag, std::int64_t value, std::int64_t least) {
  if (value >= least) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--{} is {}: {} or more is needed", flag, value, least));
}

/// The folder that was asked for; without one kvevict-demo here, or where temporary files go if nothing can
/// be written here. Errors: kIo for a folder that was asked for.
fs::path output_folder(const std::string& asked) {
  if (!asked.empty()) {
    require_writable(fs::path(asked) / "results.json");
    return asked;
  }
  try {
    require_writable(fs::path(kFolder) / "results.json");
    return kFolder;
  } catch (const Error&) {
    fs::path elsewhere = fs::temp_directory_path() / kFolder;
    require_writable(elsewhere / "results.json");
    return elsewhere;
  }
}

void print_what_next(const std::string& model) {
  const std::string own = model == "default" ? "your.gguf" : model;
  fmt::print(
      "\nWith a model of your own\n\n"
      "  kvevict generate --model {0} -f long.txt --prompt \"In short:\" \\\n      --prefill bounded\n"
      "  kvevict generate --model {0} -f long.txt --then \"Who wrote it?\"\n"
      "  kvevict chat --model {0}\n"
      "{1}"
      "\nkvevict --help lists all commands, kvevict COMMAND --help its flags.\n",
      own, model == "default" ? "  kvevict demo --model your.gguf\n" : "");
}

void run_demo(const DemoFlags& flags) {
  require_least("questions", flags.questions, 1);
  require_least("document_tokens", flags.document_tokens, 100);
  require_least("prompt_tokens", flags.prompt_tokens, 100);
  require_least("new_tokens", flags.new_tokens, 1);
  const fs::path folder = output_folder(flags.output);
  const InterruptGuard interrupt;
  StatusLine status;
  Demo demo{.flags = flags,
            .model = nullptr,
            .session = flags.engine.session_options(),
            .data = data_folder() / "demo",
            .status = status};
  demo.session.cancel = interrupt.flag();
  const eval::Results results = ask_demo_questions(demo);
  ask_for_hidden_facts(demo);
  read_long_document(demo);
  time_decoding(demo);
  show_demo_files(demo, results, folder);
  print_what_next(flags.engine.model);
}

}  // namespace

void print_heading(const Demo& demo, const std::string& heading, const std::string& what) {
  demo.status.clear();
  fmt::print("\n{}\n\n{}\n", heading, paragraph(what));
  std::fflush(stdout);
}

std::string with_commas(std::int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

std::string mib_text(double bytes) {
  return fmt::format("{:.1f} MiB", bytes / (1 << 20));
}

void add_demo(CLI::App& app) {
  auto flags = std::make_shared<DemoFlags>();
  CLI::App* command = app.add_subcommand(
      "demo", "See what eviction is good for, and what it costs: a few minutes on the default model");
  add_option(*command, "model", flags->engine.model, "A GGUF file, or \"default\" (see kvevict models)")
      ->option_text("MODEL");
  add_option(*command, "output", flags->output, "Folder for results, picture and report (kvevict-demo)")
      ->option_text("DIR");
  add_count(*command, "questions", flags->questions, "Questions of each of the six data sets (2)");
  add_count(*command, "document_tokens", flags->document_tokens, "Tokens of the long document (12000)");
  add_count(*command, "prompt_tokens", flags->prompt_tokens,
            "Tokens before the decoding that is timed (8000)");
  add_count(*command, "new_tokens", flags->new_tokens, "Tokens that are decoded and timed (64)");
  add_count(*command, "threads", flags->engine.threads,
            "Threads (0: the processors that this process may use)");
  add_option(*command, "gpu_layers", flags->engine.gpu_layers,
             "Layers to offload to GPUs: auto (what fits) or a number")
      ->option_text("auto|N");
  command->callback([flags] {
    with_template_advice("kvevict longbench --chat off asks without one", [&] { run_demo(*flags); });
  });
}

}  // namespace kvevict::cli
