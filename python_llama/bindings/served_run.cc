#include "served_run.h"

#include "kvevict/error.h"
#include "runtime/system_sink.h"

namespace kvevict::python {
namespace {

/// Tokens that a stream holds a layer. A server's memory is limited, and so is each conversation's.
std::int64_t budget_of(const ModelRun& run) {
  const PolicyState state{.schedule = Schedule::kStreaming, .n_layers = run.model->info().n_cache_layers()};
  if (const auto budget = run.policy->budget_tokens(state)) return *budget;
  throw Error(ErrorCode::kInvalidArgument,
              "the strategy " + to_string(run.policy->spec()) +
                  " has no bound: a server's conversations need one that evicts, such as sink_recent",
              "strategy");
}

}  // namespace

ModelRun ServedRuns::run_of(const StrategySpec& spec) const {
  ModelRun run{.model = model, .policy = make_policy(spec), .options = {}};
  run.options = resolved_options(*model, *run.policy, session_options(engine, *model, *run.policy, nullptr));
  (void)budget_of(run);
  return run;
}

/// A client's strategy holds no more than the server's own: memory is the server's to give.
void ServedRuns::require_within(const ModelRun& run, const ModelRun& own) const {
  if (budget_of(run) <= budget_of(own)) return;
  throw Error(ErrorCode::kInvalidArgument,
              "the strategy " + to_string(run.policy->spec()) + " holds " + std::to_string(budget_of(run)) +
                  " tokens, and a conversation of this server may hold " + std::to_string(budget_of(own)),
              "strategy");
}

ModelRun ServedRuns::run_for(const std::string& named, const std::string& system) const {
  const auto with_sink = [&](const std::string& text) {
    return run_of(with_system_sink(parse_strategy(text), text, *model, system, {}));
  };
  ModelRun own = with_sink(strategy);
  if (named.empty()) return own;
  ModelRun run = with_sink(named);
  require_within(run, own);
  return run;
}

ModelRun ServedRuns::text_run_for(const std::string& named) const {
  ModelRun run = run_of(parse_strategy(named));
  require_within(run, run_of(parse_strategy(strategy)));
  return run;
}

}  // namespace kvevict::python
