#include "experiments/answer_decoding.h"

#include <algorithm>
#include <optional>

namespace kvevict::eval {
namespace {

/// The token that is drawn next; nothing if the model ends the answer.
std::optional<Token> draw(AnswerLine& line, const SamplingOptions& sampling) {
  const Generation one = line.session.generate({.max_new_tokens = 1, .sampling = sampling});
  return one.tokens.empty() ? std::nullopt : std::optional(one.tokens.front());
}

/// The most likely token that neither ends the answer nor is `newline`.
Token best_beginning(const AnswerLine& line, Token newline) {
  const std::span<const float> logits = line.session.logits();
  Token best = -1;
  for (Token token = 0; token < static_cast<Token>(logits.size()); ++token) {
    if (token == newline || line.session.model().is_end_of_generation(token)) continue;
    if (best < 0 || logits[static_cast<std::size_t>(token)] > logits[static_cast<std::size_t>(best)])
      best = token;
  }
  return best;
}

/// Draws the line's next token and says whether the answer goes on behind it.
bool advance(AnswerLine& line, const AnswerSettings& settings, std::optional<Token> newline) {
  std::optional<Token> token = draw(line, settings.sampling);
  const bool is_first = line.tokens.empty();
  if (newline && is_first && (!token || token == newline)) token = best_beginning(line, *newline);
  if (!token) return false;
  line.tokens.push_back(*token);
  return token != newline && static_cast<std::int64_t>(line.tokens.size()) < settings.n_new_tokens;
}

}  // namespace

void decode_answers(std::span<AnswerLine> lines, const AnswerSettings& settings) {
  if (lines.empty() || settings.n_new_tokens < 1) return;
  std::optional<Token> newline;
  if (settings.stops_at_newline) newline = lines.front().session.model().tokenize("\n", false, false).back();
  for (;;) {
    std::vector<Session*> sessions;
    std::vector<Token> tokens;
    for (AnswerLine& line : lines) {
      if (line.is_done) continue;
      line.is_done = !advance(line, settings, newline);
      if (line.is_done) continue;
      if (settings.evicts) line.session.make_room();
      sessions.push_back(&line.session);
      tokens.push_back(line.tokens.back());
    }
    if (sessions.empty()) return;
    Session::append_each(sessions, tokens);
  }
}

}  // namespace kvevict::eval
