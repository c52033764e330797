#include "text/utf8.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"

namespace kvevict {
namespace {

TEST(Utf8, TakesWholeTextsOfEveryLength) {
  for (const std::string text : {"", "plain", "é", "☃ snow", "\xF0\x9F\x98\x80"}) {
    EXPECT_EQ(valid_utf8_prefix(text).n_bytes, text.size()) << text;
    EXPECT_FALSE(valid_utf8_prefix(text).is_broken) << text;
  }
}

TEST(Utf8, WaitsForACharacterThatHasNotArrivedInFull) {
  const std::string text = "a\xF0\x9F\x98\x80";
  for (std::size_t n = 2; n < text.size(); ++n) {
    const Utf8Prefix prefix = valid_utf8_prefix(std::string_view(text).substr(0, n));
    EXPECT_EQ(prefix.n_bytes, 1U) << n;
    EXPECT_FALSE(prefix.is_broken) << n;
  }
}

TEST(Utf8, TellsBrokenBytesFromUnfinishedOnes) {
  // a lone continuation, a byte that no text has, an overlong form, a surrogate, a lead without its
  // continuation
  for (const std::string text :
       {"ab\x80", "ab\xFF", "ab\xC0\x80", "ab\xED\xA0\x80", "ab\xC3(", "ab\xE2\x82(", "ab\xF0\x9F("}) {
    const Utf8Prefix prefix = valid_utf8_prefix(text);
    EXPECT_EQ(prefix.n_bytes, 2U) << text;
    EXPECT_TRUE(prefix.is_broken) << text;
  }
}

TEST(Utf8, NamesTheTextAndTheByte) {
  try {
    require_utf8("abc\xFF", "notes.txt", 1000);
    FAIL() << "not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    EXPECT_NE(std::string(error.what()).find("notes.txt is not UTF-8 at byte 1003"), std::string::npos)
        << error.what();
  }
  EXPECT_THROW(require_utf8("ab\xC3", "x"), Error);  // nothing more comes
}

}  // namespace
}  // namespace kvevict
