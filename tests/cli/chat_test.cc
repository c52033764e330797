// kvevict chat with its input piped in.
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "kvevict/prompt_template.h"
#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

ProgramResult chat(const std::string& input, std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"chat", "--model", shallow_model_path().string(), "--max_new_tokens",
                                    "8"};
  words.insert(words.end(), more.begin(), more.end());
  ProgramOptions options;
  options.input = input;
  return run_kvevict(words, options);
}

TEST(ChatCommand, AnswersObeysAndEndsWithTheInput) {
  const ProgramResult result =
      chat("Hello there.\n/stats\n/keep\n/reset\n/stats\n/nonsense\n/quit\nnever read\n",
           {"--system", "Be brief."});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("turns            1\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("turns            0\n"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("<|im_start|>system\nBe brief."), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("sink_recent:"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("/nonsense is no command"), std::string::npos) << result.err;
}

TEST(ChatCommand, TakesLinesFromWindowsAsItTakesOthers) {
  const std::string plain = "Hello there.\n\n/stats\n/keep\n/quit\nnever read\n";
  std::string windows = "\xEF\xBB\xBF";
  for (const char c : plain) windows += c == '\n' ? "\r\n" : std::string(1, c);
  const auto without_memory = [](std::string text) {
    const std::size_t at = text.find("resident memory");
    return at == std::string::npos ? text : text.erase(at, text.find('\n', at) - at);
  };
  const ProgramResult expected = chat(plain);
  const ProgramResult result = chat(windows);
  EXPECT_EQ(without_memory(result.out), without_memory(expected.out));
  EXPECT_NE(result.out.find("turns            1\n"), std::string::npos) << result.out;
  EXPECT_EQ(result.err, "");
}

TEST(ChatCommand, AMessageMayHaveSeveralLinesAndBeginWithASlash) {
  const auto shown = [](const std::string& input) { return chat(input + "/keep  \n").out; };
  EXPECT_NE(shown("one\\\n two\\\nthree\n").find("user\none\n two\nthree<|im_end|>"), std::string::npos);
  EXPECT_NE(shown("\"\"\"\n/quit\n\nb \\\r\n\"\"\"\n").find("user\n/quit\n\nb \\<|im_end|>"),
            std::string::npos);
  EXPECT_NE(shown("\"\"\"a\nb\"\"\"\n").find("user\na\nb<|im_end|>"), std::string::npos);
  EXPECT_NE(shown("//keep it\n").find("user\n/keep it<|im_end|>"), std::string::npos);
  const ProgramResult blank = chat(" \t\n\"\"\"\n\n\"\"\"\n/stats\n");
  EXPECT_NE(blank.out.find("turns            0\n"), std::string::npos) << blank.out;
}

TEST(ChatCommand, TheEndOfTheInputEndsAMessage) {
  EXPECT_FALSE(chat("Hello there.\\").out.empty());
  EXPECT_FALSE(chat("\"\"\"Hello\nthere.").out.empty());
}

TEST(ChatCommand, ANulCharacterCutsNothingOff) {
  const std::string folder = make_work_folder();
  const std::string nul(1, '\0');
  const ProgramResult result = chat("one" + nul + "two\n/keep\n/save " + folder + "/a" + nul + "b\n");
  EXPECT_NE(result.out.find("user\none" + nul + "two<|im_end|>"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("has no NUL character"), std::string::npos) << result.err;
  EXPECT_FALSE(std::filesystem::exists(folder + "/a"));
}

TEST(ChatCommand, AnUnknownTemplateIsRefusedWithAdviceThatHelps) {
  const std::string model = unknown_template_model_path().string();
  const ProgramResult result = run_kvevict({"chat", "--model", model});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("kvevict generate"), std::string::npos) << result.err;
  EXPECT_EQ(result.err.find("--chat "), std::string::npos) << result.err;
  const ProgramResult generated = run_kvevict({"generate", "--chat", "--prompt", "hi", "--model", model});
  EXPECT_EQ(generated.exit_code, 1);
  EXPECT_NE(generated.err.find("leave --chat out"), std::string::npos) << generated.err;
  EXPECT_EQ(run_kvevict({"generate", "--prompt", "hi", "--model", model, "--max_new_tokens", "1"}).exit_code,
            0);
}

TEST(ChatCommand, AnAnswerEndsBeforeATextThatIsToEndIt) {
  const std::string whole = chat("Tell me a story.\n").out;
  ASSERT_GT(whole.size(), 10U);
  const std::string stop = whole.substr(5, 3);
  EXPECT_EQ(chat("Tell me a story.\n", {"--stop", "never this", "--stop", stop}).out,
            whole.substr(0, whole.find(stop)) + "\n");
  const ProgramResult refused = chat("", {"--stop", ""});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--stop is empty"), std::string::npos) << refused.err;
}

TEST(ChatCommand, ThoughtsLeaveWithTheTemplateUnlessTheyAreKept) {
  if (!reads_jinja()) GTEST_SKIP();
  const std::string file = make_work_folder() + "/thinking.jinja";
  std::ofstream(file) << "{% for m in messages %}<|im_start|>{{ m.role }}\n"
                         "{{ m.content.split('</think>')[-1] }}<|im_end|>\n{% endfor %}"
                         "{% if add_generation_prompt %}<|im_start|>assistant\n<think>Hm.</think>{% endif %}";
  const auto shown = [&](const std::string& keep) {
    const ProgramResult result =
        chat("Hello there.\nGo on.\n/keep\n", {"--chat_template", file, "--keep_reasoning", keep});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  const std::string dropped = shown("off"), kept = shown("on");
  EXPECT_EQ(dropped.find("<think>Hm."), dropped.rfind("<think>Hm.")) << dropped;
  EXPECT_NE(kept.find("<think>Hm."), kept.rfind("<think>Hm.")) << kept;
  EXPECT_EQ(chat("", {"--keep_reasoning", "perhaps"}).exit_code, 2);
}

TEST(ChatCommand, CountsTheSystemPromptAsSink) {
  const auto sink_of = [](const ProgramResult& result) {
    const std::size_t at = result.out.find("sink_recent:");
    return at == std::string::npos ? -1 : std::stoi(result.out.substr(at + 12));
  };
  const int n_short = sink_of(chat("/stats\n", {"--system", "Be brief."}));
  const int n_long = sink_of(
      chat("/stats\n", {"--system", "Be brief. Be kind, be patient, and never say more than you know."}));
  EXPECT_GT(n_short, 4);
  EXPECT_GT(n_long, n_short + 8);
  EXPECT_EQ(sink_of(chat("/stats\n", {"--sink_tokens", "33"})), 33);
}

TEST(ChatCommand, SavesAfterEachAnswerAndLoadsWhenTold) {
  const std::string folder = make_work_folder();
  const std::string one = folder + "/one.kvevict";
  const ProgramResult saved = chat("Hello there.\nWho are you?\n", {"--save", one});
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const ProgramResult result = chat("Good morning.\n/load " + one + "\n/load " + folder + "\n/load " +
                                    folder + "/none\n/load\nGo on.\n/stats\n/quit\n");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.out.find("loaded " + one + ": 2 turns"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("turns            3\n"), std::string::npos) << result.out;
  EXPECT_NE(result.err.find("is a folder"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("there is no saved session"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("/load needs the name of a file"), std::string::npos) << result.err;
}

TEST(ChatCommand, RefusesASystemPromptThatIsNotUtf8) {
  const ProgramResult result = chat("Hello.\n", {"--system", "caf\xE9"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find("--system is not UTF-8"), std::string::npos) << result.err;
}

TEST(ChatCommand, AKillDuringASaveLeavesAWholeFile) {
  const std::string folder = make_work_folder();
  const std::string file = folder + "/chat.kvevict";
  for (int n_saves = 1; n_saves <= 4; ++n_saves) {
    std::string input = "Hello there.\n";
    for (int i = 0; i < n_saves; ++i) input += "/save " + file + "\n";
    input += "/now\n";
    for (int i = 0; i < 300; ++i) input += "/save " + file + "\n";
    ProgramOptions options;
    options.input = input;
    Program program({"chat", "--model", shallow_model_path().string(), "--max_new_tokens", "4"}, options);
    ASSERT_TRUE(program.wait_for_stderr("/now is no command"));
    program.send_signal(SIGKILL);
    EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);  // it was at its saves
    const ProgramResult loaded = chat("/stats\n", {"--load", file});
    ASSERT_EQ(loaded.exit_code, 0) << loaded.err;
    EXPECT_NE(loaded.out.find("turns            1\n"), std::string::npos) << loaded.out;
  }
}

TEST(ChatCommand, RefusesASinkThatIsNoNumber) {
  const ProgramResult result = chat("", {"--sink_tokens", "some"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("nor is it auto"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvevict::test
