#include "kvevict/token_stream.h"

#include <gtest/gtest.h>

#include <sstream>

#include "kvevict/error.h"
#include "support/test_models.h"
#include "support/texts.h"

namespace kvevict {
namespace {

std::vector<Token> all_of(const Model& model, const std::string& text, std::size_t n_at_once) {
  std::istringstream stream(text);
  TokenStream tokens(model, stream, "the text");
  std::vector<Token> all;
  while (true) {
    const std::vector<Token> part = tokens.take(n_at_once);
    all.insert(all.end(), part.begin(), part.end());
    if (part.size() < n_at_once) return all;
  }
}

TEST(TokenStream, GivesTheTokensOfTheWholeText) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::string text = test::long_text(200000);
  EXPECT_EQ(all_of(*model, text, 512), model->tokenize(text, true, false));
}

/// A text that comes a few bytes at a time.
class SlowText final : public std::streambuf {
 public:
  SlowText(std::string text, std::size_t n_at_once) : text_(std::move(text)), n_at_once_(n_at_once) {}
  [[nodiscard]] std::size_t n_given() const { return n_given_; }

 protected:
  int_type underflow() override {
    const std::size_t n = std::min(n_at_once_, text_.size() - n_given_);
    if (n == 0) return traits_type::eof();
    setg(text_.data() + n_given_, text_.data() + n_given_, text_.data() + n_given_ + n);
    n_given_ += n;
    return traits_type::to_int_type(*gptr());
  }

 private:
  std::string text_;
  std::size_t n_at_once_;
  std::size_t n_given_ = 0;
};

TEST(TokenStream, GivesWhatHasComeOfASlowText) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::string text = test::long_text(20000);
  const std::vector<Token> whole = model->tokenize(text, true, false);
  for (const std::size_t n_at_once : {1U, 7U, 500U}) {
    SlowText slow(text, n_at_once);
    std::istream stream(&slow);
    TokenStream tokens(*model, stream, "the text");
    std::vector<Token> all = tokens.take(16);
    EXPECT_LE(slow.n_given(), 500U + n_at_once);
    for (const Token token : tokens.take(whole.size())) all.push_back(token);
    EXPECT_EQ(all, whole) << n_at_once;
  }
}

TEST(TokenStream, CutsATextWithoutSpacesAlikeHoweverItComes) {
  const auto model = test::load_model(test::shallow_model_path());
  std::string text = test::long_text(5000);
  for (int i = 0; i < 60000; ++i) text += i % 97 == 0 ? "\n" : i % 7 == 0 ? "\u4E2D" : "\u6587";
  text += test::long_text(5000);
  const std::vector<Token> at_once = all_of(*model, text, 512);
  EXPECT_EQ(model->detokenize(at_once), text);
  for (const std::size_t n_at_once : {4096U, 50000U}) {
    SlowText slow(text, n_at_once);
    std::istream stream(&slow);
    TokenStream tokens(*model, stream, "the text");
    EXPECT_EQ(tokens.take(at_once.size() + 1), at_once) << n_at_once;
  }
}

TEST(TokenStream, PassesOverAByteOrderMark) {
  const auto model = test::load_model(test::shallow_model_path());
  EXPECT_EQ(all_of(*model, "\xEF\xBB\xBFone two", 5), model->tokenize("one two", true, false));
  EXPECT_TRUE(all_of(*model, "", 5).empty());
}

TEST(TokenStream, LosesNoByteOfATextWithoutSpaces) {
  const auto model = test::load_model(test::shallow_model_path());
  std::string text;
  for (int i = 0; i < 20000; ++i) text += i % 7 == 0 ? "\u4E2D" : "\u6587";
  EXPECT_EQ(model->detokenize(all_of(*model, text, 1000)), text);
}

TEST(TokenStream, NamesTheByteThatIsNotUtf8) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::string text = test::long_text(100000).substr(0, 90000) + "\xFF more";
  try {
    all_of(*model, text, 512);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("the text is not UTF-8 at byte"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace kvevict
