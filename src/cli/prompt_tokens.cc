#include "cli/prompt_tokens.h"

#include <spdlog/spdlog.h>

#include <memory>

#include "hub/locations.h"
#include "kvevict/error.h"
#include "kvevict/model.h"

namespace kvevict::cli {
namespace {

/// Nothing if the tokens' texts do not make up the prompt again.
std::optional<std::vector<std::size_t>> token_ends_of(const Model& model, const std::string& prompt) {
  std::vector<std::size_t> ends;
  std::size_t end = 0;
  for (const Token token : model.tokenize(prompt, true, true)) {
    end += model.detokenize({&token, 1}, true).size();
    ends.push_back(end);
  }
  if (ends.empty() || end != prompt.size()) return std::nullopt;
  return ends;
}

}  // namespace

plot::TokenEnds prompt_token_ends(const std::string& name) {
  std::shared_ptr<const Model> model;
  try {
    model = Model::load({.path = find_model(name), .weights = false});
  } catch (const Error& error) {
    if (name != "default") throw;
    spdlog::warn("{}; which parts of a prompt were kept is estimated", error.what());
    return {};
  }
  struct Last {
    std::string prompt;
    std::optional<std::vector<std::size_t>> ends;
  };
  const auto last = std::make_shared<Last>();  // runs share prompts: each is asked for several times in a row
  return [model, last](const eval::RunInfo& run,
                       const std::string& prompt) -> std::optional<std::vector<std::size_t>> {
    if (run.model_bytes != model->info().file_bytes) return std::nullopt;
    if (last->prompt != prompt) *last = {prompt, token_ends_of(*model, prompt)};
    return last->ends;
  };
}

}  // namespace kvevict::cli
