#include "runtime/system_sink.h"

#include <gtest/gtest.h>

#include "kvevict/conversation.h"
#include "support/test_models.h"

namespace kvevict::test {
namespace {

constexpr const char* kSystem = "You are a terse lighthouse keeper.";

std::string with_sink(const std::string& text, const std::string& named) {
  const auto model = load_model(shallow_f32_model_path());
  return to_string(with_system_sink(parse_strategy(text), named, *model, kSystem, {}));
}

TEST(SystemSinkTest, TheSinkIsTheSystemPromptOrLonger) {
  const auto model = load_model(shallow_f32_model_path());
  const std::string n = std::to_string(count_system_tokens(*model, kSystem));
  EXPECT_EQ(with_sink("sink_recent:0:100", "sink_recent:0:100"), "sink_recent:" + n + ":100");
  EXPECT_EQ(with_sink("sink_recent:200:100", "sink_recent:200:100"), "sink_recent:200:100");
  EXPECT_EQ(with_sink("sink_recent:sink=200", "sink_recent:sink=200").substr(0, 16), "sink_recent:200:");
  EXPECT_EQ(with_sink("sink_recent:200:100", "sink_recent"), "sink_recent:" + n + ":100")
      << "a default is nobody's";
  EXPECT_EQ(with_sink("full", "full"), "full");
}

}  // namespace
}  // namespace kvevict::test
