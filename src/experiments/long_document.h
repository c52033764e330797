#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/model_run.h"

namespace kvevict::eval {

/// A document that says something in its first lines and is asked for it at its end: the passkey of
/// `kvevict needle`, around real text.
struct LongDocument {
  std::vector<Token> tokens;
  std::string fact, question, answer;
};

/// A document of `n_tokens` tokens: the fact, as much of `texts` as fits (again from the first one, if they
/// are too short), the question. Errors: kInvalidArgument if not even fact and question fit, or there is no
/// text.
[[nodiscard]] LongDocument make_long_document(const Model& model, std::span<const std::string> texts,
                                              std::int64_t n_tokens);

/// The sentence that refuses a full prefill of the document and an answer; nothing if the model was trained
/// on contexts that are long enough. Nothing is computed.
[[nodiscard]] std::optional<std::string> refusal_in_full(std::shared_ptr<const Model> model,
                                                         const SessionOptions& options,
                                                         const LongDocument& document);

/// Bytes of K and V that a cache of the whole document and its answer takes.
[[nodiscard]] std::int64_t kv_bytes_in_full(const Model& model, const SessionOptions& options,
                                            const LongDocument& document);

/// What a bounded prefill of the document answered.
struct LongAnswer {
  std::string text;
  bool is_right = false;  ///< Whether the text holds the answer.
  std::int64_t n_tokens_held_peak = 0;
  std::int64_t kv_bytes_peak = 0;
  double seconds = 0;
};

/// Reads the document by `run`, whose prefill must be bounded, and answers. `on_progress`: as of
/// PrefillSettings. Errors: those of Session.
[[nodiscard]] LongAnswer answer_long_document(const ModelRun& run, const LongDocument& document,
                                              const std::function<void(std::int64_t n_done)>& on_progress);

}  // namespace kvevict::eval
