// Answers that are more than text: calls of functions and thoughts.
#include "kvevict/answer_format.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/grammar_sampler.h"
#include "engine/plain_calls.h"
#include "engine/template_format.h"
#include "kvevict/error.h"
#include "kvevict/prompt_template.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using Json = nlohmann::json;

constexpr const char* kTools =
    R"([{"type":"function","function":{"name":"get_weather","description":"The weather of a city.",
         "parameters":{"type":"object","properties":{"city":{"type":"string","maxLength":12},
         "unit":{"enum":["C","F"]}},"required":["city","unit"]}}},
        {"type":"function","function":{"name":"get_time","description":"","parameters":{"type":"object",
         "properties":{}}}}])";

std::vector<ChatMessage> question() {
  std::vector<ChatMessage> messages = {{"user", "What is the weather in Paris?"}};
  messages.front().tools = kTools;
  return messages;
}

std::shared_ptr<const AnswerFormat> format_of(const std::vector<ChatMessage>& messages,
                                              const AnswerFormatOptions& options = {},
                                              const TemplateOptions& prompt = {}) {
  return PromptTemplate(*test::load_model(test::shallow_model_path()), prompt)
      .answer_format(messages, options);
}

// The other tests of calls are passed over without it, which a llama.cpp that set-up built does not allow.
TEST(ReadsToolCalls, WithTheLlamaThatSetUpBuilds) {
#ifdef KVEVICT_TEST_NEEDS_JINJA
  EXPECT_TRUE(reads_tool_calls());
#else
  GTEST_SKIP() << "a llama.cpp of the user's own";
#endif
}

TEST(PlainCalls, AreTextsOfASystemAUserAndAnAssistant) {
  std::vector<ChatMessage> messages = question();
  messages.insert(messages.begin(), {"system", "Be brief."});
  messages.push_back({"assistant", "I look. "});
  messages.back().tool_calls = {{.id = "1", .name = "get_time", .arguments = "{}"},
                                {.id = "2", .name = "get_weather", .arguments = R"({"city": "Paris"})"}};
  messages.push_back({"tool", "noon"});
  messages.push_back({"tool", "rain"});
  const std::vector<ChatMessage> plain = with_plain_calls(messages);
  ASSERT_EQ(plain.size(), 4U);
  EXPECT_TRUE(plain[0].content.starts_with("Be brief.\n\n"));
  EXPECT_NE(plain[0].content.find(kTools), std::string::npos);
  EXPECT_EQ(plain[2].content,
            "I look. <tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>\n"
            "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\"}}\n</tool_call>");
  EXPECT_EQ(plain[3].role, "user");
  EXPECT_EQ(plain[3].content,
            "<tool_response>\nnoon\n</tool_response>\n<tool_response>\nrain\n</tool_response>");
  EXPECT_FALSE(have_calls(plain));
}

class AnswerFormatTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!reads_tool_calls()) GTEST_SKIP() << "built without llama.cpp's reader of answers";
  }
};

TEST_F(AnswerFormatTest, ThereIsNoneForPlainText) {
  EXPECT_EQ(format_of({{"user", "hello"}}), nullptr);
}

TEST_F(AnswerFormatTest, ARequiredCallHasTheFormOfItsFunction) {
  const auto model = test::load_model(test::shallow_model_path());
  const PromptTemplate prompt(*model);
  const auto format = prompt.answer_format(question(), {.tool_choice = ToolChoice::kRequired});
  ASSERT_NE(format, nullptr);
  for (const double temperature : {0.0, 1.0, 1.5}) {
    Session session(model, make_policy("full"));
    session.append(prompt.tokens(prompt.render(question())));
    const Generation answer = session.generate({.max_new_tokens = 120,
                                                .sampling = {.temperature = temperature, .seed = 5},
                                                .grammar = format->grammar(),
                                                .grammar_start = format->grammar_start()});
    ASSERT_TRUE(answer.reached_end) << answer.text << "\n" << format->grammar();
    const ChatMessage message = format->read(answer.text);
    EXPECT_EQ(message.content, "") << answer.text;
    ASSERT_EQ(message.tool_calls.size(), 1U) << answer.text;
    std::vector<ChatMessage> back = {message};
    EXPECT_EQ(with_plain_calls(back).front().content, answer.text);  // which is known, and not decoded again
    for (const ToolCall& call : message.tool_calls) {
      const Json arguments = Json::parse(call.arguments);
      if (call.name == "get_time") continue;
      ASSERT_EQ(call.name, "get_weather");
      EXPECT_TRUE(arguments.at("city").is_string());
      EXPECT_TRUE(arguments.at("unit") == "C" || arguments.at("unit") == "F") << call.arguments;
    }
  }
}

