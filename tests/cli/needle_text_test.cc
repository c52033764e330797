#include "experiments/needle_text.h"

#include <gtest/gtest.h>

#include <set>

#include "experiments/pass_key.h"
#include "kvevict/error.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

using eval::Needle;
using eval::QuestionOrder;

class NeedleTextTest : public testing::Test {
 protected:
  [[nodiscard]] auto prompts(const char* kind, const eval::Haystack& haystack,
                             const std::vector<Needle>& needles, std::int64_t n_tokens,
                             QuestionOrder order) const {
    return eval::needle_prompts(*model_, eval::needle_kind(kind), haystack, needles, n_tokens, order);
  }

  std::vector<std::string> sentences_ = [] {
    std::vector<std::string> sentences;
    for (int i = 0; i < 80; ++i) sentences.push_back("This is sentence " + std::to_string(1000 + i) + ". ");
    return sentences;
  }();
  std::vector<Needle> codes_ = {{10, "harbour", "11111"}, {50, "library", "22222"}, {90, "museum", "33333"}};
  std::shared_ptr<const Model> model_ = load_model(shallow_f32_model_path());
};

TEST_F(NeedleTextTest, APasskeyPromptIsTheOneOfThePaper) {
  const std::string filler =
      "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";
  const std::string text = eval::kPassKeyInstruction + filler +
                           "The pass key is 71432. Remember it. 71432 is the pass key. " + filler +
                           "\nWhat is the pass key? The pass key is";
  const auto n_tokens = static_cast<std::int64_t>(model_->tokenize(text, true, true).size());
  const auto prompt = prompts("passkey", {}, {{50, "", "71432"}}, n_tokens + 5, QuestionOrder::kBefore).at(0);
  EXPECT_EQ(prompt.text, text);
  EXPECT_EQ(prompt.n_question_tokens, 0);
}

TEST_F(NeedleTextTest, AllPromptsOfATextHaveTheSameContextAndAskForEachNeedle) {
  const eval::Haystack haystack{.sentences = &sentences_, .first = 70};
  const auto of_text = prompts("codes", haystack, codes_, 300, QuestionOrder::kAfter);
  ASSERT_EQ(of_text.size(), codes_.size());
  for (std::size_t i = 0; i < of_text.size(); ++i) {
    EXPECT_TRUE(std::ranges::equal(of_text[i].context(), of_text[0].context()));
    EXPECT_LE(of_text[i].tokens.size(), 300U);
    EXPECT_GT(of_text[i].tokens.size(), 280U);
    const std::string question = model_->detokenize(of_text[i].question());
    EXPECT_NE(question.find(codes_[i].subject), std::string::npos) << question;
    EXPECT_EQ(of_text[i].text.find(codes_[i].subject + " code: " + codes_[i].answer),
              of_text[i].text.rfind(codes_[i].subject + " code: " + codes_[i].answer));
  }
  const std::string context = model_->detokenize(of_text[0].context());
  EXPECT_EQ(context.find("What is"), std::string::npos) << "of the question nothing";
  EXPECT_LT(context.find("11111"), context.find("22222"));
  EXPECT_LT(context.find("22222"), context.find("33333"));
  EXPECT_LT(context.find("sentence 1079"), context.find("sentence 1000")) << "goes on at its beginning";
}

TEST_F(NeedleTextTest, TheTokensAreTheSameInEitherOrder) {
  const eval::Haystack haystack{.sentences = &sentences_};
  const auto before = prompts("codes", haystack, codes_, 300, QuestionOrder::kBefore);
  const auto after = prompts("codes", haystack, codes_, 300, QuestionOrder::kAfter);
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(before[i].tokens, after[i].tokens);
    EXPECT_EQ(before[i].n_question_tokens, 0);
  }
}

TEST_F(NeedleTextTest, RefusesWhatIsTooShort) {
  const eval::Haystack haystack{.sentences = &sentences_};
  EXPECT_THROW(static_cast<void>(prompts("codes", haystack, codes_, 40, QuestionOrder::kBefore)), Error);
  try {
    static_cast<void>(prompts("codes", haystack, codes_, 5000, QuestionOrder::kBefore));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("80 sentences"), std::string::npos) << error.what();
  }
  EXPECT_THROW(static_cast<void>(eval::needle_kind("coins")), Error);
}

TEST(NeedleKinds, SubjectsAndAnswersAreDifferent) {
  for (const eval::NeedleKind& kind : eval::needle_kinds()) {
    const std::set<std::string_view> subjects(kind.subjects.begin(), kind.subjects.end());
    const std::set<std::string_view> answers(kind.answers.begin(), kind.answers.end());
    EXPECT_EQ(subjects.size(), kind.subjects.size());
    EXPECT_EQ(answers.size(), kind.answers.size());
    EXPECT_NE(kind.fact("x", "12345").find("12345"), std::string::npos);
    EXPECT_EQ(kind.question("x").find("12345"), std::string::npos);
  }
}

}  // namespace
}  // namespace kvevict::test
