#pragma once

#include <functional>
#include <string>

namespace kvevict::cli {

/// Runs `command`. An error about the model's chat template gets `advice`, which names something that the
/// command takes: the library knows no flags.
void with_template_advice(const std::string& advice, const std::function<void()>& command);

}  // namespace kvevict::cli
