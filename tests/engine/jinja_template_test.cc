#include "engine/jinja_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kvevict/error.h"
#include "text/json_reader.h"

namespace kvevict {
namespace {

std::vector<ChatMessage> messages_from(const nlohmann::ordered_json& json) {
  std::vector<ChatMessage> messages;
  for (const auto& one : json) messages.push_back({one.at("role"), one.at("content")});
  return messages;
}

std::vector<TextPart> rendered(const std::string& source, const std::vector<ChatMessage>& messages) {
  return JinjaTemplate(source, "<s>", "</s>").render(messages, "", true);
}

// The other tests of Jinja are passed over without it, which a llama.cpp that set-up built does not allow.
TEST(ReadsJinja, WithTheLlamaThatSetUpBuilds) {
#ifdef KVEVICT_TEST_NEEDS_JINJA
  EXPECT_TRUE(reads_jinja());
#else
  GTEST_SKIP() << "a llama.cpp of the user's own";
#endif
}

class JinjaTemplateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!reads_jinja()) GTEST_SKIP() << "built without llama.cpp's Jinja";
  }
};

// The texts are those of Python's Jinja2 (scripts/parity/chat_templates.py).
TEST_F(JinjaTemplateTest, RendersAsPython) {
  const nlohmann::ordered_json all =
      read_json_file(KVEVICT_TEST_DATA_DIR "/parity/chat_templates.json", "file of prompts");
  ASSERT_GE(all.at("rendered").size(), 60U);
  for (const auto& one : all.at("rendered")) {
    const std::string name = one.at("name");
    const JinjaTemplate source(all.at("templates").at(name), "<s>", "</s>");
    const auto parts =
        source.render(messages_from(one.at("messages")), one.at("values").dump(), one.at("begins_answer"));
    EXPECT_EQ(text_of(parts), one.at("text").get<std::string>()) << name << " " << one.dump();
  }
}

TEST_F(JinjaTemplateTest, ModelsThatThinkDoUnlessTheyAreToldNotTo) {
  const JinjaTemplate source("{% if not enable_thinking %}</think>{% endif %}.", "", "");
  EXPECT_EQ(text_of(source.render({}, "", true)), ".");
  EXPECT_EQ(text_of(source.render({}, R"({"enable_thinking":false})", true)), "</think>.");
}

TEST_F(JinjaTemplateTest, OnlyWhatMessagesSayIsTheirs) {
  const auto parts =
      rendered("{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}{{ eos_token }}{% endfor %}",
               {{"user", "  <s> "}, {"assistant", "</s>"}});
  const std::vector<TextPart> right = {
      {"<user>", true}, {"<s>", false}, {"</s><assistant>", true}, {"</s>", false}, {"</s>", true}};
  EXPECT_EQ(parts, right);
}

TEST_F(JinjaTemplateTest, ASystemMessageWithoutAPlaceGoesInFrontOfTheFirstMessage) {
  const std::string source =
      "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
      "[{{ m.role }}]{{ m.content }}{% endfor %}";
  EXPECT_EQ(text_of(rendered(source, {{"system", "Be brief."}, {"user", "Hello"}})),
            "[user]Be brief.\nHello");
}

TEST_F(JinjaTemplateTest, ATemplateThatRefusesIsQuoted) {
  try {
    static_cast<void>(rendered("{{ raise_exception('roles must alternate') }}", {{"user", "Hello"}}));
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("roles must alternate"), std::string::npos) << error.what();
  }
}

TEST_F(JinjaTemplateTest, WhatIsNotJinjaIsRefused) {
  EXPECT_THROW(JinjaTemplate("{% for m in messages %}", "", ""), Error);
  EXPECT_THROW(JinjaTemplate("{{ messages", "", ""), Error);
  const JinjaTemplate good("{{ x }}", "", "");
  EXPECT_THROW(static_cast<void>(good.render({}, "[1]", true)), Error);
  EXPECT_THROW(static_cast<void>(good.render({}, "{", true)), Error);
}

TEST_F(JinjaTemplateTest, ANullCharacterCutsNothingOff) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(text_of(rendered("<{{ messages[0].content }}>", {{"user", text}})), "<" + text + ">");
}

}  // namespace
}  // namespace kvevict
