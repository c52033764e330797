#include "runtime/saved_document.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"

namespace kvevict {
namespace {

TEST(SavedDocumentTest, ComesBackAsItWas) {
  const SavedDocument saved{.is_chat = true,
                            .parse_special = false,
                            .system = "Be brief.\nAnd kind.",
                            .closing = {{"?", false}, {"<|im_end|>\n", true}},
                            .tokens = {1, 2, 70000}};
  const SavedDocument loaded = document_from(to_data(saved), "document.kvevict");
  EXPECT_TRUE(loaded.is_chat);
  EXPECT_FALSE(loaded.parse_special);
  EXPECT_EQ(loaded.system, saved.system);
  EXPECT_EQ(loaded.closing, saved.closing);
  EXPECT_EQ(loaded.tokens, saved.tokens);
}

TEST(SavedDocumentTest, OtherDataAreRefusedByTheirFile) {
  const std::string whole = to_data({.tokens = {1, 2, 3}});
  for (const std::string& data : {std::string(), std::string("a stream of 5 bytes"),
                                  std::string(R"({"kind":"chat"})"
                                              "\n"),
                                  std::string(R"({"kind":7})"
                                              "\n"),
                                  std::string(R"({"kind":"document"})"
                                              "\n"),
                                  whole.substr(0, whole.size() - 1)}) {
    try {
      static_cast<void>(document_from(data, "document.kvevict"));
      FAIL() << "it was loaded: " << data;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadData);
      EXPECT_NE(std::string(error.what()).find("document.kvevict"), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace kvevict