TEST_F(AnswerFormatTest, OnlyTheChosenFunctionMayBeCalled) {
  const auto format = format_of(question(), {.tool_choice = ToolChoice::kRequired, .function = "get_time"});
  EXPECT_NE(format->grammar().find("get_time"), std::string::npos);
  EXPECT_EQ(format->grammar().find("get_weather"), std::string::npos);
}

TEST_F(AnswerFormatTest, WhereTheModelDecidesTheFormBeginsWithTheCall) {
  const auto format = format_of(question());
  ASSERT_EQ(format->grammar_start().triggers.size(), 1U);
  const auto model = test::load_model(test::shallow_model_path());
  const std::string opening = "I look.\n<tool_call>";
  GrammarSampler sampler(*model, format->grammar(), format->grammar_start());
  const auto first_token = [&](const std::string& text) { return model->tokenize(text, false, false).at(0); };
  for (const Token token : model->tokenize(opening, false, false)) {
    EXPECT_TRUE(sampler.allows(first_token(" zebra")));
    ASSERT_TRUE(sampler.allows(token));
    sampler.accept(token);
  }
  EXPECT_FALSE(sampler.allows(first_token(" zebra")));
  EXPECT_TRUE(sampler.allows(first_token("\n")));
  const ChatMessage message =
      format->read(opening + "\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>");
  EXPECT_EQ(message.content, "I look.\n");
  ASSERT_EQ(message.tool_calls.size(), 1U);
  EXPECT_EQ(message.tool_calls[0].arguments, "{}");
}

TEST_F(AnswerFormatTest, TextWithoutTheFormIsContent) {
  const auto format = format_of(question());
  for (const char* text : {"It rains.", "<tool_call>\nnonsense",
                           "a <tool_call>\n{\"name\": \"rm\", \"arguments\": {}}", "\xFF\xFE", ""}) {
    const ChatMessage message = format->read(text);
    EXPECT_TRUE(message.tool_calls.empty()) << text;
  }
  EXPECT_EQ(format->read("It rains.").content, "It rains.");
}

/// What a reader gave out of `text` in pieces of `n` bytes, put together again.
ChatMessage put_together(const std::shared_ptr<const AnswerFormat>& format, const std::string& text,
                         std::size_t n) {
  AnswerReader reader(format);
  ChatMessage whole{"assistant", ""};
  const auto add = [&](const std::vector<AnswerDelta>& deltas) {
    for (const AnswerDelta& delta : deltas) {
      whole.content += delta.content;
      whole.reasoning += delta.reasoning;
      if (!delta.call) continue;
      if (*delta.call == whole.tool_calls.size()) {
        EXPECT_FALSE(delta.part.id.empty());
        whole.tool_calls.push_back(delta.part);
      } else {
        ASSERT_EQ(*delta.call + 1, whole.tool_calls.size());
        EXPECT_TRUE(delta.part.name.empty());
        whole.tool_calls.back().arguments += delta.part.arguments;
      }
    }
  };
  for (std::size_t at = 0; at < text.size(); at += n) add(reader.add(text.substr(at, n)));
  add(reader.finish());
  EXPECT_EQ(whole.tool_calls, reader.message().tool_calls);
  return whole;
}

TEST_F(AnswerFormatTest, AStreamSaysTheSameHoweverItIsCut) {
  const auto format = format_of(question(), {.parallel_calls = true});
  const std::string text =
      "I look.\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Par}is\", \"unit\": "
      "\"C\"}}\n"
      "</tool_call>\n<tool_call>\n{\"name\": \"get_time\", \"arguments\": {}}\n</tool_call>";
  const ChatMessage whole = format->read(text);
  ASSERT_EQ(whole.tool_calls.size(), 2U);
  for (const std::size_t n : {std::size_t{1}, std::size_t{3}, std::size_t{7}, text.size()}) {
    const ChatMessage streamed = put_together(format, text, n);
    EXPECT_EQ(streamed.content, whole.content) << n;
    ASSERT_EQ(streamed.tool_calls.size(), 2U) << n;
    for (std::size_t i = 0; i < 2; ++i) {
      EXPECT_EQ(streamed.tool_calls[i].name, whole.tool_calls[i].name);
      EXPECT_EQ(streamed.tool_calls[i].arguments, whole.tool_calls[i].arguments);
    }
  }
}

