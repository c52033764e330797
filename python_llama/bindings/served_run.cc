#include "served_run.h"

#include "kvevict/error.h"
#include "runtime/system_sink.h"
#include "serving/strategy_limit.h"

namespace kvevict::python {
namespace {

/// A server's memory is limited, and so is each conversation's.
void require_bound(const ModelRun& run) {
  if (serving::stream_budget(run)) return;
  throw Error(ErrorCode::kInvalidArgument,
              "the strategy " + to_string(run.policy->spec()) +
                  " has no bound: a server's conversations need one that evicts, such as sink_recent",
              "strategy");
}

/// Attention that was recorded cannot be stored.
void require_storable(const ModelRun& run) {
  if (!run.policy->score_request()) return;
  throw Error(
      ErrorCode::kInvalidArgument,
      "the strategy " + to_string(run.policy->spec()) +
          " chooses by attention, which cannot be stored: one that goes by position or keys is needed, "
          "or a server without store",
      "strategy");
}

}  // namespace

ModelRun ServedRuns::run_of(const StrategySpec& spec) const {
  ModelRun run{.model = model, .policy = make_policy(spec), .options = {}};
  run.options = resolved_options(*model, *run.policy, session_options(engine, *model, *run.policy, nullptr));
  require_bound(run);
  return run;
}

ModelRun ServedRuns::run_for(const std::string& named, const std::string& system) const {
  const auto with_sink = [&](const std::string& text) {
    ModelRun run = run_of(with_system_sink(parse_strategy(text), text, *model, system, {}));
    if (is_stored) require_storable(run);
    return run;
  };
  ModelRun own = with_sink(strategy);
  if (named.empty()) return own;
  ModelRun run = with_sink(named);
  serving::require_within(run, own);
  return run;
}

ModelRun ServedRuns::text_run_for(const std::string& named) const {
  ModelRun run = run_of(parse_strategy(named));
  serving::require_within(run, run_of(parse_strategy(strategy)));
  return run;
}

}  // namespace kvevict::python
