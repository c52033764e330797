#include "runtime/system_sink.h"

#include <algorithm>

#include "kvevict/conversation.h"
#include "kvevict/registry.h"

namespace kvevict {
namespace {

/// Whether the text of a strategy gives its sink: "sink_recent:4:24", "sink_recent:sink=4".
bool names_sink(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view first = text.substr(colon + 1, text.find(':', colon + 1) - colon - 1);
  return first.find('=') == std::string_view::npos || text.find(":sink=") != std::string_view::npos;
}

}  // namespace

StrategySpec with_system_sink(StrategySpec spec, std::string_view text, const Model& model,
                              std::string_view system, const TemplateOptions& prompt_template) {
  if (!policy_info(spec.name).uses("sink")) return spec;
  const std::int64_t n_system = count_system_tokens(model, system, prompt_template);
  const std::int64_t n_own = names_sink(text) ? spec.config.sink_tokens : 0;
  spec.config.sink_tokens = std::max(n_system, n_own);
  return spec;
}

}  // namespace kvevict
