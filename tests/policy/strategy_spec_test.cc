#include "kvevict/strategy_spec.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/registry.h"

namespace kvevict {
namespace {

std::string refusal(const std::string& text) {
  try {
    (void)parse_strategy(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was refused";
}

TEST(StrategySpecTest, ReadsPositionalValuesAndKeys) {
  const StrategySpec spec = parse_strategy("sink_recent_uniform:256:1024:512");
  EXPECT_EQ(spec.name, "sink_recent_uniform");
  EXPECT_EQ(spec.config.sink_tokens, 256);
  EXPECT_EQ(spec.config.recent_tokens, 1024);
  EXPECT_EQ(spec.config.middle_budget_tokens, 512);
  EXPECT_EQ(spec.config.middle_strategy, "uniform");
  EXPECT_EQ(spec, parse_strategy("sink_recent_uniform:budget=512:recent=1024"));
  EXPECT_EQ(parse_strategy("sink_recent_uniform:64:stride=2:block=32").block_n, 32);
}

TEST(StrategySpecTest, WhatIsLeftOutIsTheStrategysOwnDefault) {
  EXPECT_EQ(parse_strategy("sink_recent").config.recent_tokens, 512);
  EXPECT_EQ(parse_strategy("streaming_llm").config.sink_tokens, 4);
  EXPECT_EQ(parse_strategy("streaming_llm").config.recent_tokens, 1020);
  EXPECT_EQ(parse_strategy("streaming_llm:8").config.recent_tokens, 1020);
  EXPECT_EQ(parse_strategy("snapkv").per_layer, kLayersWherePossible);
  EXPECT_EQ(parse_strategy("h2o").per_layer, 0);
}

TEST(StrategySpecTest, TextOfASpecReadsBackToIt) {
  for (const char* text :
       {"full", "sink_recent:0:1", "sink_recent_uniform:4:5:6", "sink_recent_uniform:4:5:stride=3",
        "sink_recent_uniform:4:5:6:block=7", "sink_recent_uniform:4:5:stride=3:block=7",
        "sink_recent_uniform:4:5:6:spacing=ends", "streaming_llm:4:1020", "ladder:4:508:512",
        "ladder:4:508:512:span=8:overlap=2:layers=24", "h2o:0:512:512",
        "snapkv:2:64:100:per_layer=1:window=16:pool=5", "snapkv:0:32:992", "snapkv:0:32:992:per_layer=0",
        "tova:0:1:1023:per_layer=1"}) {
    EXPECT_EQ(to_string(parse_strategy(text)), text);
  }
  for (const PolicyInfo& info : all_policies()) {
    const StrategySpec spec = parse_strategy(info.name);
    EXPECT_EQ(parse_strategy(to_string(spec)), spec) << info.name;
  }
}

TEST(StrategySpecTest, WhatIsWrongIsQuoted) {
  EXPECT_NE(refusal("sink_resent").find("\"sink_resent\""), std::string::npos);
  EXPECT_NE(refusal("sink_resent").find("sink_recent_uniform"), std::string::npos)
      << "must name the known ones";
  EXPECT_NE(refusal("sink_recent:x").find("\"x\""), std::string::npos);
  EXPECT_NE(refusal("sink_recent:1.5").find("\"1.5\""), std::string::npos);
  EXPECT_NE(refusal("sink_recent::5").find("\"\""), std::string::npos);
  EXPECT_NE(refusal("sink_recent:1:2:3").find("budget"), std::string::npos);
  EXPECT_NE(refusal("sink_recent_uniform:1:2:3:4").find("\"4\""), std::string::npos);
  EXPECT_NE(refusal("sink_recent:sink=1:5").find("\"5\""), std::string::npos) << "positional after a key";
  EXPECT_NE(refusal("sink_recent:colour=1").find("\"colour\""), std::string::npos);
  EXPECT_NE(refusal("sink_recent:stride=2").find("\"stride\""), std::string::npos);
  EXPECT_NE(refusal("sink_recent_uniform:spacing=1").find("midpoints or ends is needed"), std::string::npos);
  EXPECT_NE(refusal("sink_recent:spacing=ends").find("does not use"), std::string::npos);
  EXPECT_NE(refusal("sink_recent:span=2").find("\"span\""), std::string::npos);
  EXPECT_NE(refusal("ladder:stride=2").find("\"stride\""), std::string::npos);
  EXPECT_NE(refusal("h2o:per_layer=3").find("per_layer is 3"), std::string::npos);
  EXPECT_NE(refusal("h2o:window=2").find("does not use"), std::string::npos);
  EXPECT_NE(refusal("snapkv:window=0").find("window is 0"), std::string::npos);
  EXPECT_NE(refusal("snapkv:pool=4").find("pool is 4"), std::string::npos);
  EXPECT_NE(refusal("ladder:layers=99999999").find("layers is 99999999"), std::string::npos);
  EXPECT_NE(refusal("full:4").find("does not use"), std::string::npos);
  EXPECT_NE(refusal("sink_recent:0:0").find("recent_tokens is 0"), std::string::npos);
  EXPECT_NE(refusal("sink_recent:99999999999999999999").find("99999999999999999999"), std::string::npos);
  EXPECT_NE(refusal("").find("\"\""), std::string::npos);
}

}  // namespace
}  // namespace kvevict
