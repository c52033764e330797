// kvevict generate with --then, --save and --load as a user runs it.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "support/program.h"
#include "support/test_models.h"
#include "support/texts.h"

namespace kvevict::test {
namespace {

using Words = std::vector<std::string>;

const Words kQuestions = {"What is this about?", "Who is meant by it, and why?", "How does it end?"};

std::string file_in(const std::string& folder, const std::string& name, const std::string& text) {
  const std::string path = folder + "/" + name;
  std::ofstream(path, std::ios::binary) << text;
  return path;
}

ProgramResult generate(Words more, const std::string& input = "") {
  Words words = {"generate", "--model", shallow_model_path().string(), "--threads", "1"};
  if (std::find(more.begin(), more.end(), "--max_new_tokens") == more.end())
    words.insert(words.end(), {"--max_new_tokens", "8"});
  words.insert(words.end(), more.begin(), more.end());
  ProgramOptions options;
  options.input = input;
  return run_kvevict(words, options);
}

/// A document of some 800 tokens, of which 128 are kept.
Words asked(const std::string& document, Words more) {
  Words words = {"-f", document, "--strategy", "sink_recent_uniform:16:48:64:block=16"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Words then(const Words& questions) {
  Words words;
  for (const std::string& question : questions) words.insert(words.end(), {"--then", question});
  return words;
}

std::string output_of(const ProgramResult& result) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return result.out;
}

void expect_refused(const ProgramResult& result, int exit_code, const std::string& part) {
  EXPECT_EQ(result.exit_code, exit_code) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find(part), std::string::npos) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST(GenerateDocument, QuestionsTogetherAreAnsweredAsEachAlone) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(2500));
  for (const Words& how : {Words{}, Words{"--chat"}, Words{"--prefill", "bounded", "--chunk", "64"}}) {
    std::string expected;
    for (const std::string& question : kQuestions) {
      Words words = how;
      words.insert(words.end(), {"--then", question});
      const std::string one = output_of(generate(asked(document, words)));
      EXPECT_TRUE(one.starts_with("> " + question + "\n")) << one;
      EXPECT_GT(one.size(), question.size() + 4);
      expected += (expected.empty() ? "" : "\n") + one;
    }
    Words words = how;
    const Words questions = then(kQuestions);
    words.insert(words.end(), questions.begin(), questions.end());
    EXPECT_EQ(output_of(generate(asked(document, words))), expected);
  }
}

TEST(GenerateDocument, WhatWasKeptIsKnownToEveryQuestion) {
  const std::string folder = make_work_folder();
  const std::string fact = "The code of the safe is 7412. Remember it: the code of the safe is 7412.\n";
  const std::string document = file_in(folder, "document.txt", fact + long_text(3000));
  const ProgramResult result = run_kvevict(
      {"generate", "--model", default_model_path().string(), "-f", document, "--strategy",
       "sink_recent:64:192", "--max_new_tokens", "16", "--then",
       "What is the code of the safe? The code of the safe is", "--then", "Again, the code of the safe is"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::size_t first = result.out.find("7412");
  const std::size_t second = result.out.find("> Again");
  EXPECT_LT(first, second) << result.out;
  EXPECT_NE(result.out.find("7412", second), std::string::npos) << result.out;
}

TEST(GenerateDocument, SavedAndLoadedAnswersAreTheSame) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(2500));
  const std::string saved = folder + "/document.kvevict";
  for (const Words& how :
       {Words{}, Words{"--chat", "--system", "Be brief."}, Words{"--prefill", "bounded"}}) {
    Words words = how;
    words.insert(words.end(), {"--save", saved});
    EXPECT_EQ(output_of(generate(asked(document, words))), "");
    const Words questions = then(kQuestions);
    words = how;
    words.insert(words.end(), questions.begin(), questions.end());
    const std::string expected = output_of(generate(asked(document, words)));
    words = {"--load", saved};
    words.insert(words.end(), questions.begin(), questions.end());
    EXPECT_EQ(output_of(generate(words)), expected);
  }
}

TEST(GenerateDocument, QuestionsMayComeFromAFile) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(2500));
  const std::string file =
      file_in(folder, "questions.txt", "\xEF\xBB\xBF" + kQuestions[1] + "\r\n\n  \n" + kQuestions[2]);
  const std::string expected = output_of(generate(asked(document, then(kQuestions))));
  EXPECT_EQ(output_of(generate(asked(document, {"--then", kQuestions[0], "--then_file", file}))), expected);
  EXPECT_EQ(output_of(generate(asked(document, {"--then_file", "-"}),
                               kQuestions[0] + "\n" + kQuestions[1] + "\n" + kQuestions[2] + "\n")),
            expected);
}

