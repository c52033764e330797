#include <gtest/gtest.h>

#include "experiments/prompt_templates.h"
#include "results/longbench_dataset.h"

namespace kvevict::eval {
namespace {

TEST(LongBenchPrompts, EveryDataSetHasAPromptAndALength) {
  const PromptTemplates templates(std::filesystem::path(KVEVICT_DATA_DIR) / "longbench", {});
  for (const LongBenchDataset& dataset : longbench_datasets()) {
    const std::string name(dataset.name);
    const std::string prompt = templates.fill(name, "<{input}>", "<question>").text;
    EXPECT_NE(prompt.find("<{input}>"), std::string::npos)
        << name;  // literal: one pass over the template alone
    const bool is_without_input = name == "gov_report" || name == "multi_news" || name == "vcsum" ||
                                  name == "passage_count" || name == "lcc";
    EXPECT_EQ(prompt.find("<question>") == std::string::npos, is_without_input) << name;
    EXPECT_GE(templates.max_new_tokens(name), 32) << name;
  }
}

TEST(LongBenchPrompts, LengthsAreTheOfficialOnes) {
  const PromptTemplates templates(std::filesystem::path(KVEVICT_DATA_DIR) / "longbench", {});
  for (const char* name : {"gov_report", "qmsum", "multi_news", "vcsum"})
    EXPECT_EQ(templates.max_new_tokens(name), 512);
  for (const char* name : {"narrativeqa", "qasper", "dureader", "samsum"})
    EXPECT_EQ(templates.max_new_tokens(name), 128);
  for (const char* name : {"multifieldqa_en", "multifieldqa_zh", "trec", "lsht", "lcc", "repobench-p"}) {
    EXPECT_EQ(templates.max_new_tokens(name), 64);
  }
}

}  // namespace
}  // namespace kvevict::eval
