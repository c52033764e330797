// kvevict chat --document with its input piped in.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "support/program.h"
#include "support/test_models.h"
#include "support/texts.h"

namespace kvevict::test {
namespace {

using Words = std::vector<std::string>;

constexpr const char* kStrategy = "sink_recent_uniform:16:48:64:block=16";

ProgramResult run_with(const std::string& command, const Words& more, const std::string& input = "") {
  Words words = {command,     "--model", shallow_model_path().string(), "--max_new_tokens", "8",
                 "--threads", "1"};
  words.insert(words.end(), more.begin(), more.end());
  ProgramOptions options;
  options.input = input;
  return run_kvevict(words, options);
}

std::string document_in(const std::string& folder) {
  const std::string path = folder + "/document.txt";
  std::ofstream(path, std::ios::binary) << long_text(2500);
  return path;
}

std::string line_of(const std::string& text, const std::string& beginning) {
  const std::size_t at = text.find(beginning);
  return at == std::string::npos ? "" : text.substr(at, text.find('\n', at) - at);
}

TEST(ChatDocument, TheFirstAnswerIsThatOfGenerateAndTheDocumentStays) {
  const std::string folder = make_work_folder();
  const std::string document = document_in(folder);
  const ProgramResult asked = run_with("generate", {"-f", document, "--strategy", kStrategy, "--prefill",
                                                    "bounded", "--chat", "--then", "Who is meant?"});
  ASSERT_EQ(asked.exit_code, 0) << asked.err;
  const std::string answer = asked.out.substr(asked.out.find('\n') + 1);
  std::string input = "Who is meant?\n";
  for (int i = 0; i < 6; ++i) input += "And what about part number " + std::to_string(i) + " of it?\n";
  const ProgramResult chat =
      run_with("chat", {"--document", document, "--strategy", kStrategy, "--turn_tokens", "64"},
               input + "/stats\n/reset\n/stats\nWho is meant?\n");
  ASSERT_EQ(chat.exit_code, 0) << chat.err;
  EXPECT_TRUE(chat.out.starts_with(answer)) << chat.out << answer;
  EXPECT_TRUE(chat.out.ends_with(answer)) << chat.out << answer;
  EXPECT_EQ(line_of(chat.out, "strategy "), "strategy         sink_recent:128:64");
  const std::size_t after_reset = chat.out.find("turns            0\n");
  ASSERT_NE(after_reset, std::string::npos) << chat.out;
  EXPECT_TRUE(line_of(chat.out.substr(after_reset), "tokens held ").starts_with("tokens held      128 "));
  EXPECT_NE(chat.err.find("128 of "), std::string::npos) << chat.err;
}

TEST(ChatDocument, TakesASavedDocumentAndSavesTheChatWithIt) {
  const std::string folder = make_work_folder();
  const std::string document = document_in(folder);
  const std::string saved = folder + "/document.kvevict", talk = folder + "/chat.kvevict";
  ASSERT_EQ(
      run_with("generate", {"-f", document, "--strategy", kStrategy, "--chat", "--save", saved}).exit_code,
      0);
  const std::string first = "Who is meant?\n", second = "And where?\n";
  const ProgramResult whole = run_with("chat", {"--document", saved}, first + second);
  const ProgramResult begun = run_with("chat", {"--document", saved, "--save", talk}, first);
  const ProgramResult gone_on = run_with("chat", {"--load", talk}, second + "/reset\n" + first);
  ASSERT_EQ(gone_on.exit_code, 0) << gone_on.err;
  EXPECT_EQ(begun.out + gone_on.out, whole.out + begun.out);
}

TEST(ChatDocument, WhatContradictsADocumentIsRefusedInOneSentence) {
  const std::string folder = make_work_folder();
  const std::string document = document_in(folder);
  const std::string text = folder + "/text.kvevict", message = folder + "/message.kvevict",
                    none = folder + "/none";
  ASSERT_EQ(run_with("generate", {"-f", document, "--strategy", kStrategy, "--save", text}).exit_code, 0);
  ASSERT_EQ(
      run_with("generate", {"-f", document, "--strategy", kStrategy, "--chat", "--save", message}).exit_code,
      0);
  std::ofstream(folder + "/empty.txt").flush();
  const auto expect_refused = [&](const Words& words, int exit_code, const std::string& part) {
    const ProgramResult result = run_with("chat", words, "Hello.\n");
    EXPECT_EQ(result.exit_code, exit_code) << part << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  expect_refused({"--document", text}, 2, "save the document anew with --chat");
  expect_refused({"--document", message, "--strategy", "sink_recent"}, 2, "was evicted by");
  expect_refused({"--document", message, "--system", "Be brief."}, 2, "(--system)");
  expect_refused({"--document", message, "--turn_tokens", "0"}, 2, "(--turn_tokens)");
  expect_refused({"--document", message, "--turn_tokens", "100000"}, 2, "(--turn_tokens)");
  expect_refused({"--document", message, "--load", message}, 2, "--document and --load are both given");
  expect_refused({"--document", message, "--kv_memory", "20MiB"}, 2, "--budget");
  expect_refused({"--document", message, "--dry_run"}, 2, "--dry_run");
  expect_refused({"--document", folder + "/empty.txt"}, 2, "is empty");
  expect_refused({"--document", none}, 1, "cannot open the text " + none);
  expect_refused({"--turn_tokens", "64"}, 2, "--turn_tokens needs --document");
  expect_refused({"--load", message}, 1, "not one of a chat");
}

}  // namespace
}  // namespace kvevict::test
