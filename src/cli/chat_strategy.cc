#include "cli/chat_strategy.h"

#include <algorithm>

#include "cli/model_run.h"
#include "kvevict/conversation.h"
#include "kvevict/registry.h"

namespace kvevict::cli {
namespace {

/// Whether the text of a strategy gives its sink: "sink_recent:4:24", "sink_recent:sink=4".
bool names_sink(const std::string& strategy) {
  const std::size_t colon = strategy.find(':');
  if (colon == std::string::npos) return false;
  const std::string first = strategy.substr(colon + 1, strategy.find(':', colon + 1) - colon - 1);
  return first.find('=') == std::string::npos || strategy.find(":sink=") != std::string::npos;
}

}  // namespace

StrategySpec chat_strategy(const StrategyFlags& flags, std::vector<StrategySpec> specs, const Model& model,
                           const std::string& system, const TemplateOptions& prompt_template) {
  StrategySpec spec = specs_for(model, std::move(specs), flags).front();
  if (!flags.has_auto_sink || !policy_info(spec.name).uses("sink")) return spec;
  const std::int64_t n_system = count_system_tokens(model, system, prompt_template);
  const std::int64_t n_own = names_sink(flags.strategy) ? spec.config.sink_tokens : 0;
  spec.config.sink_tokens = std::max(n_system, n_own);
  if (flags.budget) set_total_budget(spec, *flags.budget);
  return spec;
}

}  // namespace kvevict::cli
