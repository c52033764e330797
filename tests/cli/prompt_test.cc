// kvevict prompt, and the flags that say how messages are written, as a user runs them.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "kvevict/prompt_template.h"
#include "support/program.h"

namespace kvevict::test {
namespace {

nlohmann::json prompt_json(std::vector<std::string> flags) {
  flags.insert(flags.begin(), {"prompt", "--json"});
  const ProgramResult run = run_kvevict(flags);
  EXPECT_EQ(run.exit_code, 0) << run.err;
  return nlohmann::json::parse(run.out, nullptr, false);
}

std::string write_file(const std::string& name, const std::string& text) {
  const std::string path = (work_folder() / name).string();
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

TEST(PromptCommand, ShowsTextTokensAndCount) {
  if (!reads_jinja()) GTEST_SKIP();
  const nlohmann::json json = prompt_json({"--prompt", "What is your name?"});
  EXPECT_EQ(json.at("count"), 35);
  EXPECT_EQ(json.at("tokens").size(), 35U);
  EXPECT_NE(json.at("text").get<std::string>().find("<|im_start|>user\nWhat is your name?<|im_end|>"),
            std::string::npos);
  const ProgramResult page = run_kvevict({"prompt", "--prompt", "What is your name?"});
  EXPECT_NE(page.out.find("* \"<|im_start|>\"\n"), std::string::npos) << page.out;
  EXPECT_NE(page.out.find("  \" name\"\n"), std::string::npos) << page.out;
  EXPECT_NE(page.out.find("35 tokens"), std::string::npos) << page.out;
}

TEST(PromptCommand, TakesMessagesFromAFile) {
  const std::string file = write_file(
      "talk.json",
      R"({"messages":[{"role":"system","content":"Short."},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]})");
  const nlohmann::json json = prompt_json({"--messages", file, "--chat_template", "chatml"});
  EXPECT_EQ(json.at("text"),
            "<|im_start|>system\nShort.<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\nb<|"
            "im_end|>\n"
            "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n");
  const ProgramResult both = run_kvevict({"prompt", "--messages", file, "--prompt", "x"});
  EXPECT_EQ(both.exit_code, 2);
  EXPECT_NE(both.err.find("not both"), std::string::npos) << both.err;
}

TEST(PromptCommand, ATemplateFromAFileGetsItsVariables) {
  if (!reads_jinja()) GTEST_SKIP();
  const std::string file =
      write_file("own.jinja", "{{ messages[-1].content }}{% if not enable_thinking %}!{% endif %}");
  EXPECT_EQ(prompt_json({"--prompt", "Hi", "--chat_template", file, "--template_kwargs",
                         R"({"enable_thinking":false})"})
                .at("text"),
            "Hi!");
}

TEST(PromptCommand, WrongFlagsAreNamed) {
  const ProgramResult unknown = run_kvevict({"prompt", "--prompt", "Hi", "--chat_template", "chatmll"});
  EXPECT_NE(unknown.exit_code, 0);
  EXPECT_NE(unknown.err.find("chatmll"), std::string::npos) << unknown.err;
  EXPECT_NE(unknown.err.find("chatml,"), std::string::npos) << unknown.err;
  const ProgramResult no_object = run_kvevict({"prompt", "--prompt", "Hi", "--template_kwargs", "[1]"});
  EXPECT_EQ(no_object.exit_code, 2);
  EXPECT_NE(no_object.err.find("JSON object"), std::string::npos) << no_object.err;
  const ProgramResult no_chat = run_kvevict({"generate", "--prompt", "Hi", "--system", "Be brief."});
  EXPECT_EQ(no_chat.exit_code, 2);
  EXPECT_NE(no_chat.err.find("--chat"), std::string::npos) << no_chat.err;
}

}  // namespace
}  // namespace kvevict::test
