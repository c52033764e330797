// kvevict serve: OpenAI's interface over HTTP, for conversations of any length in caches of fixed size.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>
#include <utility>

#include "cli/chat_strategy.h"
#include "cli/interrupt.h"
#include "cli/model_run.h"
#include "cli/serve_flags.h"
#include "cli/serve_memory.h"
#include "cli/subcommands.h"
#include "http/http_server.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "serving/conversation_pool.h"
#include "serving/strategy_limit.h"

namespace kvevict::cli {
namespace {

constexpr std::chrono::milliseconds kLookAtSignal{50};

/// How conversations begin.
class Beginnings {
 public:
  Beginnings(const ServeFlags& flags, std::shared_ptr<const Model> model, TemplateOptions prompt_template,
             const ServeMemory& memory)
      : flags_(flags),
        model_(std::move(model)),
        prompt_template_(std::move(prompt_template)),
        memory_(memory) {}

  [[nodiscard]] ModelRun run_for(const std::string& strategy, const std::string& system) const {
    ModelRun own = run_of(flags_.strategy, system);
    require_storable(own);
    if (strategy.empty()) return own;
    StrategyFlags named;
    named.strategy = strategy;
    named.has_auto_sink = flags_.strategy.has_auto_sink;
    ModelRun run = run_of(named, system);
    serving::require_within(run, own);
    require_storable(run);
    return run;
  }

  /// Of a text that names its strategy: nothing of it is stored.
  [[nodiscard]] ModelRun text_run_for(const std::string& strategy) const {
    StrategyFlags named;
    named.strategy = strategy;
    ModelRun run = run_of(named, "");
    serving::require_within(run, run_of(flags_.strategy, ""));
    return run;
  }

 private:
  /// Attention that was recorded cannot be stored.
  void require_storable(const ModelRun& run) const {
    if (flags_.store.empty() || !run.policy->score_request()) return;
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("the strategy {} chooses by attention, which this server cannot store: choose one "
                    "that goes by position or keys",
                    to_string(run.policy->spec())),
        "strategy");
  }

  [[nodiscard]] ModelRun run_of(const StrategyFlags& strategy, const std::string& system) const {
    StrategySpec spec =
        chat_strategy(strategy, strategy.specs("sink_recent"), *model_, system, prompt_template_);
    const bool keeps_all = make_policy(spec)->keeps_all();
    try {
      return make_run(memory_.engine_for(keeps_all), std::move(spec), model_);
    } catch (const Error& error) {
      if (error.field() != "kv_memory") throw;
      throw memory_.as_error_of_flag(error);
    }
  }

  ServeFlags flags_;
  std::shared_ptr<const Model> model_;
  TemplateOptions prompt_template_;
  ServeMemory memory_;
};

/// Says why answers are not decoded in one batch, if they are not.
void note_places(const serving::ConversationPlaces& places, const ModelRun& own) {
  if (places.refusal()) {
    spdlog::warn("answers are not decoded in one batch: {}", places.refusal()->what());
  } else if (own.policy->score_request()) {
    spdlog::warn(
        "answers are not decoded in one batch: {} chooses by attention, which needs a context of its own for "
        "each conversation",
        to_string(own.policy->spec()));
  }
}

/// The server's own strategy as a conversation has it; says on stderr what there is to say about it, once.
std::optional<ModelRun> first_run(const Beginnings& beginnings, const ServeFlags& flags, const Model& model) {
  note_positions(flags.engine, model);
  try {
    return beginnings.run_for("", flags.messages.system);
  } catch (const Error& error) {
    if (error.field() != "chat_template") throw;
    spdlog::warn("{}: requests for answers get HTTP 400 (--chat_template names a template)", error.what());
    return std::nullopt;
  }
}

void wait_for_signal(const InterruptGuard& interrupt) {
  while (!*interrupt.flag()) std::this_thread::sleep_for(kLookAtSignal);
}

void run_serve(const ServeFlags& flags, bool has_seed) {
  flags.validate();
  std::vector<std::string> keys = flags.keys();
  const TemplateOptions prompt_template = flags.messages.options();
  const std::shared_ptr<const Model> model = flags.engine.load_model();
  const ServeMemory memory(flags.engine, flags.n_live);
  const auto beginnings = std::make_shared<Beginnings>(flags, model, prompt_template, memory);
  const std::optional<ModelRun> run = first_run(*beginnings, flags, *model);
  const http::AnswerDefaults answer{.form = {.max_new_tokens = flags.generation.max_new_tokens,
                                             .sampling = flags.generation.sampling,
                                             .grammar = flags.generation.grammar(*model),
                                             .stop = flags.generation.stop},
                                    .has_seed = has_seed,
                                    .n_vocab = model->info().n_vocab};
  if (flags.engine.dry_run) {
    if (run) fmt::print("{}{}", dry_run_text(*run), memory.text(*run));
    return;
  }
  if (!flags.is_local() && keys.empty())
    spdlog::warn("whoever reaches {} can use this server: --api_key_file asks for keys",
                 flags.url(flags.port));
  serving::ConversationPool pool(
      {.model = model,
       .run_for = [beginnings](const std::string& strategy,
                               const std::string& system) { return beginnings->run_for(strategy, system); },
       .text_run_for =
           [beginnings](const std::string& strategy) { return beginnings->text_run_for(strategy); },
       .prompt_template = prompt_template,
       .system = flags.messages.system,
       .keep_reasoning = flags.keep_reasoning == "on",
       .n_live = static_cast<std::size_t>(flags.n_live),
       .places = run ? memory.places_for(*run) : serving::PlaceOptions{},
       .copy_bytes = run ? memory.copy_bytes(*run) : 0,
       .store = flags.open_store(*model),
       .on_store_error =
           [](const Error& error) { fmt::print(stderr, "kvevict: the store: {}\n", error.what()); }});
  if (run) {
    memory.require_limit(*run, pool.places().pool() != nullptr);
    note_places(pool.places(), *run);
  }
  const InterruptGuard interrupt;
  http::HttpServer server({.host = flags.host,
                           .port = flags.port,
                           .keys = std::move(keys),
                           .tls_certificate = flags.tls_certificate,
                           .tls_key = flags.tls_key,
                           .cors = flags.cors,
                           .n_waiting = static_cast<std::size_t>(flags.n_waiting)},
                          {.model = model,
                           .pool = &pool,
                           .strategy = run ? to_string(run->policy->spec()) : "",
                           .answer = answer});
  spdlog::set_level(spdlog::level::err);  // what the flags give reason to say was said, and holds for all
  fmt::print(stderr, "serve: listening on {}\n", flags.url(server.port()));
  std::fflush(stderr);
  wait_for_signal(interrupt);
  server.stop(std::chrono::seconds(flags.drain_seconds));
}

}  // namespace

void add_serve(CLI::App& app) {
  auto flags = std::make_shared<ServeFlags>();
  flags->engine.prefill = "bounded";
  flags->strategy.has_auto_sink = true;
  flags->generation.max_new_tokens = 512;
  CLI::App* command = app.add_subcommand(
      "serve", "Serve OpenAI's interface over HTTP; histories may be longer than any window");
  flags->add_to(*command);
  command->callback([flags, command] { run_serve(*flags, command->count("--seed") > 0); });
}

}  // namespace kvevict::cli
