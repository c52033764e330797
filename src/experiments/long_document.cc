#include "experiments/long_document.h"

#include <fmt/format.h>

#include "base/stopwatch.h"
#include "engine/trained_context.h"
#include "experiments/pass_key.h"
#include "kvevict/error.h"
#include "kvevict/memory.h"
#include "runtime/prompt_prefill.h"

namespace kvevict::eval {
namespace {

constexpr const char* kKey = "71432";

SessionOptions in_full(SessionOptions options) {
  options.prefill = PrefillMode::kFull;
  options.positions = PositionMode::kAbsolute;
  return options;
}

/// The tokens of `text` as it goes on from the document.
std::vector<Token> tokens_going_on(const Model& model, std::string text) {
  const TextPart part{std::move(text)};
  return model.tokenize({&part, 1}, false);
}

}  // namespace

LongDocument make_long_document(const Model& model, std::span<const std::string> texts,
                                std::int64_t n_tokens) {
  LongDocument document{
      .tokens = {}, .fact = pass_key_fact(kKey), .question = kPassKeyQuestion, .answer = kKey};
  std::vector<Token>& tokens = document.tokens;
  tokens = model.tokenize(kPassKeyInstruction + pass_key_sentences(kKey) + "\n\n", true, false);
  const std::vector<Token> end = tokens_going_on(model, "\n\n" + document.question + kPassKeyAnswer);
  const std::int64_t n_text = n_tokens - static_cast<std::int64_t>(end.size());
  if (texts.empty() || static_cast<std::int64_t>(tokens.size()) > n_text) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a document of {} tokens has no room for a fact and a question", n_tokens));
  }
  for (std::size_t i = 0; static_cast<std::int64_t>(tokens.size()) < n_text; ++i) {
    const std::vector<Token> more = tokens_going_on(model, texts[i % texts.size()] + "\n\n");
    tokens.insert(tokens.end(), more.begin(), more.end());
  }
  tokens.resize(static_cast<std::size_t>(n_text));
  tokens.insert(tokens.end(), end.begin(), end.end());
  return document;
}

std::optional<std::string> refusal_in_full(std::shared_ptr<const Model> model, const SessionOptions& options,
                                           const LongDocument& document) {
  const std::int64_t n_trained = context_limit(*model);
  const auto n_needed = static_cast<std::int64_t>(document.tokens.size()) + kAnswerTokens;
  if (n_trained == 0 || n_needed <= n_trained) return std::nullopt;
  Session session(std::move(model), make_policy("full"), in_full(options));
  try {
    static_cast<void>(prefill_prompt(session, document.tokens, {.n_new_tokens = kAnswerTokens}));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    return error.what();
  }
  return std::nullopt;
}

std::int64_t kv_bytes_in_full(const Model& model, const SessionOptions& options,
                              const LongDocument& document) {
  const auto n_prompt = static_cast<std::int64_t>(document.tokens.size());
  return memory_needed(model, *make_policy("full"), in_full(options), {n_prompt, kAnswerTokens}).kv_bytes;
}

LongAnswer answer_long_document(const ModelRun& run, const LongDocument& document,
                                const std::function<void(std::int64_t)>& on_progress) {
  LongAnswer answer;
  const Stopwatch watch;
  Session session(run.model, run.policy, run.options);
  static_cast<void>(prefill_prompt(
      session, document.tokens,
      {.n_new_tokens = kAnswerTokens, .is_last = true, .on_filled = {}, .on_progress = on_progress}));
  answer.text = session.generate({.max_new_tokens = kAnswerTokens}).text;
  answer.seconds = watch.seconds();
  answer.is_right = answer.text.find(document.answer) != std::string::npos;
  answer.n_tokens_held_peak = session.stats().n_tokens_held_peak;
  answer.kv_bytes_peak = session.stats().kv_bytes_peak;
  return answer;
}

}  // namespace kvevict::eval
