// kvevict plan, as a user runs it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/program.h"

namespace kvevict::test {
namespace {

using Json = nlohmann::json;

/// `plan --json` with more arguments: nothing but one JSON document may be on stdout.
Json plan(const std::string& arguments) {
  std::vector<std::string> words = {"plan", "--json"};
  std::istringstream stream(arguments);
  for (std::string word; stream >> word;) words.push_back(word);
  const ProgramResult result = run_kvevict(words);
  EXPECT_EQ(result.exit_code, 0) << arguments << ": " << result.err;
  return Json::parse(result.out);
}

TEST(PlanCommand, SinkAndRecentOfTheDocumentedExample) {
  EXPECT_EQ(plan("--total_len 4096 --strategy sink_recent --sink_tokens 256 --recent_tokens 512"),
            Json::parse(R"({"total_len":4096,"kept":768,"ranges":[[0,256],[3584,4096]]})"));
}

TEST(PlanCommand, UniformByBudgetKeepsExactlyTheBudget) {
  const Json json = plan("--total_len 4096 --strategy sink_recent_uniform --middle_budget 512");
  EXPECT_EQ(json.at("kept"), 1280);
  EXPECT_EQ(json.at("ranges"),
            Json::parse("[[0,256],[640,768],[1408,1536],[2304,2432],[3072,3200],[3584,4096]]"));
}

TEST(PlanCommand, StrideKeepsEverySecondMiddleBlock) {
  Json expected = Json::array({{0, 384}});  // the sink and block 2 touch
  for (int block = 4; block <= 26; block += 2) expected.push_back({block * 128, (block + 1) * 128});
  expected.push_back({3584, 4096});
  EXPECT_EQ(plan("--total_len 4096 --strategy sink_recent_uniform --uniform_stride 2").at("ranges"),
            expected);
}

TEST(PlanCommand, BlocksFromEndToEndAreThoseOfTheDemosCode) {
  const Json expected = Json::parse("[[0,384],[1280,1408],[2304,2432],[3456,4096]]");
  EXPECT_EQ(plan("--total_len 4096 --strategy sink_recent_uniform:256:512:512:spacing=ends").at("ranges"),
            expected);
  EXPECT_EQ(
      plan("--total_len 4096 --strategy sink_recent_uniform --middle_budget 512 --spacing ends").at("ranges"),
      expected);
}

TEST(PlanCommand, NothingSeenKeepsNothing) {
  EXPECT_EQ(plan("--total_len 0"), Json::parse(R"({"total_len":0,"kept":0,"ranges":[]})"));
}

TEST(PlanCommand, BothSpellingsAndTheGrammarSayTheSame) {
  const Json expected = plan(
      "--total_len 5000 --strategy sink_recent_uniform --sink_tokens 10 --recent_tokens 20 "
      "--middle_budget 300 --block_n 50");
  EXPECT_EQ(plan("--total-len 5000 --strategy sink_recent_uniform --sink-tokens 10 --recent-tokens 20 "
                 "--middle-budget 300 --block-n 50"),
            expected);
  EXPECT_EQ(plan("--total_len 5000 --strategy sink_recent_uniform:10:20:300:block=50"), expected);
  EXPECT_EQ(plan("--total_len 5000 --strategy sink_recent_uniform:1:20:300 --sink_tokens 10 --block_n 50"),
            expected);
}

TEST(PlanCommand, ALadderTellsItsLayersApart) {
  const Json worked = Json::parse(R"({"total_len":7,"kept":5,"kept_in_any_layer":7,
      "layers":[[[0,2],[4,7]],[[0,1],[2,3],[4,7]],[[0,1],[3,7]]]})");
  EXPECT_EQ(plan("--strategy ladder:1:2:3:span=1 --n_layers 3 --total_len 7"), worked);
  EXPECT_EQ(plan("--strategy ladder:1:2:3:span=1:layers=3 --total_len 7"), worked);
  EXPECT_EQ(plan("--strategy ladder --span 1 --overlap 0 --budget 6 --sink-tokens 1 --recent-tokens 2 "
                 "--n-layers 3 --total-len 7"),
            worked);
  EXPECT_EQ(plan("--strategy ladder:1:2:3:span=1 --n_layers 3 --total_len 9 --prefill bounded --chunk 2")
                .at("layers"),
            Json::parse("[[[0,2],[4,5],[7,9]],[[0,1],[2,3],[5,6],[7,9]],[[0,1],[3,4],[6,9]]]"));
}

TEST(PlanCommand, ALadderOfDefaultsCompresses) {
  const Json json = plan("--strategy ladder");
  ASSERT_EQ(json.at("layers").size(), 30U);
  EXPECT_LE(json.at("kept"), 1024);
  EXPECT_GT(json.at("kept"), 1000);
  EXPECT_GT(json.at("kept_in_any_layer"), 1400);
  EXPECT_NE(json.at("layers")[0], json.at("layers")[1]);
  const ProgramResult text = run_kvevict({"plan", "--strategy", "ladder"});
  EXPECT_NE(text.out.find("in each layer"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("layer 29  [0, 4)"), std::string::npos) << text.out;
}

TEST(PlanCommand, ABudgetInAllIsTheSameForEveryStrategy) {
  for (const char* strategy : {"sink_recent", "streaming_llm", "sink_recent_uniform"}) {
    EXPECT_EQ(plan(std::string("--budget 1280 --strategy ") + strategy).at("kept"), 1280) << strategy;
  }
  EXPECT_LE(plan("--budget 1280 --strategy ladder").at("kept"), 1280);
}

TEST(PlanCommand, ASummaryForPeopleSaysWhatIsSaved) {
  const ProgramResult result = run_kvevict({"plan", "--total_len", "4096"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_NE(result.out.find("81.2 %"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("[0, 256) [3584, 4096)"), std::string::npos) << result.out;
}

TEST(PlanCommand, AnUnusedFlagIsNamedOnceAndAccepted) {
  const ProgramResult result =
      run_kvevict({"plan", "--strategy", "sink_recent", "--middle_budget", "7", "--json"});
  EXPECT_EQ(result.exit_code, 0);
  const std::size_t first = result.err.find("--middle_budget");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(result.err.find("--middle_budget", first + 1), std::string::npos);
  EXPECT_TRUE(Json::accept(result.out));
}

struct BadCase {
  std::vector<std::string> arguments;
  std::string named;  ///< What the sentence must name.
};

TEST(PlanCommand, ImpossibleValuesAreRefusedByName) {
  const BadCase cases[] = {
      {{"plan", "--total_len", "-1"}, "total_len"},
      {{"plan", "--total_len", "99999999999999999999"}, "99999999999999999999"},
      {{"plan", "--total_len", "12.5"}, "12.5"},
      {{"plan", "--recent_tokens", "0"}, "recent_tokens"},
      {{"plan", "--sink_tokens", "-3"}, "sink_tokens"},
      {{"plan", "--strategy", "sink_recent_uniform", "--block_n", "0"}, "block_n"},
      {{"plan", "--strategy", "sink_recant"}, "sink_recant"},
      {{"plan", "--strategy", "sink_recent:x"}, "\"x\""},
      {{"plan", "--strategy", "full:4"}, "full"},
      {{"plan", "--strategy", "sink_recent:1:2:3"}, "budget"},
      {{"plan", "--strategy", "ladder", "--n_layers", "1"}, "cannot compress"},
      {{"plan", "--strategy", "ladder", "--span", "30"}, "cannot compress"},
      {{"plan", "--strategy", "ladder", "--span", "4", "--overlap", "4"}, "overlap of 4"},
      {{"plan", "--strategy", "ladder:layers=31", "--n_layers", "30"}, "31 layers"},
      {{"plan", "--strategy", "ladder", "--n_layers", "0"}, "--n_layers"},
      {{"plan", "--strategy", "ladder", "--budget", "100"}, "budget of 100"},
      {{"plan", "--strategy", "ladder", "--budget", "900", "--middle_budget", "4"}, "--middle_budget"},
      {{"plan", "--budget", "900", "--recent_tokens", "4"}, "--recent_tokens"},
      {{"plan", "--strategy", "h2o"}, "needs a model's attention"},
      {{"plan", "--nonsense", "1"}, "--nonsense"},
      {{"plan", "stray"}, "stray"},
      {{}, "subcommand"}};
  for (const BadCase& bad : cases) {
    const ProgramResult result = run_kvevict(bad.arguments);
    EXPECT_EQ(result.exit_code, 2) << bad.named;
    EXPECT_NE(result.err.find(bad.named), std::string::npos) << bad.named << ": " << result.err;
    EXPECT_TRUE(result.out.empty()) << result.out;
  }
}

}  // namespace
}  // namespace kvevict::test
