#pragma once

#include <string>

#include "plot/report.h"

namespace kvevict::cli {

/// Tells where the tokens of a run's prompts end, by the vocabulary of `model` ("default" or a GGUF file; no
/// weights are loaded). Nothing for runs of another model, and nothing at all if the default model is not
/// there, which is said on stderr. Errors: those of `find_model` and `Model::load` for a model that was
/// named.
[[nodiscard]] plot::TokenEnds prompt_token_ends(const std::string& model);

}  // namespace kvevict::cli
