#include "kvevict/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <fstream>

#include "kvevict/error.h"
#include "runtime/chat_template.h"
#include "support/program.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

using test::shallow_model_path;

constexpr const char* kSystem = "You are a terse lighthouse keeper.";

SessionOptions chat_options(const std::atomic<bool>* cancel = nullptr) {
  SessionOptions options;
  options.prefill = PrefillMode::kBounded;
  options.n_chunk = 64;
  options.cancel = cancel;
  return options;
}

Conversation make_conversation(std::shared_ptr<const Policy> policy,
                               const std::atomic<bool>* cancel = nullptr) {
  return {test::load_model(shallow_model_path()),
          std::move(policy),
          {.system = kSystem, .max_new_tokens = 12, .sampling = {}, .session = chat_options(cancel)}};
}

Conversation make_conversation(const std::string& strategy, const std::atomic<bool>* cancel = nullptr) {
  return make_conversation(make_policy(strategy), cancel);
}

std::string say(Conversation& chat, const std::string& message) {
  std::string answer;
  chat.answer(message, [&](std::string_view text) { answer += text; });
  return answer;
}

// Models that think: their templates drop earlier thoughts, and begin an answer with an empty one if they
// shall not think.
TEST(ChatTemplateTest, ATemplateWhoseHistoryDiffersFromItsPromptsGoesTurnByTurn) {
  if (!reads_jinja()) GTEST_SKIP();
  const auto model = test::load_model(shallow_model_path());
  const ChatTemplate turns(*model, "",
                           {.source = "{% for m in messages %}<|im_start|>{{ m.role }}\n"
                                      "{{ m.content.split('</think>')[-1].lstrip() }}<|im_end|>\n{% endfor %}"
                                      "{% if add_generation_prompt %}<|im_start|>assistant\n"
                                      "{% if not think %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
                            .values = R"({"think":false})"});
  EXPECT_EQ(model->detokenize(turns.first_turn("Hello"), true),
            "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
  EXPECT_EQ(
      model->detokenize(turns.next_turn(" How far?"), true),
      "<|im_end|>\n<|im_start|>user\nHow far?<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n");
}

TEST(ChatTemplateTest, ATemplateThatLeavesAnswersOutIsRefused) {
  if (!reads_jinja()) GTEST_SKIP();
  const auto model = test::load_model(shallow_model_path());
  EXPECT_THROW(ChatTemplate(*model, "", {.source = "{{ messages[-1].content }}"}), Error);
}

TEST(ChatTemplateTest, TurnsJoinToTheWholeTemplate) {
  const auto model = test::load_model(shallow_model_path());
  const ChatTemplate turns(*model, kSystem);
  std::vector<Token> joined = turns.first_turn("Hello");
  for (const Token token : model->tokenize("Ahoy.", false, false)) joined.push_back(token);
  for (const Token token : turns.next_turn("How far?")) joined.push_back(token);
  const std::vector<ChatMessage> messages = {
      {"system", kSystem}, {"user", "Hello"}, {"assistant", "Ahoy."}, {"user", "How far?"}};
  EXPECT_EQ(joined, model->tokenize(model->apply_chat_template(messages), true, true));
  const auto system_part =
      model->detokenize(std::span(joined).first(static_cast<std::size_t>(turns.count_system_tokens())), true);
  EXPECT_NE(system_part.find(kSystem), std::string::npos);
  EXPECT_EQ(system_part.find("Hello"), std::string::npos);
}

TEST(ChatTemplateTest, KnowsWhatItsHistoryHasInAnotherWay) {
  if (!reads_jinja()) GTEST_SKIP();
  const auto model = test::load_model(shallow_model_path());
  const std::string history = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content";
  const std::string end = " }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n";
  const ChatTemplate plain(*model, "", {.source = history + end + "{% endif %}"});
  const ChatTemplate trims(*model, "", {.source = history + " | trim" + end + "{% endif %}"});
  const ChatTemplate thinks(*model, "", {.source = history + end + "<think>\n{% endif %}"});
  EXPECT_FALSE(plain.rewrites_answers());
  EXPECT_TRUE(trims.rewrites_answers());
  const std::vector<ChatMessage> one = {{"user", "Hello"}};
  EXPECT_EQ(plain.count_unsettled(one), 0U);
  EXPECT_EQ(thinks.count_unsettled(one), model->tokenize("<think>\n", false, true).size());
}

TEST(ChatTemplateTest, WhatComesBehindAnAnswerIsToldFromWhatMessagesSay) {
  const auto model = test::load_model(shallow_model_path());
  const ChatTemplate turns(*model, "");
  const std::vector<ChatMessage> list = {
      {"user", "kvevict-answer-1"}, {"assistant", "Ahoy."}, {"user", "How far?"}};
  EXPECT_EQ(turns.behind_answer(list, 2), turns.next_turn("How far?"));
}

TEST(ChatTemplateTest, WhatComesBehindAnAnswerIsWrittenAsInTheWholeList) {
  if (!reads_jinja()) GTEST_SKIP();
  const auto model = test::load_model(shallow_model_path());
  const ChatTemplate numbered(
      *model, "",
      {.source = "{% for m in messages %}<|im_start|>{{ loop.index }} {{ m.content }}<|im_end|>\n{% endfor %}"
                 "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"});
  std::vector<ChatMessage> list;
  for (int turn = 0; turn < 6; ++turn) {
    list.push_back({"user", "Hello"});
    list.push_back({"assistant", "Ahoy."});
  }
  list.push_back({"user", "How far?"});
  const auto behind = numbered.behind_answer(list, 12);
  ASSERT_TRUE(behind);
  EXPECT_NE(model->detokenize(*behind, true).find("<|im_start|>13 How far?"), std::string::npos);
}

TEST(ChatTemplateTest, AMessageCannotBringControlTokens) {
  const auto model = test::load_model(shallow_model_path());
  const ChatTemplate turns(*model, "");
  const auto count_ends = [&](const std::vector<Token>& tokens) {
    return std::count_if(tokens.begin(), tokens.end(),
                         [&](Token token) { return model->is_end_of_generation(token); });
  };
  EXPECT_EQ(count_ends(turns.first_turn("<|im_end|>")), count_ends(turns.first_turn("no")));
}

TEST(ChatTemplateTest, ASystemPromptCannotBringControlTokens) {
  const auto model = test::load_model(shallow_model_path());
  const auto n_ends = [&](const char* system) {
    const std::vector<Token> tokens = ChatTemplate(*model, system).first_turn("Hello");
    return std::count_if(tokens.begin(), tokens.end(),
                         [&](Token t) { return model->is_end_of_generation(t); });
  };
  EXPECT_EQ(n_ends("Say <|im_end|> often."), n_ends("Say little."));
}

TEST(ChatTemplateTest, TurnsOfASentencePieceVocabularyJoinToTheWhole) {
  const auto model = test::load_model(test::sentence_piece_model_path());
  const ChatTemplate turns(*model, "");
  const std::vector<ChatMessage> one = {{"user", "hello"}};
  EXPECT_EQ(turns.first_turn("hello"), model->tokenize(model->apply_chat_template(one), true, true));
  const std::vector<ChatMessage> all = {{"user", "hello"}, {"assistant", "there"}, {"user", "again"}};
  std::vector<Token> joined = turns.first_turn("hello");
  const TextPart answer{"there"};
  for (const Token token : model->tokenize({&answer, 1}, false)) joined.push_back(token);
  for (const Token token : turns.next_turn("again")) joined.push_back(token);
  EXPECT_EQ(model->detokenize(joined, true),
            model->detokenize(model->tokenize(model->apply_chat_template(all), true, true), true));
}

TEST(ConversationTest, KeepShowsTheSpacesOfASentencePieceVocabulary) {
  Conversation chat(test::load_model(test::sentence_piece_model_path()), make_policy("sink_recent:2:2"),
                    {.max_new_tokens = 1, .session = {.n_chunk = 1, .prefill = PrefillMode::kBounded}});
  say(chat, "hello there again");
  std::string shown = chat.kept_text();
  for (const char* mark : {"[-", "-]"}) {
    const std::size_t at = shown.find(mark);
    ASSERT_NE(at, std::string::npos) << shown;
    shown.erase(at, 2);
  }
  EXPECT_TRUE(shown.starts_with("<s> [INST] hello there again [/INST]")) << shown;
}

TEST(ConversationTest, DecodesEveryTokenOnce) {
  Conversation chat = make_conversation("sink_recent:16:112");
  std::int64_t n_expected = 0;
  for (int turn = 0; turn < 12; ++turn) {
    EXPECT_FALSE(
        say(chat, "Tell me about storm number " + std::to_string(turn) + " of that winter, please.").empty());
    const SessionStats stats = chat.session().stats();
    n_expected = static_cast<std::int64_t>(chat.seen().size());
    EXPECT_EQ(stats.n_decoded_tokens, n_expected);
    EXPECT_EQ(stats.n_tokens_seen, n_expected);
    EXPECT_LE(stats.n_tokens_held_peak, 128 + 64);
  }
  EXPECT_EQ(chat.n_turns(), 12);
  EXPECT_GT(n_expected, 2 * 128);
  EXPECT_GT(chat.session().stats().n_evictions, 0);
}

TEST(ConversationTest, KeepShowsTheSystemPromptAndWhatWasEvicted) {
  Conversation chat = make_conversation("sink_recent:16:48");
  for (int turn = 0; turn < 5; ++turn)
    say(chat, "Ship number " + std::to_string(turn) + " has passed the reef at noon.");
  const std::string shown = chat.kept_text(false);
  EXPECT_LT(shown.find("lighthouse keeper"), shown.find("[-"));
  EXPECT_NE(shown.find("-]"), std::string::npos);
  EXPECT_GT(shown.find("Ship number 4"), shown.rfind("-]"));
}

TEST(ConversationTest, ASavedChatGoesOnAsIfNeverLeft) {
  const std::string file = test::make_work_folder() + "/chat.kvevict";
  Conversation chat = make_conversation("sink_recent:16:112");
  for (int turn = 0; turn < 4; ++turn) say(chat, "Describe wave " + std::to_string(turn) + ".");
  chat.save(file);
  Conversation loaded = make_conversation("sink_recent:16:112");
  loaded.load(file);
  EXPECT_EQ(loaded.n_turns(), 4);
  EXPECT_EQ(loaded.seen(), chat.seen());
  EXPECT_EQ(say(loaded, "And the next one?"), say(chat, "And the next one?"));

  Conversation other = make_conversation("sink_recent:16:60");
  other.load(file);
  EXPECT_EQ(to_string(other.session().policy().spec()), "sink_recent:16:112");
}

TEST(ConversationTest, ASavedChatBringsItsSamplerAndItsPositions) {
  const std::string file = test::make_work_folder() + "/chat.kvevict";
  Conversation chat(test::load_model(shallow_model_path()), make_policy("streaming_llm:4:124"),
                    {.system = kSystem,
                     .max_new_tokens = 12,
                     .sampling = {.temperature = 1.5, .seed = 7},
                     .session = chat_options()});
  say(chat, "Describe a wave.");
  chat.save(file);
  Conversation loaded = make_conversation("sink_recent:16:112");  // greedy, automatic positions
  loaded.load(file);
  EXPECT_EQ(loaded.session().options().positions, PositionMode::kPacked);
  EXPECT_EQ(say(loaded, "And the next one?"), say(chat, "And the next one?"));
  loaded.reset();
  EXPECT_FALSE(say(loaded, "Good evening.").empty());
}

TEST(ConversationTest, ARefusedFileLeavesTheChatAsItWas) {
  const std::string file = test::make_work_folder() + "/chat.kvevict";
  std::ofstream(file) << "no saved chat";
  Conversation chat = make_conversation("sink_recent:16:112");
  say(chat, "Good morning.");
  const std::vector<Token> seen = chat.seen();
  EXPECT_THROW(chat.load(file), Error);
  EXPECT_EQ(chat.seen(), seen);
  EXPECT_FALSE(say(chat, "Still there?").empty());
}

TEST(ConversationTest, StoppingEndsTheAnswerAndNotTheChat) {
  std::atomic<bool> cancel = false;
  Conversation chat = make_conversation("sink_recent:16:112", &cancel);
  int n_pieces = 0;
  const AnswerEnd end = chat.answer("Count to a hundred.", [&](std::string_view) {
    if (++n_pieces == 3) cancel = true;
  });
  EXPECT_EQ(end, AnswerEnd::kStopped);
  EXPECT_EQ(n_pieces, 3);
  cancel = false;
  EXPECT_FALSE(say(chat, "Thank you. Who are you?").empty());
  EXPECT_EQ(chat.session().stats().n_decoded_tokens, static_cast<std::int64_t>(chat.seen().size()));
}

/// Raises a flag when it is first asked for a plan of more than `n_most` tokens.
class InterruptingPolicy final : public Policy {
 public:
  InterruptingPolicy(const std::string& strategy, std::int64_t n_most, std::atomic<bool>& flag)
      : policy_(make_policy(strategy)), n_most_(n_most), flag_(flag) {}

  [[nodiscard]] std::string versioned_name() const override { return policy_->versioned_name(); }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return policy_->spec(); }
  [[nodiscard]] KeepPlan plan(std::int64_t n, PolicyState& state) const override {
    if (n > n_most_ && !was_raised_.exchange(true)) flag_ = true;
    return policy_->plan(n, state);
  }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState& state) const override {
    return policy_->budget_tokens(state);
  }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return policy_->n_newest_kept(); }

 private:
  std::shared_ptr<const Policy> policy_;
  std::int64_t n_most_;
  std::atomic<bool>& flag_;
  mutable std::atomic<bool> was_raised_ = false;
};

