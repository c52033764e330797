// How answers end, and what the sampler is told beside its temperature.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/stop_text.h"
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

TEST(Generate, RefusesAPenaltyOutOfItsRange) {
  Session session = begun(test::shallow_model_path(), "one");
  EXPECT_THROW(session.generate({.sampling = {.repeat_penalty = 0.0}}), Error);
}

}  // namespace
}  // namespace kvevict
