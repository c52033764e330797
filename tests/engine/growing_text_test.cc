// Texts that begin as the one before did have the tokens that they have alone.
#include "engine/growing_text.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "kvevict/prompt_template.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

TextPart random_part(std::mt19937& random) {
  const std::vector<std::string> texts = {
      "<|im_start|>user\n", "<|im_end|>\n", "<|endoftext|>", " the sea", "caf\xC3\xA9", "\n", "  ", "12345",
      "<|im_start|>"};
  return {texts[random() % texts.size()], random() % 3 != 0};
}

class GrowingTextTest : public testing::TestWithParam<std::filesystem::path (*)()> {
 protected:
  std::shared_ptr<const Model> model_ = test::load_model(GetParam()());
  GrowingText growing_{};
};

TEST_P(GrowingTextTest, HasTheTokensOfEachTextAlone) {
  std::mt19937 random(7);
  std::vector<TextPart> parts;
  for (int i = 0; i < 1000; ++i) {
    if (!parts.empty() && random() % 4 == 0) parts.resize(random() % parts.size());  // an edited message
    const std::size_t n_more = random() % 6;
    for (std::size_t n = 0; n < n_more; ++n) parts.push_back(random_part(random));
    ASSERT_EQ(growing_.tokens(*model_, parts), model_->tokenize(parts, true)) << i << ": " << text_of(parts);
    if (parts.size() > 60) parts.clear();
  }
}

TEST_P(GrowingTextTest, AModelsBeginningComesOnce) {
  for (const char* begin : {"<|endoftext|>", "<|im_start|>", "<s>"}) {
    const std::vector<TextPart> none, twice = {{begin, true}, {begin, true}};
    EXPECT_EQ(growing_.tokens(*model_, none), model_->tokenize(none, true));
    EXPECT_EQ(growing_.tokens(*model_, twice), model_->tokenize(twice, true)) << begin;
  }
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, GrowingTextTest,
                         testing::Values(test::shallow_model_path, test::begin_token_model_path,
                                         test::sentence_piece_model_path));

}  // namespace
}  // namespace kvevict
