#pragma once

#include <string>
#include <string_view>

#include "kvevict/model.h"
#include "kvevict/prompt_template.h"
#include "kvevict/strategy_spec.h"

namespace kvevict {

/// `spec` with a sink that always keeps the system prompt of a conversation; longer if `text`, which names
/// the strategy (empty: nobody does), asks for more. A strategy without a sink stays as it is. Errors: those
/// of `count_system_tokens`.
[[nodiscard]] StrategySpec with_system_sink(StrategySpec spec, std::string_view text, const Model& model,
                                            std::string_view system, const TemplateOptions& prompt_template);

}  // namespace kvevict
