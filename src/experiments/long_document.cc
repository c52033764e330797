#include "experiments/long_document.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/stopwatch.h"
#include "engine/trained_context.h"
#include "experiments/pass_key.h"
#include "kvevict/document.h"
#include "kvevict/error.h"
#include "kvevict/memory.h"
#include "runtime/prompt_prefill.h"

namespace kvevict::eval {
namespace {

constexpr std::int64_t kRoomTokens = 64;  // of a question and its answer

/// Five things of different kinds; the first is the pass key test's.
std::vector<StatedFact> all_facts() {
  return {{pass_key_fact("71432"), kPassKeyQuestion, kPassKeyAnswer, "71432"},
          {"The name of the ship is Aurora.", "What is the name of the ship?", " The name of the ship is",
           "Aurora"},
          {"The meeting is on Tuesday.", "On which day is the meeting?", " The meeting is on", "Tuesday"},
          {"The laboratory is run by Ingrid Halvorsen.", "Who runs the laboratory?",
           " The laboratory is run by", "Ingrid Halvorsen"},
          {"The train to Lisbon leaves from platform nine.", "Where does the train to Lisbon leave?",
           " The train to Lisbon leaves from platform", "nine"}};
}

std::vector<Token> tokens_of_facts(const Model& model, std::span<const StatedFact> facts) {
  std::string text = kPassKeyInstruction;
  for (const StatedFact& fact : facts) text += (&fact == facts.data() ? "" : " ") + fact.statement;
  return model.tokenize(text + "\n\n", true, false);
}

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

LongDocument make_long_document(const Model& model, std::span<const std::string> texts, std::int64_t n_tokens,
                                std::int64_t n_sink) {
  LongDocument document{.tokens = {}, .facts = all_facts()};
  std::vector<Token>& tokens = document.tokens;
  tokens = tokens_of_facts(model, document.facts);
  while (document.facts.size() > 1 && std::ssize(tokens) > n_sink) {
    document.facts.pop_back();
    tokens = tokens_of_facts(model, document.facts);
  }
  if (texts.empty() || std::ssize(tokens) >= n_tokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a document of {} tokens has no room for facts and a text", n_tokens));
  }
  for (std::size_t i = 0; std::ssize(tokens) < n_tokens; ++i) {
    const std::vector<Token> more = tokens_going_on(model, (i == 0 ? "" : "\n\n") + texts[i % texts.size()]);
    // The last text is cut at its beginning: the document ends as a text does.
    const std::int64_t n_more = std::min(std::ssize(more), n_tokens - std::ssize(tokens));
    tokens.insert(tokens.end(), more.end() - n_more, more.end());
  }
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

LongAnswers answer_long_document(const ModelRun& run, const LongDocument& document,
                                 const std::function<void(std::int64_t)>& on_progress) {
  LongAnswers answers;
  Stopwatch watch;
  Document read(run.model, run.policy, document.tokens,
                {.n_room = kRoomTokens, .session = run.options, .on_progress = on_progress});
  answers.seconds_reading = watch.seconds();
  answers.n_kept = read.report().n_kept;
  answers.kv_bytes = read.report().stats.kv_bytes;
  answers.kv_bytes_peak = read.report().stats.kv_bytes_peak;
  watch.restart();
  for (const StatedFact& fact : document.facts) {
    const DocumentAnswer answer = read.ask("\n\n" + fact.question + fact.opening,
                                           {.max_new_tokens = kAnswerTokens, .stop = {".", "\n"}});
    const std::string& text = answer.generation.text;
    answers.all.push_back({.text = text, .is_right = text.find(fact.answer) != std::string::npos});
  }
  answers.seconds_answers = watch.seconds();
  return answers;
}

}  // namespace kvevict::eval
