// How answers end, and what the sampler is told beside its temperature.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/stop_text.h"
#include "kvevict/answer_draw.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

std::string given_out(StopText& stop, const std::vector<std::string>& pieces) {
  std::string text;
  for (const std::string& piece : pieces) text += stop.add(piece);
  return text;
}

TEST(StopTextTest, EndsBeforeTheFirstStopHoweverTheTextIsCut) {
  for (const std::vector<std::string>& pieces :
       {std::vector<std::string>{"one END two"}, {"one E", "ND two"}, {"one ", "E", "N", "D", " two"}}) {
    StopText stop({"never", "END"});
    EXPECT_EQ(given_out(stop, pieces), "one ");
    EXPECT_TRUE(stop.is_reached());
    EXPECT_EQ(stop.take_rest(), "");
  }
}

TEST(StopTextTest, HoldsBackOnlyWhatMayBecomeAStop) {
  StopText stop({"aab"});
  EXPECT_EQ(stop.add("xaa"), "x");
  EXPECT_EQ(stop.add("a"), "a");
  EXPECT_EQ(stop.add("c"), "aac");
  EXPECT_EQ(stop.add("a"), "");
  EXPECT_EQ(stop.take_rest(), "a");
  EXPECT_FALSE(stop.is_reached());
}

Session begun(const std::filesystem::path& path, const std::string& prompt) {
  const auto model = test::load_model(path);
  Session session(model, make_policy("full"));
  session.append(model->tokenize(prompt, true, false));
  return session;
}

TEST(Generate, EndsWhereAStopBeginsAndGivesOutTheSameText) {
  const std::string prompt = "The lighthouse keeper";
  const std::string whole = begun(test::shallow_model_path(), prompt).generate({.max_new_tokens = 24}).text;
  ASSERT_GT(whole.size(), 20U);
  const std::string stop = whole.substr(whole.size() / 2, 5);
  for (const std::vector<std::string>& stops :
       {std::vector<std::string>{stop}, {whole.substr(whole.size() - 3) + "\x01"}}) {
    std::string shown;
    const Generation generation = begun(test::shallow_model_path(), prompt)
                                      .generate({.max_new_tokens = 24,
                                                 .stop = stops,
                                                 .on_token =
                                                     [&](Token, std::string_view text) {
                                                       shown += text;
                                                       return true;
                                                     },
                                                 .on_rest = [&](std::string_view text) { shown += text; }});
    EXPECT_EQ(generation.text, whole.substr(0, whole.find(stops.front())));
    EXPECT_EQ(shown, generation.text);
    EXPECT_EQ(generation.reached_end, stops.front() == stop);
  }
  EXPECT_THROW(begun(test::shallow_model_path(), prompt).generate({.stop = {""}}), Error);
}

TEST(Generate, NeverDrawsAnEndThatIsToBeIgnored) {
  for (const double temperature : {0.0, 100.0}) {
    SamplingOptions sampling{.temperature = temperature, .top_k = 0, .top_p = 1.0, .min_p = 0.0};
    Session session = begun(test::sentence_piece_model_path(), "hello");
    const bool ends = temperature > 0;  // one of some 300 tokens, all about as likely
    const GenerateOptions plain{.max_new_tokens = 240, .sampling = sampling};
    if (ends) {
      EXPECT_LT(begun(test::sentence_piece_model_path(), "hello").generate(plain).tokens.size(), 240U);
    }
    sampling.ignores_end = true;
    const Generation all = session.generate({.max_new_tokens = 240, .sampling = sampling});
    EXPECT_EQ(all.tokens.size(), 240U);
  }
}

TEST(Generate, ARepeatPenaltyCountsTheTokensBefore) {
  const SamplingOptions sampling{.repeat_penalty = 5.0, .ignores_end = true};
  const auto distinct = [](const std::vector<Token>& tokens) {
    return std::set<Token>(tokens.begin(), tokens.end()).size();
  };
  const auto path = test::shallow_model_path();
  const std::vector<Token> plain = begun(path, "one two one two")
                                       .generate({.max_new_tokens = 40, .sampling = {.ignores_end = true}})
                                       .tokens;
  const std::vector<Token> all =
      begun(path, "one two one two").generate({.max_new_tokens = 40, .sampling = sampling}).tokens;
  EXPECT_GT(distinct(all), distinct(plain));

  Session parts = begun(path, "one two one two");
  std::vector<Token> joined;
  while (joined.size() < 40) {
    const Token token =
        parts.generate({.max_new_tokens = 1, .sampling = sampling, .recent = joined}).tokens.at(0);
    joined.push_back(token);
    parts.append({&token, 1});
  }
  EXPECT_EQ(joined, all);
}