TEST(GenerateDocument, ADocumentBeyondTheTrainedContextIsAskedByTheDefaultStrategy) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(9000));
  const std::string saved = folder + "/document.kvevict";
  const ProgramResult result = run_kvevict(
      {"generate", "--model", short_context_model_path().string(), "-f", document, "--prefill", "bounded",
       "--max_new_tokens", "8", "--verbose", "--save", saved, "--then", "What?", "--then", "Why?"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("positions auto"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("question 2 "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("saved to " + saved), std::string::npos) << result.err;
  const ProgramResult loaded = run_kvevict({"generate", "--model", short_context_model_path().string(),
                                            "--load", saved, "--max_new_tokens", "8", "--then", "Why?"});
  ASSERT_EQ(loaded.exit_code, 0) << loaded.err;
  EXPECT_TRUE(result.out.ends_with("\n\n" + loaded.out)) << result.out << loaded.out;
}

TEST(GenerateDocument, EachLineOfAQuestionIsMarked) {
  const std::string out = output_of(generate({"--prompt", "A short text.", "--then", "One\ntwo?"}));
  EXPECT_TRUE(out.starts_with("> One\n> two?\n")) << out;
}

TEST(GenerateDocument, ADryRunTellsWhatComesOnTop) {
  const std::string out = output_of(generate({"--prompt", "A short text.", "--then", "Why?", "--dry_run"}));
  EXPECT_NE(out.find("on top "), std::string::npos) << out;
}

TEST(GenerateDocument, WhatCannotBeAskedIsRefusedInOneSentence) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(1000));
  expect_refused(generate(asked(document, {"--then", " "})), 2, "--then is empty");
  expect_refused(generate(asked(document, {"--then_file", file_in(folder, "none.txt", "\n \n")})), 2,
                 "has no question");
  expect_refused(generate(asked(document, {"--then_file", document + ".none"})), 1, "cannot open the text");
  expect_refused(generate({"--then", "Why?"}), 2, "there is no prompt");
  expect_refused(generate({"-f", "-", "--then_file", "-"}, "A text."), 2, "are both standard input");
  expect_refused(generate(asked(document, {"--then", "Why?", "--max_new_tokens", "0"})), 2,
                 "--max_new_tokens is 0");
  expect_refused(generate(asked(document, {"--then", "Why?", "--kv_memory", "20MiB"})), 2, "--budget");
  expect_refused(generate({"-f", document, "--then", "Why?", "--strategy", "snapkv"}), 1,
                 "chooses by attention");
  expect_refused(generate(asked(document, {"--save", document + "/x"})), 1, document);
}

TEST(GenerateDocument, WhatContradictsASavedDocumentIsRefusedInOneSentence) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(1000));
  const std::string saved = folder + "/document.kvevict";
  ASSERT_EQ(generate(asked(document, {"--save", saved})).exit_code, 0);
  const auto load = [&](Words more) {
    Words words = {"--load", saved, "--then", "Why?"};
    words.insert(words.end(), more.begin(), more.end());
    return generate(words);
  };
  output_of(load({"--strategy", "sink_recent_uniform:16:48:64:block=16"}));
  expect_refused(load({"--strategy", "sink_recent"}), 2, "was evicted by sink_recent_uniform:16:48:64");
  expect_refused(load({"--recent_tokens", "50"}), 2, "was evicted by");
  expect_refused(load({"--prompt", "A text"}), 2, "cannot be given with --load");
  expect_refused(load({"-f", document}), 2, "cannot be given with --load");
  expect_refused(load({"--save", saved}), 2, "is saved already");
  expect_refused(load({"--max_length", "50"}), 2, "--max_length");
  expect_refused(load({"--special", "on"}), 2, "--special");
  expect_refused(load({"--chat"}), 2, "leave --chat out");
  expect_refused(load({"--chat", "--system", "x"}), 2, "--system");
  expect_refused(load({"--dry_run"}), 2, "--dry_run");
  expect_refused(load({"--positions", "packed"}), 2, "positions absolute");
  expect_refused(load({"--max_new_tokens", "100000"}), 2, "ask for fewer new tokens");
  expect_refused(generate({"--load", saved}), 2, "needs a question");
  expect_refused(generate({"--load", document, "--then", "Why?"}), 1, "not a saved session");
  expect_refused(generate({"--load", saved + ".none", "--then", "Why?"}), 1, "there is no saved session");
  expect_refused(
      run_kvevict({"generate", "--model", default_model_path().string(), "--load", saved, "--then", "Why?"}),
      2, "another model file");
}

TEST(GenerateDocument, ByDefaultWhatIsKeptGoesByKeysAndIsThereWhenLoaded) {
  const std::string folder = make_work_folder();
  const std::string document = file_in(folder, "document.txt", long_text(9000));
  Words words = {"-f", document, "--save", folder + "/d.kv"};
  const Words questions = then(kQuestions);
  words.insert(words.end(), questions.begin(), questions.end());
  const ProgramResult asked_now = generate(words);
  EXPECT_NE(asked_now.err.find("1024 of "), std::string::npos) << asked_now.err;
  Words again = {"--load", folder + "/d.kv", "--verbose"};
  again.insert(again.end(), questions.begin(), questions.end());
  const ProgramResult asked_later = generate(again);
  EXPECT_EQ(output_of(asked_later), output_of(asked_now));
  EXPECT_NE(asked_later.err.find("kept by keydiff:4:64:956"), std::string::npos) << asked_later.err;
}

TEST(GenerateDocument, WhereKeysCannotBeComparedTheDefaultGoesByPositionAndSaysSo) {
  const std::string document = file_in(make_work_folder(), "document.txt", long_text(9000));
  const auto ask = [&](Words more) {
    Words words = {"generate", "--model",    yarn_rope_model_path().string(), "-f", document,
                   "--then",   "What is it?"};
    words.insert(words.end(), more.begin(), more.end());
    return run_kvevict(words);
  };
  const ProgramResult result = ask({"--verbose", "--max_new_tokens", "4"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("cannot be compared without their positions"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("kept by sink_recent_uniform:64:192:768:block=32"), std::string::npos)
      << result.err;
  expect_refused(ask({"--strategy", "keydiff"}), 1, "use the strategy with rotated=1");
}

}  // namespace
}  // namespace kvevict::test
