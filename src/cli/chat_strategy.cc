#include "cli/chat_strategy.h"

#include <utility>

#include "cli/model_run.h"
#include "kvevict/registry.h"
#include "runtime/system_sink.h"

namespace kvevict::cli {

StrategySpec chat_strategy(const StrategyFlags& flags, std::vector<StrategySpec> specs, const Model& model,
                           const std::string& system, const TemplateOptions& prompt_template) {
  StrategySpec spec = specs_for(model, std::move(specs), flags).front();
  if (!flags.has_auto_sink || !policy_info(spec.name).uses("sink")) return spec;
  spec = with_system_sink(std::move(spec), flags.strategy, model, system, prompt_template);
  if (flags.budget) set_total_budget(spec, *flags.budget);
  return spec;
}

}  // namespace kvevict::cli
