// Lists that begin as the one before did have the tokens that they have alone, and cost what is new.
#include "engine/growing_prompt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>

#include "engine/long_list.h"
#include "kvevict/error.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using Messages = std::vector<ChatMessage>;

// As templates of models write lists.
constexpr const char* kPlain =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";
// Thoughts stay in the answers behind the last user's message alone.
constexpr const char* kThinking =
    "{% set last = namespace(user=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set last.user = "
    "loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.index0 > last.user %}{{ m.content }}"
    "{% else %}{{ m.content.split('</think>')[-1].lstrip() }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}";
// What goes for all of the list stands in front of the last user's message.
constexpr const char* kBeforeLast =
    "{% set last = namespace(user=-1) %}{% for m in messages %}{% if m.role == 'user' %}{% set last.user = "
    "loop.index0 %}"
    "{% endif %}{% endfor %}{% for m in messages %}{% if loop.index0 == last.user %}[the rules]{% endif %}"
    "<|im_start|>{{ m.role }} {{ m.content }}<|im_end|>{% endfor %}";
constexpr const char* kAlternating =
    "{% for m in messages %}{% if m.role == 'user' and loop.index0 > 0 and messages[loop.index0 - 1].role == "
    "'user' %}"
    "{{ raise_exception('two questions') }}{% endif %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
// As none does, where a text depends on what is far away.
constexpr const char* kNumbered =
    "{% for m in messages %}<|im_start|>{{ loop.index }} {{ m.content }}<|im_end|>\n{% endfor %}";
constexpr const char* kCounted =
    "{{ messages | length }} messages\n{% for m in messages %}<|im_start|>{{ m.content }}<|im_end|>{% endfor "
    "%}";
constexpr const char* kReversed =
    "{% for m in messages | reverse %}<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
constexpr const char* kOfTheLast =
    "{% for m in messages %}<|im_start|>{{ messages[-1].content }}: {{ m.content }}<|im_end|>{% endfor %}";

class GrowingPromptTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!reads_jinja()) GTEST_SKIP() << "built without llama.cpp's Jinja";
    template_.emplace(*model_, TemplateOptions{.source = GetParam()});
  }

  [[nodiscard]] std::vector<Token> alone(const Messages& messages) const {
    return model_->tokenize(template_->render(messages), true);
  }
  [[nodiscard]] std::vector<Token> grown(const Messages& messages) {
    return growing_.tokens(*model_, *template_, messages);
  }

  std::shared_ptr<const Model> model_ = test::load_model(test::shallow_model_path());
  std::optional<PromptTemplate> template_{};
  GrowingPrompt growing_{};
};

std::string random_text(std::mt19937& random) {
  const std::vector<std::string> words = {"a",          " b",       "\n", "caf\xC3\xA9",
                                          "<|im_end|>", "</think>", "  ", "12"};
  std::string text = "x";
  for (std::size_t n = random() % 6; n > 0; --n) text += words[random() % words.size()];
  return text;
}

TEST_P(GrowingPromptTest, HasTheTokensOfEachListAlone) {
  std::mt19937 random(5);
  Messages messages;
  for (int i = 0; i < 120; ++i) {
    if (messages.size() > 40 || (!messages.empty() && random() % 12 == 0))
      messages.resize(random() % messages.size());
    if (!messages.empty() && random() % 8 == 0)
      messages[random() % messages.size()].content = random_text(random);
    if (messages.empty() && random() % 2 == 0) messages.push_back({"system", random_text(random)});
    if (!messages.empty() && messages.back().role == "user") {
      messages.push_back({"assistant", random_text(random)});
      if (random() % 4 == 0) messages.push_back({"tool", random_text(random)});
    }
    messages.push_back({random() % 9 == 0 ? "assistant" : "user", random_text(random)});
    std::vector<Token> expected;
    try {
      expected = alone(messages);
    } catch (const Error&) {
      EXPECT_THROW((void)grown(messages), Error) << i;
      messages.pop_back();
      continue;
    }
    ASSERT_EQ(grown(messages), expected) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Templates, GrowingPromptTest,
                         testing::Values("", "chatml", kPlain, kThinking, kBeforeLast, kAlternating,
                                         kNumbered, kCounted, kReversed, kOfTheLast));

class LongListTest : public GrowingPromptTest {
 protected:
  struct Cost {
    std::int64_t n_messages, n_bytes;
  };
  /// Of the turn that ends with the user's next message.
  [[nodiscard]] Cost turn() {
    const Cost before{growing_.n_messages_rendered(), growing_.n_bytes_read()};
    const std::string number = std::to_string(100'000 + messages_.size());
    messages_.push_back({"user", "Tell me about storm " + number + "."});
    const std::vector<Token> tokens = grown(messages_);
    EXPECT_GT(tokens.size(), 10U);
    messages_.push_back({"assistant", "<think>Hm.</think>It was wild, number " + number + "."});
    return {growing_.n_messages_rendered() - before.n_messages, growing_.n_bytes_read() - before.n_bytes};
  }

  Messages messages_ = {{"system", "You know all storms."}};
};

TEST_P(LongListTest, ATurnCostsNoMoreThanAnEarlierOne) {
  Cost early{}, late{};
  const auto raise = [](Cost& most, const Cost& one) {
    most = {std::max(most.n_messages, one.n_messages), std::max(most.n_bytes, one.n_bytes)};
  };
  for (int i = 0; i < 10; ++i) (void)turn();
  for (int i = 0; i < 10; ++i) raise(early, turn());
  for (int i = 0; i < 100; ++i) (void)turn();
  for (int i = 0; i < 10; ++i) raise(late, turn());
  EXPECT_EQ(late.n_messages, early.n_messages);
  EXPECT_EQ(late.n_bytes, early.n_bytes);
  EXPECT_LT(late.n_messages, 24);
  EXPECT_LT(late.n_bytes, 600);
  EXPECT_EQ(grown(messages_), alone(messages_));
}

INSTANTIATE_TEST_SUITE_P(Templates, LongListTest,
                         testing::Values("", "chatml", kPlain, kThinking, kBeforeLast, kAlternating));

TEST(ListEndsTest, AreTheOpeningAndTheLastThreeTurns) {
  Messages messages = {{"system", "s"}};
  const auto add_turn = [&](const std::string& name) {
    messages.push_back({"user", name});
    messages.push_back({"assistant", "a" + name});
    messages.push_back({"tool", "t" + name});
  };
  for (const char* name : {"1", "2", "3", "4"}) add_turn(name);
  EXPECT_FALSE(ends_of(messages)) << "nothing lies between them";
  EXPECT_EQ(shortened(messages).size(), messages.size());
  for (const char* name : {"5", "6"}) add_turn(name);
  std::string left;
  for (const ChatMessage& one : shortened(messages)) left += one.content + " ";
  EXPECT_EQ(left, "s 1 a1 t1 4 a4 t4 5 a5 t5 6 a6 t6 ");
  EXPECT_FALSE(ends_of({}));
  EXPECT_FALSE(ends_of(Messages{{"assistant", "a"}}));
}

}  // namespace
}  // namespace kvevict
