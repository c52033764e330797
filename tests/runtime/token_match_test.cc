#include "runtime/token_match.h"

#include <gtest/gtest.h>

#include "support/test_models.h"

namespace kvevict {
namespace {

class TokenMatchTest : public testing::Test {
 protected:
  std::vector<Token> tokens(std::string_view text, bool with_control_tokens = false) const {
    return model->tokenize(text, false, with_control_tokens);
  }
  /// Letter by letter, as no tokenizer does it.
  std::vector<Token> letters(std::string_view text) const {
    std::vector<Token> all;
    for (const char letter : text) {
      const std::vector<Token> one = tokens(std::string(1, letter));
      all.insert(all.end(), one.begin(), one.end());
    }
    return all;
  }
  TokenMatch match(const std::vector<Token>& seen, const std::vector<Token>& given) const {
    return match_tokens(*model, seen, given);
  }

  std::shared_ptr<const Model> model = test::load_model(test::shallow_model_path());
};

std::vector<Token> joined(std::vector<Token> a, const std::vector<Token>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_F(TokenMatchTest, TheSameTokensMatch) {
  const std::vector<Token> words = tokens("The keeper saw a ship");
  EXPECT_EQ(match(words, words), (TokenMatch{words.size(), words.size()}));
  const std::vector<Token> longer = joined(words, tokens(" at noon"));
  EXPECT_EQ(match(words, longer), (TokenMatch{words.size(), words.size()}));
  EXPECT_EQ(match(longer, words), (TokenMatch{words.size(), words.size()}));
  EXPECT_EQ(match({}, words), TokenMatch{});
}

TEST_F(TokenMatchTest, OtherTokensOfTheSameTextMatch) {
  const std::vector<Token> spelt = letters("lighthouse keeper"), read = tokens("lighthouse keeper");
  ASSERT_LT(read.size(), spelt.size());
  EXPECT_EQ(match(spelt, read), (TokenMatch{spelt.size(), read.size()}));
  const std::vector<Token> end = tokens(" and his dog");
  EXPECT_EQ(match(joined(spelt, end), joined(read, end)),
            (TokenMatch{spelt.size() + end.size(), read.size() + end.size()}));
}

TEST_F(TokenMatchTest, AMatchEndsWhereBothHaveAToken) {
  const std::vector<Token> before = tokens("A big");
  const std::vector<Token> seen = joined(before, letters(" lightho"));
  const std::vector<Token> given = joined(before, tokens(" lightning"));
  const TokenMatch found = match(seen, given);
  EXPECT_EQ(model->detokenize(std::span(seen).first(found.n_seen)),
            model->detokenize(std::span(given).first(found.n_given)));
  EXPECT_GE(found.n_seen, before.size());
  EXPECT_LT(found.n_seen, seen.size());
}

TEST_F(TokenMatchTest, AControlTokenIsNotItsText) {
  const std::vector<Token> control = tokens("a<|im_end|>b", true), text = tokens("a<|im_end|>b");
  ASSERT_NE(control, text);
  EXPECT_EQ(match(control, text), (TokenMatch{1, 1}));
  EXPECT_EQ(match(text, control), (TokenMatch{1, 1}));
}

}  // namespace
}  // namespace kvevict
