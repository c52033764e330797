// Answers of a given form.
#include "kvevict/grammar.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

Generation generated(GenerateOptions options) {
  const auto model = test::load_model(test::shallow_model_path());
  Session session(model, make_policy("full"));
  session.append(model->tokenize("The lighthouse keeper", true, false));
  return session.generate(options);
}

TEST(GrammarTest, AnAnswerHasItsFormAndEndsWithIt) {
  for (const double temperature : {0.0, 1.5}) {
    for (const std::uint32_t seed : {1U, 2U, 3U}) {
      const Generation answer =
          generated({.sampling = {.temperature = temperature, .seed = seed},
                     .grammar = "root ::= \"<\" word (\", \" word)* \">\"\nword ::= [a-z]{3,5}\n"});
      EXPECT_TRUE(answer.reached_end || answer.tokens.size() == 128) << answer.text;
      EXPECT_TRUE(answer.text.starts_with("<")) << answer.text;
      if (!answer.reached_end) continue;
      EXPECT_TRUE(std::regex_match(answer.text, std::regex("<[a-z]{3,5}(, [a-z]{3,5})*>"))) << answer.text;
    }
  }
}

TEST(GrammarTest, AnAnswerEndsWhereNothingMayFollow) {
  const Generation answer =
      generated({.grammar = "root ::= \" caf\xC3\xA9 \U0001F30A\"", .stop_at_end_of_generation = false});
  EXPECT_TRUE(answer.reached_end);
  EXPECT_EQ(answer.text, " caf\xC3\xA9 \U0001F30A");
}

TEST(GrammarTest, WhatIsAllowedAnywayIsDrawnAsWithoutAGrammar) {
  const GenerateOptions free{.max_new_tokens = 24, .sampling = {.temperature = 1.0, .seed = 7}};
  GenerateOptions bound = free;
  bound.grammar = "root ::= [^\\x00]*";
  EXPECT_EQ(generated(bound).tokens, generated(free).tokens);
}

TEST(GrammarTest, TheSameSeedGivesTheSameAnswer) {
  const GenerateOptions options{
      .max_new_tokens = 24, .sampling = {.temperature = 1.0, .seed = 7}, .grammar = "root ::= [a-f0-9 ]+"};
  EXPECT_EQ(generated(options).tokens, generated(options).tokens);
}

/// The sentence that refuses `grammar`.
std::string refusal(const std::string& grammar) {
  try {
    require_grammar(*test::load_model(test::shallow_model_path()), grammar);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    EXPECT_EQ(error.field(), "grammar");
    return error.what();
  }
  return "nothing was refused";
}

TEST(GrammarTest, WhatIsNoGrammarIsRefusedInASentence) {
  const std::string opening = "the grammar cannot be read: ";
  EXPECT_EQ(refusal(" \n"), opening + "it is empty");
  EXPECT_EQ(refusal(std::string("root ::= \"a\"\0\"b\"", 16)), opening + "it has a NUL character");
  EXPECT_TRUE(refusal("other ::= \"a\"").starts_with(opening)) << refusal("other ::= \"a\"");
  EXPECT_NE(refusal("other ::= \"a\"").find("'root'"), std::string::npos) << refusal("other ::= \"a\"");
  EXPECT_NE(refusal("root ::= root \"a\" | \"b\"").find("left recursion"), std::string::npos);
  EXPECT_THROW(generated({.grammar = "root = \"a\""}), Error);
  EXPECT_THROW(generated({.sampling = {.ignores_end = true}, .grammar = "root ::= \"a\""}), Error);
}

#ifdef KVEVICT_TEST_NEEDS_JSON_SCHEMAS
TEST(GrammarTest, ARefusalSaysWhatLlamaCppSaysAndWhere) {
  testing::internal::CaptureStderr();
  EXPECT_EQ(refusal("root ::= \"a\" word\nword ::= [a-z\n"),
            "the grammar cannot be read: unexpected end of input");
  EXPECT_EQ(refusal("root ::= \"a\" word\n\nword = [a-z]\n"),
            "the grammar cannot be read: expecting ::= in line 3: = [a-z]");
  EXPECT_EQ(refusal("root ::= word"), "the grammar cannot be read: Undefined rule identifier 'word'");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(JsonSchemaTest, AnAnswerIsWhatTheSchemaDescribes) {
  ASSERT_TRUE(reads_json_schemas());
  const std::string grammar = grammar_of_json_schema(R"({
    "type": "object",
    "properties": {"ship": {"enum": ["brig", "sloop"]}, "masts": {"type": "integer", "minimum": 1, "maximum": 3}},
    "required": ["ship", "masts"], "additionalProperties": false})");
  for (const double temperature : {0.0, 1.0}) {
    const Generation answer = generated({.sampling = {.temperature = temperature}, .grammar = grammar});
    ASSERT_TRUE(answer.reached_end) << answer.text;
    const auto json = nlohmann::json::parse(answer.text);
    EXPECT_TRUE(json.at("ship") == "brig" || json.at("ship") == "sloop") << answer.text;
    EXPECT_TRUE(json.at("masts") >= 1 && json.at("masts") <= 3) << answer.text;
  }
}

TEST(JsonSchemaTest, WhatCannotBeFollowedInFullIsRefused) {
  const auto refusal_of = [](const std::string& schema) {
    testing::internal::CaptureStderr();
    try {
      static_cast<void>(grammar_of_json_schema(schema));
    } catch (const Error& error) {
      EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
      EXPECT_EQ(error.field(), "json_schema");
      return std::pair(error.code(), std::string(error.what()));
    }
    return std::pair(ErrorCode::kEngine, testing::internal::GetCapturedStderr());
  };
  EXPECT_EQ(refusal_of("{\"type\"").first, ErrorCode::kInvalidArgument);
  const auto [code, sentence] = refusal_of(R"({"type": "string", "pattern": "^(?!a).*$"})");
  EXPECT_EQ(code, ErrorCode::kInvalidArgument);
  EXPECT_NE(sentence.find("(?!a)"), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find("accepting"), std::string::npos) << sentence;
  EXPECT_EQ(sentence.find('\n'), std::string::npos) << sentence;
  EXPECT_EQ(refusal_of(R"({"type": "ship"})").first, ErrorCode::kInvalidArgument);
}
#endif

}  // namespace
}  // namespace kvevict
