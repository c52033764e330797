#include "kvevict/answer_draw.h"

#include <gtest/gtest.h>

#include <functional>

#include "kvevict/error.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

Session begun() {
  const auto model = test::load_model(test::shallow_model_path());
  Session session(model, make_policy("sink_recent:4:60"));
  session.append(test::prose_tokens(*model, 50));
  return session;
}

AnswerDraw draw_with(const GenerateOptions& options) {
  return {test::load_model(test::shallow_model_path()), options};
}

/// What a scheduler does with an answer that has its turn.
bool take_a_turn(AnswerDraw& answer, Session& session) {
  const std::optional<Token> token = answer.next(session);
  if (!token) return false;
  session.make_room();
  session.append({&*token, 1}, {.prefill = PrefillMode::kFull});
  return true;
}

TEST(AnswerDraw, AnswersThatTakeTurnsAreThoseOfOneAfterTheOther) {
  std::vector<GenerateOptions> options(2);
  options[0] = {.max_new_tokens = 40, .sampling = {.temperature = 0.9F, .seed = 7}};
  options[1] = {.max_new_tokens = 25, .sampling = {.temperature = 1.2F, .seed = 8, .repeat_penalty = 1.3F}};
  std::vector<Session> sessions;
  std::vector<AnswerDraw> answers;
  std::vector<std::string> texts(2);
  for (const GenerateOptions& o : options) {
    sessions.push_back(begun());
    answers.push_back(draw_with(o));
  }
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (std::size_t i = 0; i < 2; ++i) {
      goes_on |= take_a_turn(answers[i], sessions[i]);
      texts[i] += answers[i].last_text();
    }
  }
  for (std::size_t i = 0; i < 2; ++i) {
    Session alone = begun();
    const Generation expected = alone.generate(options[i]);
    EXPECT_EQ(std::vector<Token>(answers[i].tokens().begin(), answers[i].tokens().end()), expected.tokens);
    const Generation generation = answers[i].finish();
    EXPECT_EQ(generation.tokens, expected.tokens);
    EXPECT_EQ(generation.text, expected.text);
    EXPECT_EQ(generation.reached_end, expected.reached_end);
    EXPECT_TRUE(expected.text.starts_with(texts[i])) << "but for a character that is not whole";
    EXPECT_EQ(sessions[i].held(), alone.held());
    EXPECT_TRUE(answers[i].finish().tokens.empty()) << "what came was taken";
  }
}

TEST(AnswerDraw, SaysWhyItEnded) {
  const Generation whole = begun().generate({.max_new_tokens = 24});
  const std::string stop = whole.text.substr(whole.text.size() / 2, 5);
  int n_wanted = 3;
  const std::vector<std::pair<GenerateOptions, DrawEnd>> cases = {
      {{.max_new_tokens = 0}, DrawEnd::kByLength},
      {{.max_new_tokens = 2}, DrawEnd::kByLength},
      {{.max_new_tokens = 24, .stop = {stop}}, DrawEnd::kByText},
      {{.max_new_tokens = 24, .on_token = [&](Token, std::string_view) { return --n_wanted > 0; }},
       DrawEnd::kByCaller},
      {{.max_new_tokens = 24, .grammar = R"(root ::= "yes" | "no")"}, DrawEnd::kByModel}};
  for (const auto& [options, end] : cases) {
    Session session = begun();
    AnswerDraw answer = draw_with(options);
    EXPECT_EQ(answer.end(), DrawEnd::kNot);
    while (take_a_turn(answer, session)) continue;
    EXPECT_EQ(answer.end(), end);
    EXPECT_EQ(answer.next(session), std::nullopt) << "an answer that ended stays so";
    EXPECT_EQ(answer.end(), end);
  }
  EXPECT_EQ(n_wanted, 0);
}

TEST(AnswerDraw, GivesWhatItHeldBackWhenItIsCutShort) {
  const Generation whole = begun().generate({.max_new_tokens = 8});
  std::string rest;
  Session session = begun();
  AnswerDraw answer =
      draw_with({.max_new_tokens = 24, .stop = {whole.text + "\x01"}, .on_rest = [&](std::string_view text) {
                   rest = text;
                 }});
  std::string shown;
  for (int i = 0; i < 8; ++i) {
    ASSERT_TRUE(take_a_turn(answer, session));
    shown += answer.last_text();
  }
  EXPECT_EQ(shown, "") << "it may become the text that ends the answer";
  EXPECT_EQ(answer.finish().text, whole.text);
  EXPECT_EQ(answer.end(), DrawEnd::kByCaller);
  EXPECT_EQ(rest, whole.text);
}

TEST(AnswerDraw, RefusesWhatNothingCanBeDrawnFrom) {
  const auto model = test::load_model(test::shallow_model_path());
  const Session empty(model, make_policy("full"));
  AnswerDraw answer = draw_with({.max_new_tokens = 4});
  EXPECT_THROW((void)answer.next(empty), Error);
  EXPECT_EQ(answer.end(), DrawEnd::kNot);
  EXPECT_THROW(AnswerDraw(model, {.stop = {""}}), Error);
  EXPECT_THROW(AnswerDraw(nullptr, {}), Error);
}

}  // namespace
}  // namespace kvevict
