#include "cli/model_run.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <utility>

#include "base/units.h"
#include "engine/kv_size.h"
#include "engine/trained_context.h"
#include "kvevict/bounded_schedule.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "kvevict/session.h"
#include "text/utf8.h"

namespace kvevict::cli {
namespace {

/// What a window sees must be there: the recent window is at least as long as the windows of the model's
/// layers.
void raise_to_window(StrategySpec& spec, const Model& model) {
  const int n_window = model.info().n_window;
  if (!policy_info(spec.name).uses("recent") || spec.config.recent_tokens >= n_window) return;
  spdlog::warn(
      "the recent window of {} is raised from {} to {} tokens: layers of {} have a window of so many",
      spec.name, spec.config.recent_tokens, n_window, model.info().name);
  spec.config.recent_tokens = n_window;
}

/// What a limit leaves of the recent window must not take tokens out of the model's windows either.
void require_window(const StrategySpec& spec, const Model& model, const std::string& limit) {
  const int n_window = model.info().n_window;
  if (!policy_info(spec.name).uses("recent") || spec.config.recent_tokens >= n_window) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--kv_memory {} leaves {} a recent window of {} tokens, and layers of {} have a "
                          "window of {}: give more memory or a smaller sink",
                          limit, spec.name, spec.config.recent_tokens, model.info().name, n_window));
}

/// A strategy that would keep other tokens in each layer, and need not, keeps the same where they must agree.
void note_layers(const Policy& policy, const Model& model, PositionMode positions) {
  const bool may_differ = !model.info().has_distances || positions == PositionMode::kPacked;
  if (may_differ || !policy.is_per_layer() || policy.needs_layers_apart()) return;
  spdlog::warn("{} keeps the same tokens in all layers: the attention of {} goes by the distance of cells",
               to_string(policy.spec()), model.info().name);
}

}  // namespace

std::shared_ptr<const Policy> make_run_policy(const EngineFlags& engine, StrategySpec spec,
                                              const Model& model, const RunSize& size) {
  raise_to_window(spec, model);
  std::shared_ptr<const Policy> policy = make_policy(spec);
  if (!engine.kv_memory.empty()) {
    const std::int64_t limit = parse_bytes(engine.kv_memory);
    if (policy->keeps_all()) {
      spdlog::warn("--kv_memory is not used by {}: it keeps every token", spec.name);
    } else {
      spec = fit_to_memory(std::move(spec), limit, model, engine.session_options(), size);
      require_window(spec, model, engine.kv_memory);
      policy = make_policy(spec);
      spdlog::info("--kv_memory {}: the strategy is {}", engine.kv_memory, to_string(spec));
      if (const auto bytes = state_bytes_needed(model, engine.session_options()))
        spdlog::info("{} keeps a state of {:.1f} MiB beside K and V", model.info().name, to_mib(*bytes));
    }
  }
  note_layers(*policy, model, *resolved_options(model, *policy, engine.session_options()).positions);
  if (engine.is_bounded() && !model.info().cache_layers.empty()) {
    require_bound(*policy, model.info().n_cache_layers());
    note_streaming_middle(spec);
  }
  return policy;
}

StrategySpec default_strategy_for(const Model& model) {
  const std::int64_t n_trained = context_limit(model);
  if (n_trained == 0 || n_trained >= 2048) return parse_strategy("sink_recent");
  return parse_strategy(fmt::format("sink_recent:{}:{}", n_trained / 8, n_trained / 4));
}

std::vector<StrategySpec> specs_for(const Model& model, std::vector<StrategySpec> specs,
                                    const StrategyFlags& flags) {
  const ModelInfo& info = model.info();
  if (!info.reason_not_evictable.empty() && !flags.is_named()) {
    const auto bytes = state_bytes_needed(model, {});
    spdlog::warn("nothing to evict from {}: {}{}", info.name, info.reason_not_evictable,
                 bytes ? fmt::format(" ({:.1f} MiB)", to_mib(*bytes)) : "");
    return {parse_strategy("full")};
  }
  const bool is_default = flags.is_untouched() && specs == std::vector{parse_strategy("sink_recent")};
  if (is_default) specs = {default_strategy_for(model)};
  return specs;
}

