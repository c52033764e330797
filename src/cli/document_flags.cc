#include "cli/document_flags.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <sstream>

#include "cli/flags.h"
#include "cli/model_run.h"
#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "kvevict/session.h"
#include "kvevict/session_file.h"
#include "text/utf8.h"

namespace kvevict::cli {
namespace {

constexpr std::int64_t kLongContext = 4096;  // beyond it the default strategy leaves room enough

bool is_blank_text(const std::string& text) {
  return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!is_blank_text(line)) lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace

void DocumentFlags::add_to(CLI::App& app) {
  const std::string group = "Documents: evict first, ask later";
  add_option(
      app, "then", then,
      "A question about the prompt, which is then a document: evicted before any question is known. "
      "Question and answer come on top of the budget, and the next question sees neither; may be given "
      "several times")
      ->allow_extra_args(false)
      ->option_text("TEXT")
      ->group(group);
  add_option(app, "then_file", then_file, "Questions, one on each line (-: standard input)")
      ->option_text("FILE")
      ->group(group);
  add_option(app, "save", save, "Save the evicted document here")->option_text("FILE")->group(group);
  add_option(app, "load", load, "Ask a saved document, without its text")->option_text("FILE")->group(group);
}

std::vector<std::string> DocumentFlags::questions() const {
  std::vector<std::string> questions = then;
  for (const std::string& question : questions) {
    if (is_blank_text(question))
      throw Error(ErrorCode::kInvalidArgument, "--then is empty: a question is needed");
    require_utf8(question, "--then");
  }
  if (then_file.empty()) return questions;
  const std::vector<std::string> lines = lines_of(read_text(then_file));
  if (lines.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--then_file {} has no question: one on each line is needed",
                            then_file == "-" ? "(standard input)" : then_file));
  }
  questions.insert(questions.end(), lines.begin(), lines.end());
  return questions;
}

StrategySpec document_strategy(const std::shared_ptr<const Model>& model, std::vector<StrategySpec> specs,
                               const StrategyFlags& flags, bool has_weights) {
  StrategySpec spec = specs_for(*model, std::move(specs), flags).front();
  if (!flags.is_untouched() || spec.name == "full") return spec;
  if (has_weights && !can_compare_keys(model, spec)) {
    spdlog::warn(
        "the keys of {} cannot be compared without their positions: what is kept of its document goes "
        "by position",
        model->info().name);
    spec = parse_strategy(kPositionalDocumentStrategy);
  }
  const std::int64_t n_trained = context_limit(*model);
  if (n_trained == 0 || n_trained >= kLongContext) return spec;
  const std::int64_t n_all = n_trained / 4;
  spec.config.sink_tokens = std::min(spec.config.sink_tokens, n_all / 16);
  spec.config.recent_tokens = std::max<std::int64_t>(1, std::min(spec.config.recent_tokens, n_all / 4));
  set_total_budget(spec, n_all);
  return spec;
}

void require_saved_strategy(const std::string& file, const StrategyFlags& flags) {
  const SavedSession saved = inspect_session(file);
  if (flags.is_untouched()) return;
  const StrategySpec asked = flags.specs(saved.strategy).front();
  if (asked == parse_strategy(saved.strategy)) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{} was evicted by {}, and {} is asked for: leave the strategy out, or evict the "
                          "document anew",
                          file, saved.strategy, to_string(asked)));
}

std::string dry_run_of_questions(const ModelRun& run) {
  const auto bytes =
      static_cast<double>(run.model->kv_bytes_per_token(run.options.type_k, run.options.type_v));
  return fmt::format("on top           questions and answers: {:.1f} KiB of K and V for each token\n",
                     bytes / 1024);
}

void require_no_memory_limit(const std::string& kv_memory) {
  if (kv_memory.empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              "--kv_memory cannot count the questions, which come on top of a document: give --budget, the "
              "tokens that are kept of it");
}

}  // namespace kvevict::cli
