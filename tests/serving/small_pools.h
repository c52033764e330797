#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "serving/conversation_pool.h"
#include "support/run_answers.h"
#include "support/test_models.h"

namespace kvevict::serving {

inline PoolOptions options_for(std::size_t n_live,
                               const std::filesystem::path& path = test::shallow_model_path()) {
  const auto model = test::load_model(path);
  return {.model = model,
          .run_for =
              [model](const std::string& strategy, const std::string&) {
                return ModelRun{model, make_policy(strategy.empty() ? "sink_recent:16:112" : strategy),
                                SessionOptions{.n_chunk = 64, .prefill = PrefillMode::kBounded}};
              },
          .n_live = n_live,
          .places = {.session = {.n_chunk = 64, .prefill = PrefillMode::kBounded}, .n_cells = 256}};
}

inline ChatResult ask(ConversationPool& pool, ChatRequest request) {
  request.form.max_new_tokens = 8;
  std::vector<std::unique_ptr<RunningAnswer>> answers;
  answers.push_back(pool.begin(request, [](std::string_view) {}));
  return test::run_all(pool, std::move(answers)).front();
}

/// A turn of a talk: asks, and takes the answer into the history.
inline ChatResult turn(ConversationPool& pool, std::vector<ChatMessage>& history,
                       const std::string& message) {
  history.push_back({"user", message});
  ChatResult result = ask(pool, {.messages = history});
  history.push_back({"assistant", result.answer.text});
  return result;
}

}  // namespace kvevict::serving
