#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/model_run.h"

namespace kvevict::eval {

/// What a document says in its first lines, and how it is asked for.
struct StatedFact {
  std::string statement;  ///< "The pass key is 71432."
  std::string question;   ///< "What is the pass key?"
  std::string opening;    ///< How the answer begins, which the model goes on from.
  std::string answer;
};

/// A document of real text that says some things in its first lines, which are asked for once it was read.
struct LongDocument {
  std::vector<Token> tokens;
  std::vector<StatedFact> facts;
};

/// A document of `n_tokens` tokens: facts, then as much of `texts` as fits (again from the first one, if they
/// are too short). There are as many facts, up to five, as the first `n_sink` tokens hold, and one at least.
/// Errors: kInvalidArgument if the facts leave no room for a text, or there is none.
[[nodiscard]] LongDocument make_long_document(const Model& model, std::span<const std::string> texts,
                                              std::int64_t n_tokens, std::int64_t n_sink);

/// The sentence that refuses a full prefill of the document and an answer; nothing if the model was trained
/// on contexts that are long enough. Nothing is computed.
[[nodiscard]] std::optional<std::string> refusal_in_full(std::shared_ptr<const Model> model,
                                                         const SessionOptions& options,
                                                         const LongDocument& document);

/// Bytes of K and V that a cache of the whole document and its answer takes.
[[nodiscard]] std::int64_t kv_bytes_in_full(const Model& model, const SessionOptions& options,
                                            const LongDocument& document);

/// What was answered to each question behind a document that was read once.
struct LongAnswers {
  struct One {
    std::string text;       ///< Up to its first full stop or line break.
    bool is_right = false;  ///< Whether the text holds the answer.
  };
  std::vector<One> all;       ///< One for each fact.
  std::int64_t n_kept = 0;    ///< Tokens per layer, once it was read.
  std::int64_t kv_bytes = 0;  ///< Of K and V, then.
  std::int64_t kv_bytes_peak = 0;
  double seconds_reading = 0;
  double seconds_answers = 0;
};

/// Reads the document by `run`, whose prefill must be bounded, and asks for each fact, on top of what is kept
/// and as if nothing else was asked. `on_progress`: as of DocumentOptions. Errors: those of Document.
[[nodiscard]] LongAnswers answer_long_document(const ModelRun& run, const LongDocument& document,
                                               const std::function<void(std::int64_t n_done)>& on_progress);

}  // namespace kvevict::eval
