// --grammar and --json_schema of generate and chat.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kvevict/grammar.h"
#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

class AnswerFormTest : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) const {
    std::ofstream(folder + "/" + name) << text;
    return folder + "/" + name;
  }
  static ProgramResult generate(const std::vector<std::string>& more) {
    std::vector<std::string> words = {"generate", "--prompt", "Is the sea calm?", "--model",
                                      shallow_model_path().string()};
    words.insert(words.end(), more.begin(), more.end());
    return run_kvevict(words);
  }

  std::string folder = make_work_folder();
};

TEST_F(AnswerFormTest, AnswersHaveTheFormOfTheGrammar) {
  const std::string grammar = file("form.gbnf", "root ::= \"yes\" | \"no\"\n");
  const ProgramResult result = generate({"--grammar", grammar});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out == "yes\n" || result.out == "no\n") << result.out;

  ProgramOptions options;
  options.input = "Is the sea calm?\nIs it now?\n";
  const ProgramResult chat = run_kvevict(
      {"chat", "--model", shallow_model_path().string(), "--temperature", "1", "--grammar", grammar},
      options);
  ASSERT_EQ(chat.exit_code, 0) << chat.err;
  const std::string once = chat.out.substr(0, chat.out.find('\n') + 1);
  const std::string again = chat.out.substr(once.size());
  EXPECT_TRUE(once == "yes\n" || once == "no\n") << chat.out;
  EXPECT_TRUE(again == "yes\n" || again == "no\n") << chat.out;
}

TEST_F(AnswerFormTest, AnswersAreTheJsonOfTheSchema) {
  const std::string schema =
      file("form.json", R"({"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 3})");
  const ProgramResult result = generate({"--json_schema", schema});
  if (!reads_json_schemas()) {
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_NE(result.err.find("makes no grammars of JSON schemas"), std::string::npos) << result.err;
    return;
  }
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_TRUE(json.is_array() && json.size() >= 2 && json.size() <= 3) << result.out;

  const ProgramResult refused = generate({"--json_schema", file("cut.json", "{\"type\"")});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("cut.json: the JSON schema is not JSON"), std::string::npos) << refused.err;
}

TEST_F(AnswerFormTest, WhatIsNoGrammarIsRefusedBeforeTheModelIsAsked) {
  const std::string wrong = file("wrong.gbnf", "root ::= word\n");
  for (const char* command : {"generate", "chat"}) {
    std::vector<std::string> words = {command, "--model", shallow_model_path().string(), "--grammar", wrong};
    if (command == std::string("generate")) words.insert(words.end(), {"--prompt", "hi"});
    const ProgramResult result = run_kvevict(words);
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find("wrong.gbnf: the grammar cannot be read: "), std::string::npos) << result.err;
    EXPECT_NE(result.err.find("(--grammar)"), std::string::npos) << result.err;
  }
  EXPECT_EQ(generate({"--grammar", folder + "/none.gbnf"}).exit_code, 1);
}

TEST_F(AnswerFormTest, AnAnswerHasOneFormAndAnEnd) {
  const std::string grammar = file("form.gbnf", "root ::= \"yes\"");
  const ProgramResult two = generate({"--grammar", grammar, "--json_schema", grammar});
  EXPECT_EQ(two.exit_code, 2);
  EXPECT_NE(two.err.find("give one of them"), std::string::npos) << two.err;
  const ProgramResult endless = generate({"--grammar", grammar, "--ignore_eos"});
  EXPECT_EQ(endless.exit_code, 2);
  EXPECT_NE(endless.err.find("--ignore_eos"), std::string::npos) << endless.err;
}

}  // namespace
}  // namespace kvevict::test
