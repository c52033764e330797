#include "cli/model_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/memory_estimate.h"
#include "text/utf8.h"

namespace kvevict::cli {
namespace {

/// Most tokens that the cache holds with the run's prefill.
std::int64_t most_held(const ModelRun& run, std::int64_t n_prompt, std::int64_t n_new) {
  if (run.prefill == PrefillMode::kFull) return n_prompt + (run.policy->budget_tokens({}) ? 0 : n_new);
  return most_tokens_held(*run.policy, run.options, run.model->info().n_layers).value_or(n_prompt + n_new);
}

}  // namespace

std::shared_ptr<const Policy> make_run_policy(const EngineFlags& engine, StrategySpec spec,
                                              const Model& model) {
  if (!engine.kv_memory.empty())
    fit_to_memory(spec, engine.kv_memory, model, engine.session_options(), engine.is_bounded());
  std::shared_ptr<const Policy> policy = make_policy(spec);
  if (engine.is_bounded()) {
    PolicyState state{.schedule = Schedule::kStreaming, .n_layers = model.info().n_layers};
    static_cast<void>(policy->budget_tokens(state));  // refuses a stride
    note_streaming_middle(spec);
  }
  return policy;
}

ModelRun make_run(const EngineFlags& engine, StrategySpec spec) {
  ModelRun run;
  run.options = engine.session_options();
  run.prefill = engine.is_bounded() ? PrefillMode::kBounded : PrefillMode::kFull;
  run.model = Model::load(engine.model_options());
  run.policy = make_run_policy(engine, std::move(spec), *run.model);
  run.options = options_for(*run.policy, run.options);
  return run;
}

void require_savable(const ModelRun& run, const std::string& file) {
  if (!run.options.scores || file.empty()) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{} cannot be written: {} chooses by attention, which a saved session does not hold; use a "
                  "strategy that goes by position",
                  file, run.policy->spec().name));
}

std::string dry_run_text(const ModelRun& run, std::int64_t n_prompt, std::int64_t n_new) {
  const std::int64_t n_held = most_held(run, n_prompt, n_new);
  const MemoryEstimate estimate = estimate_memory(run.model, run.options, n_held);
  const auto mib = [](std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
  return fmt::format(
      "dry run: {} holds at most {} tokens with a {} prefill\nweights          {:.1f} MiB\nKV cache         "
      "{:.1f} MiB\n"
      "compute buffers  {}\n",
      to_string(run.policy->spec()), n_held, to_string(run.prefill), mib(estimate.weight_bytes),
      mib(estimate.kv_bytes),
      estimate.compute_bytes ? fmt::format("{:.1f} MiB", mib(*estimate.compute_bytes)) : "unknown");
}

std::ifstream open_text(const std::string& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    throw Error(ErrorCode::kInvalidArgument, file + " is a folder: the name of a text file is needed");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error(ErrorCode::kNotFound, "cannot open the text " + file);
  return stream;
}

std::string read_text(const std::string& file) {
  std::string text;
  if (file == "-") {
    text.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream stream = open_text(file);
    text.assign(std::istreambuf_iterator<char>(stream), {});
    if (stream.bad()) throw Error(ErrorCode::kIo, "cannot read the text " + file);
  }
  require_utf8(text, file == "-" ? "standard input" : file);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

}  // namespace kvevict::cli