bool can_compare_keys(const std::shared_ptr<const Model>& model, const StrategySpec& spec) {
  try {
    static_cast<void>(Session(model, make_policy(spec), {}));
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    return false;
  }
}

void note_positions(const EngineFlags& engine, const Model& model) {
  const ModelInfo& info = model.info();
  if (!engine.is_bounded() || !engine.positions.empty() || info.can_shift_positions) return;
  spdlog::warn(
      "the positions of {} cannot be shifted ({}): they stay absolute, and its answers get worse beyond "
      "the {} tokens that it was trained on",
      info.name, info.reason_not_shiftable, info.n_context_trained);
}

namespace {

/// Automatic positions that the user did not name need keys that can be rotated, which a session finds out
/// when it is made: where they cannot, it stays absolute.
void try_positions(const EngineFlags& engine, ModelRun& run) {
  const bool is_named = !engine.positions.empty() || run.policy->required_positions();
  const bool rotates_rows =
      run.policy->is_per_layer() || run.policy->score_request() || packs_by_rows(*run.model);
  if (is_named || !rotates_rows || engine.dry_run || run.options.positions == PositionMode::kAbsolute) return;
  SessionOptions options = run.options;
  options.positions.reset();
  options = Session(run.model, run.policy, options).options();
  if (options.positions == PositionMode::kAbsolute) {
    spdlog::warn(
        "the keys of {} cannot be rotated row by row: positions stay absolute, and its answers get worse "
        "beyond the {} tokens that it was trained on",
        run.model->info().name, run.model->info().n_context_trained);
  }
  run.options = options;
}

}  // namespace

ModelRun make_run(const EngineFlags& engine, StrategySpec spec, std::shared_ptr<const Model> model,
                  const RunSize& size) {
  ModelRun run{.model = std::move(model), .policy = nullptr, .options = engine.session_options()};
  // So that a chunk fits beside a budget, if the user leaves it to us.
  const std::int64_t n_trained = context_limit(*run.model);
  if (!engine.chunk && n_trained > 0) {
    run.options.n_chunk = static_cast<int>(
        std::min<std::int64_t>(run.options.n_chunk, std::max<std::int64_t>(1, n_trained / 4)));
  }
  run.policy = make_run_policy(engine, std::move(spec), *run.model, size);
  run.options = resolved_options(*run.model, *run.policy, run.options);
  try_positions(engine, run);
  return run;
}

void require_savable(const ModelRun& run, const std::string& file) {
  if (!run.policy->score_request() || file.empty()) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      fmt::format("{} cannot be written: {} chooses by attention, which a saved session does not hold; use a "
                  "strategy that goes by position",
                  file, run.policy->spec().name));
}

std::string dry_run_text(const ModelRun& run, const RunSize& size) {
  const MemoryNeeded needed = memory_needed(*run.model, *run.policy, run.options, size);
  const ModelInfo& info = run.model->info();
  const auto state = state_bytes_needed(*run.model, run.options);
  const auto compute = compute_bytes_needed(*run.model, run.options, needed.n_cells);
  const auto mib = [](std::int64_t bytes) { return fmt::format("{:.1f} MiB", to_mib(bytes)); };
  return fmt::format(
      "dry run: {} holds at most {} tokens with a {} prefill\n"
      "weights          {}\n"
      "KV cache         {} ({} cells{}), {} once the prompt is in\n"
      "KV at the peak   {}, copies in flight included\n"
      "{}"
      "compute buffers  {}\n",
      to_string(run.policy->spec()), needed.n_tokens_held, to_string(run.options.prefill),
      mib(info.weight_bytes), mib(needed.kv_bytes), needed.n_cells,
      info.has_state ? fmt::format(" in {} of {} layers", info.n_cache_layers(), info.n_layers) : "",
      mib(needed.kv_bytes_after), mib(needed.kv_bytes_peak),
      state ? fmt::format("fixed state      {}, for each sequence\n", mib(*state)) : "",
      compute ? mib(*compute) : "unknown");
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