TEST(Generate, PresenceAndFrequencyAreTakenFromLogits) {
  // Greedy: what is drawn is the highest logit less the penalties, counted here once more.
  for (const SamplingOptions& sampling :
       {SamplingOptions{.presence_penalty = 1.5}, SamplingOptions{.frequency_penalty = 1.25},
        SamplingOptions{.presence_penalty = -0.5, .frequency_penalty = 0.75}}) {
    Session session = begun(test::shallow_model_path(), "one two one two");
    std::vector<Token> drawn;
    AnswerDraw answer(test::load_model(test::shallow_model_path()),
                      {.max_new_tokens = 20, .sampling = sampling, .stop_at_end_of_generation = false});
    while (drawn.size() < 20) {
      const std::span<const float> logits = session.logits();
      std::vector<double> left(logits.begin(), logits.end());
      std::map<Token, int> counts;
      for (const Token token : drawn) ++counts[token];
      for (const auto& [token, n] : counts)
        left[static_cast<std::size_t>(token)] -= sampling.presence_penalty + n * sampling.frequency_penalty;
      const auto best = std::max_element(left.begin(), left.end());
      (void)answer.next(session);
      ASSERT_EQ(answer.tokens().back(), best - left.begin());
      drawn.push_back(answer.tokens().back());
      session.append({&drawn.back(), 1});
    }
  }
}

TEST(Generate, ABiasBansATokenOrBringsIt) {
  const auto path = test::shallow_model_path();
  const Token first = begun(path, "one two one two").generate({.max_new_tokens = 1}).tokens.at(0);
  const auto drawn_with = [&](Token token, double bias) {
    return begun(path, "one two one two")
        .generate({.max_new_tokens = 1, .sampling = {.logit_bias = {{.token = token, .bias = bias}}}})
        .tokens.at(0);
  };
  EXPECT_NE(drawn_with(first, -100), first);
  EXPECT_EQ(drawn_with(1234, 100), 1234);
}

TEST(Generate, EachTokenHasItsProbabilityBeforeTemperatureAndPenalties) {
  Session session = begun(test::shallow_model_path(), "one two one two");
  std::vector<DrawnToken> drawn;
  AnswerDraw answer(test::load_model(test::shallow_model_path()),
                    {.max_new_tokens = 8,
                     .sampling = {.temperature = 1.5, .seed = 3, .repeat_penalty = 2.0},
                     .on_drawn = [&](const DrawnToken& one) { drawn.push_back(one); },
                     .n_best = 3});
  while (true) {
    const std::vector<float> logits(session.logits().begin(), session.logits().end());
    const std::optional<Token> token = answer.next(session);
    if (drawn.size() < answer.tokens().size()) break;
    double sum = 0;
    for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
    const DrawnToken& last = drawn.back();
    EXPECT_EQ(last.drawn.token, answer.tokens().back());
    const double logit = logits[static_cast<std::size_t>(last.drawn.token)];
    EXPECT_NEAR(last.drawn.log_probability, logit - std::log(sum), 1e-4);
    ASSERT_EQ(last.best.size(), 3U);
    EXPECT_EQ(last.best.front().token, std::max_element(logits.begin(), logits.end()) - logits.begin());
    EXPECT_GE(last.best[0].log_probability, last.best[1].log_probability);
    EXPECT_GE(last.best[1].log_probability, last.best[2].log_probability);
    EXPECT_EQ(last.drawn.bytes, session.model().detokenize(std::span(&last.drawn.token, 1), true));
    if (!token) break;
    session.append({&*token, 1});
  }
  EXPECT_EQ(drawn.size(), answer.tokens().size());
  EXPECT_EQ(drawn.size(), 8U);
}

TEST(Generate, RefusesAPenaltyOutOfItsRange) {
  Session session = begun(test::shallow_model_path(), "one");
  const auto field_of = [&](const SamplingOptions& sampling) -> std::string {
    try {
      (void)session.generate({.sampling = sampling});
    } catch (const Error& error) {
      return error.field();
    }
    return "it was taken";
  };
  EXPECT_EQ(field_of({.repeat_penalty = 0.0}), "repeat_penalty");
  EXPECT_EQ(field_of({.presence_penalty = 2.1}), "presence_penalty");
  EXPECT_EQ(field_of({.frequency_penalty = -2.1}), "frequency_penalty");
  EXPECT_EQ(field_of({.logit_bias = {{.token = 5, .bias = 100.5}}}), "logit_bias");
  EXPECT_EQ(field_of({.logit_bias = {{.token = -1}}}), "logit_bias");
  EXPECT_EQ(field_of({.logit_bias = {{.token = 49152}}}), "logit_bias");
  EXPECT_THROW((void)session.generate({.on_drawn = [](const DrawnToken&) {}, .n_best = -1}), Error);
}

}  // namespace
}  // namespace kvevict
