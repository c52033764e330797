#include "base/split_name.h"

#include <gtest/gtest.h>

namespace kvevict {
namespace {

TEST(SplitName, IsReadAndWrittenAsLlamaCppNamesParts) {
  const auto name = parse_split_name("a/m-Q8_0-00002-of-00003.gguf");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->stem, "a/m-Q8_0");
  EXPECT_EQ(name->number, 2);
  EXPECT_EQ(name->all_parts(),
            (std::vector<std::string>{"a/m-Q8_0-00001-of-00003.gguf", "a/m-Q8_0-00002-of-00003.gguf",
                                      "a/m-Q8_0-00003-of-00003.gguf"}));
}

TEST(SplitName, OtherNamesAreNone) {
  for (const char* other : {"m.gguf", "m-0001-of-0003.gguf", "m-00000-of-00003.gguf", "m-00004-of-00003.gguf",
                            "m-00001-of-00003.gguf.part", "m-00001-of-00003"}) {
    EXPECT_FALSE(parse_split_name(other).has_value()) << other;
  }
}

}  // namespace
}  // namespace kvevict