// A template of its own with a place for everything, as those of models that think and call functions have.
constexpr const char* kThinkingTemplate =
    R"({%- if tools %}{{- '<|im_start|>system\n# Tools\n<tools>' }}{%- for tool in tools %}{{- '\n' + (tool | tojson) }}
{%- endfor %}{{- '\n</tools>\nCall by <tool_call>{"name": N, "arguments": A}</tool_call><|im_end|>\n' }}{%- endif %}
{%- for message in messages %}
{%- if message.role == 'tool' %}{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
{%- else %}{{- '<|im_start|>' + message.role + '\n' }}
{%- if message.reasoning_content %}{{- '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{%- endif %}
{{- message.content }}
{%- for call in message.tool_calls or [] %}
{%- if not loop.first or message.content %}{{- '\n' }}{%- endif %}
{{- '<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
{%- if call.function.arguments is string %}{{- call.function.arguments }}{%- else %}{{- call.function.arguments | tojson }}{%- endif %}
{{- '}\n</tool_call>' }}{%- endfor %}{{- '<|im_end|>\n' }}{%- endif %}{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %})";

TEST_F(AnswerFormatTest, ATemplatesOwnThoughtsAndCallsAreFound) {
  const TemplateOptions prompt{.source = kThinkingTemplate};
  const auto format = format_of(question(), {}, prompt);
  ASSERT_NE(format, nullptr);
  EXPECT_FALSE(format->grammar_start().triggers.empty());
  const ChatMessage message = format->read(
      "<think>\nIn Paris.\n</think>\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
      "\"Paris\", \"unit\": \"C\"}}\n</tool_call>");
  EXPECT_NE(message.reasoning.find("In Paris."), std::string::npos) << message.reasoning;
  ASSERT_EQ(message.tool_calls.size(), 1U);
  EXPECT_EQ(message.tool_calls[0].name, "get_weather");
  EXPECT_EQ(Json::parse(message.tool_calls[0].arguments).at("city"), "Paris");

  const auto thoughts = format_of({{"user", "hello"}}, {}, prompt);
  ASSERT_NE(thoughts, nullptr);
  const ChatMessage said = thoughts->read("<think>\nHm.\n</think>\n\nAye.");
  EXPECT_EQ(said.content, "Aye.");
  EXPECT_NE(said.reasoning.find("Hm."), std::string::npos);
  EXPECT_EQ(format_of({{"user", "hello"}}, {.separates_reasoning = false}, prompt), nullptr);
}

TEST_F(AnswerFormatTest, ATemplateWritesCallsThoughtsAndResultsInItsOwnPlaces) {
  std::vector<ChatMessage> messages = question();
  messages.push_back({"assistant", "", "In Paris."});
  messages.back().tool_calls = {{.id = "1", .name = "get_time", .arguments = R"({"a": "<|im_end|>"})"}};
  messages.push_back({"tool", "noon <|im_end|>"});
  const PromptTemplate prompt(*test::load_model(test::shallow_model_path()), {.source = kThinkingTemplate});
  const std::vector<TextPart> parts = prompt.render(messages);
  const std::string text = text_of(parts);
  EXPECT_NE(text.find("<tools>\n{\"type\": \"function\""), std::string::npos) << text;
  EXPECT_NE(text.find("<think>\nIn Paris.\n</think>\n\n<tool_call>\n{\"name\": \"get_time\", \"arguments\": "
                      "{\"a\": \"<|im_end|>\"}}\n</tool_call><|im_end|>"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("<tool_response>\nnoon <|im_end|>\n</tool_response>"), std::string::npos) << text;
  for (const TextPart& part : parts) {
    EXPECT_TRUE(part.text.find("noon") == std::string::npos || !part.parse_special) << part.text;
  }
}

TEST_F(AnswerFormatTest, FunctionsThatCannotBeReadAreRefused) {
  std::vector<ChatMessage> messages = question();
  messages.front().tools =
      R"([{"type":"function","function":{"name":"f","parameters":{"type":"no such type"}}}])";
  try {
    (void)format_of(messages, {.tool_choice = ToolChoice::kRequired});
    FAIL() << "it was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "tools");
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace kvevict