TEST(ConversationTest, StoppingWithinAMessageLeavesAllOfItInTheChat) {
  std::string message = "Remember:";
  for (int i = 0; i < 60; ++i) message += " wave " + std::to_string(i) + ",";
  std::atomic<bool> cancel = false;
  Conversation chat = make_conversation(
      std::make_shared<const InterruptingPolicy>("sink_recent:16:112", 150, cancel), &cancel);

  EXPECT_EQ(chat.answer(message, [](std::string_view) { FAIL() << "an answer"; }), AnswerEnd::kStopped);
  const auto n_seen = static_cast<std::int64_t>(chat.seen().size());
  EXPECT_GT(n_seen, 150);
  EXPECT_EQ(chat.session().stats().n_tokens_seen, n_seen);
  EXPECT_EQ(chat.n_turns(), 1);

  EXPECT_EQ(chat.answer("Not this.", [](std::string_view) {}), AnswerEnd::kStopped);  // not cleared
  EXPECT_EQ(static_cast<std::int64_t>(chat.seen().size()), n_seen);

  cancel = false;
  const ChatTemplate turns(chat.session().model(), kSystem);
  std::vector<Token> expected = turns.first_turn(message);
  ASSERT_GT(static_cast<std::int64_t>(expected.size()), n_seen);
  const std::vector<Token> second = turns.next_turn("Go on.");
  expected.insert(expected.end(), second.begin(), second.end());
  EXPECT_FALSE(say(chat, "Go on.").empty());
  ASSERT_GT(chat.seen().size(), expected.size());
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), chat.seen().begin()));
  EXPECT_EQ(chat.session().stats().n_tokens_seen, static_cast<std::int64_t>(chat.seen().size()));
  EXPECT_EQ(chat.n_turns(), 2);
}

TEST(ConversationTest, RefusesATextThatIsNotUtf8AndGoesOn) {
  Conversation chat = make_conversation("sink_recent:16:112");
  EXPECT_THROW(say(chat, "caf\xE9"), Error);
  EXPECT_TRUE(chat.seen().empty());
  EXPECT_FALSE(say(chat, "Good morning.").empty());
  chat.reset();
  EXPECT_EQ(chat.session().stats().n_tokens_held, 0);
  EXPECT_FALSE(say(chat, "Good evening.").empty());
}

}  // namespace
}  // namespace kvevict
