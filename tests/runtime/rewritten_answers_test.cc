// Templates that write earlier answers in another way than the model gave them.
#include <gtest/gtest.h>

#include "runtime/message_lists.h"
#include "support/program.h"

namespace kvevict::test {
namespace {

// The thoughts of an answer are opened where it begins, and left out of the history.
constexpr const char* kThinking =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content.split('</think>')[-1].lstrip() }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\nHm.\n</think>\n\n{% endif %}";

constexpr const char* kTrimming =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

ConversationOptions with_template(const char* source) {
  ConversationOptions options = options_for();
  options.prompt_template.source = source;
  return options;
}

TEST(RewrittenAnswersTest, ATemplateThatDropsThoughtsIsFollowed) {
  if (!reads_jinja()) GTEST_SKIP();
  for (const char* strategy : {"full", "sink_recent:16:64"}) {
    Conversation chat = make_chat(strategy, with_template(kThinking));
    Messages messages = opening();
    std::int64_t n_decoded = 0;
    for (int turn = 0; turn < 5; ++turn) {
      const auto n_before = static_cast<std::int64_t>(chat.seen().size());
      const MessagesAnswer result =
          take_turn(chat, messages, "Describe wave " + std::to_string(turn) + ", please, in a few words.");
      const Messages asked(messages.begin(), messages.end() - 1);
      EXPECT_TRUE(text_seen(chat).starts_with(prompt_of(asked, {.source = kThinking}))) << text_seen(chat);
      n_decoded += static_cast<std::int64_t>(chat.seen().size()) - result.n_cached;
      EXPECT_EQ(chat.stats().n_decoded_tokens, n_decoded);
      if (turn == 0) continue;
      EXPECT_GT(result.n_cached, n_before - 40)
          << strategy << turn;  // the thoughts and the answer behind them
      EXPECT_LT(result.n_cached, n_before);
    }
  }
}

TEST(RewrittenAnswersTest, ThoughtsOfTheModelLeaveTheHistory) {
  if (!reads_jinja()) GTEST_SKIP();
  ConversationOptions options = with_template(kTrimming);
  options.prompt_template.source.replace(options.prompt_template.source.find("m.content"), 9,
                                         "m.content.split('</think>')[-1]");
  options.grammar = "root ::= \"<think>\" [a-z]{4,8} \"</think>\" [a-z]{4,8}";
  options.max_new_tokens = 40;
  Conversation dropped = make_chat("sink_recent:16:64", options);
  options.keep_reasoning = true;
  Conversation kept = make_chat("sink_recent:16:64", options);
  for (int turn = 0; turn < 4; ++turn) {
    const std::string message = "Describe wave " + std::to_string(turn) + ", please, in a few words.";
    for (Conversation* const chat : {&dropped, &kept}) {
      std::string text;
      EXPECT_EQ(chat->answer(message, [&](std::string_view piece) { text += piece; }), AnswerEnd::kByModel);
      EXPECT_TRUE(text.starts_with("<think>")) << text;
    }
  }
  const auto count_thoughts = [](const std::string& text) {
    int n = 0;
    for (std::size_t at = text.find("<think>"); at != std::string::npos; at = text.find("<think>", at + 1))
      ++n;
    return n;
  };
  EXPECT_EQ(count_thoughts(text_seen(dropped)), 1);
  EXPECT_EQ(count_thoughts(text_seen(kept)), 4);
  EXPECT_GT(dropped.stats().n_decoded_tokens, static_cast<std::int64_t>(dropped.seen().size()));
  EXPECT_EQ(kept.stats().n_decoded_tokens, static_cast<std::int64_t>(kept.seen().size()));
}

TEST(RewrittenAnswersTest, SingleMessagesFollowATemplateThatDropsThoughts) {
  if (!reads_jinja()) GTEST_SKIP();
  const std::string file = make_work_folder() + "/chat.kvevict";
  Conversation chat = make_chat("sink_recent:16:64", with_template(kThinking));
  Messages messages;
  for (int turn = 0; turn < 5; ++turn) {
    if (turn == 3) {
      chat.save(file);
      EXPECT_GT(chat.stats().n_evictions, 0);
      chat = make_chat("sink_recent:16:64", with_template(kThinking));
      chat.load(file);
    }
    messages.push_back({"user", "Describe wave " + std::to_string(turn) + "."});
    messages.push_back({"assistant", ""});
    chat.answer(messages[messages.size() - 2].content,
                [&](std::string_view text) { messages.back().content += text; });
    const Messages asked(messages.begin(), messages.end() - 1);
    EXPECT_TRUE(text_seen(chat).starts_with(prompt_of(asked, {.source = kThinking}))) << text_seen(chat);
    EXPECT_EQ(chat.n_turns(), turn + 1);
  }
}

TEST(RewrittenAnswersTest, ThoughtsAreKeptIfTheyShall) {
  if (!reads_jinja()) GTEST_SKIP();
  ConversationOptions options = with_template(kThinking);
  options.keep_reasoning = true;
  Conversation chat = make_chat("sink_recent:16:64", options),
               single = make_chat("sink_recent:16:64", options);
  Messages messages;
  for (int turn = 0; turn < 5; ++turn) {
    const auto n_before = static_cast<std::int64_t>(chat.seen().size());
    const std::string message = "Describe wave " + std::to_string(turn) + ".";
    const MessagesAnswer result = take_turn(chat, messages, message);
    EXPECT_EQ(result.n_cached, n_before);
    EXPECT_EQ(chat.session().stats().n_decoded_tokens, static_cast<std::int64_t>(chat.seen().size()));
    std::string text;
    single.answer(message, [&](std::string_view piece) { text += piece; });
    EXPECT_EQ(result.text, text);
    messages.back().content = "<think>left out</think>" + messages.back().content + "\n";
  }
  EXPECT_EQ(chat.seen(), single.seen());

  messages.pop_back();  // back to the last message, with the thoughts before it
  messages.back().content = "Describe wave 44.";
  const MessagesAnswer edited = answer(chat, messages);
  EXPECT_GT(edited.n_cached, 0);
  const std::string seen = text_seen(chat);
  EXPECT_NE(seen.find("Hm."), seen.rfind("Hm."));
}

TEST(RewrittenAnswersTest, AnswersThatATemplateTrimsAreDecodedAgain) {
  if (!reads_jinja()) GTEST_SKIP();
  Conversation chat = make_chat("sink_recent:16:64", with_template(kTrimming));
  Messages messages = opening();
  int n_trimmed = 0;
  for (int turn = 0; turn < 5; ++turn) {
    const auto n_before = static_cast<std::int64_t>(chat.seen().size());
    const bool begins_with_a_space = messages.back().content.starts_with(' ');
    const MessagesAnswer result =
        take_turn(chat, messages, "Describe wave " + std::to_string(turn) + ", please, in a few words.");
    const Messages asked(messages.begin(), messages.end() - 1);
    EXPECT_TRUE(text_seen(chat).starts_with(prompt_of(asked, {.source = kTrimming}))) << text_seen(chat);
    if (turn == 0) continue;
    EXPECT_EQ(result.n_cached < n_before, begins_with_a_space) << messages[messages.size() - 3].content;
    n_trimmed += begins_with_a_space ? 1 : 0;
  }
  EXPECT_GT(n_trimmed, 0);
}

}  // namespace
}  // namespace kvevict::test
