#pragma once

#include <string>
#include <vector>

#include "cli/strategy_flags.h"
#include "kvevict/model.h"
#include "kvevict/prompt_template.h"

namespace kvevict::cli {

/// The strategy of a conversation that begins with `system`: the first of `specs`, which `flags` gave, as
/// `model` can have it; its sink is the system prompt if nothing else was asked for. Errors: those of
/// `specs_for` and `count_system_tokens`.
[[nodiscard]] StrategySpec chat_strategy(const StrategyFlags& flags, std::vector<StrategySpec> specs,
                                         const Model& model, const std::string& system,
                                         const TemplateOptions& prompt_template);

}  // namespace kvevict::cli
