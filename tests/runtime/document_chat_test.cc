// Conversations about a document.
#include <gtest/gtest.h>

#include "kvevict/document.h"
#include "kvevict/error.h"
#include "runtime/document_policy.h"
#include "runtime/message_lists.h"
#include "support/program.h"
#include "support/texts.h"

namespace kvevict::test {
namespace {

constexpr const char* kPolicy = "sink_recent_uniform:16:48:64:block=16";
constexpr std::int64_t kTurnTokens = 64;

// Earlier thoughts leave the history, so that every turn goes by the whole list of messages.
constexpr const char* kThinking =
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ m.content.split('</think>')[-1].lstrip() }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\nHm.\n</think>\n\n{% endif %}";

Document make_document(const char* policy = kPolicy, const TemplateOptions& prompt_template = {},
                       std::shared_ptr<const Model> model = load_model(shallow_f32_model_path())) {
  SessionOptions options = options_for().session;
  options.n_threads = 1;
  return {
      std::move(model), make_policy(policy), long_text(1600),
      DocumentOptions{
          .is_chat = true, .system = "Be brief.", .prompt_template = prompt_template, .session = options}};
}

std::string say(Conversation& chat, const std::string& message) {
  std::string text;
  chat.answer(message, [&](std::string_view piece) { text += piece; });
  return text;
}

std::string message_of(int turn) {
  return "Tell me about part number " + std::to_string(turn) + " of this text, in a few words.";
}

KeepPlan held_of_document(const Conversation& chat, const Document& document) {
  return chat.session().held_by_layer().intersect(KeepPlan(KeepSet::all(document.report().n_tokens)));
}

TEST(DocumentChatTest, TheDocumentStaysAndTurnsGo) {
  for (const char* policy : {kPolicy, "ladder:4:60:64:span=2"}) {
    Document document = make_document(policy);
    Conversation chat(document, kTurnTokens, options_for());
    std::int64_t n_most = 0;
    for (int turn = 0; turn < 6; ++turn) {
      say(chat, message_of(turn));
      EXPECT_EQ(held_of_document(chat, document), document.session().held_by_layer()) << policy << turn;
      n_most = std::max(n_most, chat.stats().n_tokens_held);
    }
    EXPECT_GT(chat.stats().n_evictions, document.report().stats.n_evictions);
    EXPECT_LE(n_most, document.report().n_kept + kTurnTokens + 64);  // and a chunk
    EXPECT_EQ(chat.n_turns(), 6);
  }
}

TEST(DocumentChatTest, TheFirstTurnIsTheQuestionThatADocumentIsAsked) {
  Document document = make_document();
  const std::string answer = document.ask(message_of(1), {.max_new_tokens = 12}).generation.text;
  Conversation chat(document, kTurnTokens, options_for());
  EXPECT_EQ(say(chat, message_of(1)), answer);
  EXPECT_EQ(document.ask(message_of(1), {.max_new_tokens = 12}).generation.text, answer);
  EXPECT_NE(text_seen(chat).find(message_of(1) + "<|im_end|>"), std::string::npos);
}

TEST(DocumentChatTest, ResetGoesBackToTheDocument) {
  Document document = make_document();
  Conversation chat(document, kTurnTokens, options_for());
  const std::string answer = say(chat, message_of(0));
  for (int turn = 1; turn < 5; ++turn) say(chat, message_of(turn));
  chat.reset();
  EXPECT_EQ(chat.n_turns(), 0);
  EXPECT_EQ(chat.session().held_by_layer(), document.session().held_by_layer());
  EXPECT_EQ(say(chat, message_of(0)), answer);
}

TEST(DocumentChatTest, SavedAndLoadedItGoesOnAndStillHasItsDocument) {
  const std::string file = make_work_folder() + "/chat.kvevict";
  Document document = make_document();
  Conversation chat(document, kTurnTokens, options_for());
  const std::string first = say(chat, message_of(0));
  say(chat, message_of(1));
  chat.save(file);
  Conversation loaded = make_chat("sink_recent:16:64");
  loaded.load(file);
  for (int turn = 2; turn < 6; ++turn) EXPECT_EQ(say(loaded, message_of(turn)), say(chat, message_of(turn)));
  EXPECT_EQ(held_of_document(loaded, document), document.session().held_by_layer());
  loaded.reset();
  EXPECT_EQ(say(loaded, message_of(0)), first);

  Conversation plain = make_chat("sink_recent:16:64");
  say(plain, "Hello.");
  plain.save(file);
  loaded.load(file);  // and no document any more
  loaded.reset();
  EXPECT_EQ(loaded.session().stats().n_tokens_held, 0);
}

TEST(DocumentChatTest, WholeListsGoOnBehindTheDocument) {
  Document document = make_document();
  Conversation turns(document, kTurnTokens, options_for());
  Conversation lists(document, kTurnTokens, options_for());
  Messages messages = {{"system", "Be brief."}};
  for (int turn = 0; turn < 4; ++turn) {
    const std::string answer = say(turns, message_of(turn));
    EXPECT_EQ(take_turn(lists, messages, message_of(turn)).text, answer) << turn;
  }
  // An earlier message is changed: back to the document, which is not read again.
  const std::int64_t n_document = document.report().n_tokens;
  const MessagesAnswer other = answer(lists, {{"user", "Another question, about the end?"}});
  EXPECT_GE(other.n_cached, n_document);
  EXPECT_LT(other.n_new, 60);
  EXPECT_EQ(held_of_document(lists, document), document.session().held_by_layer());
  turns.reset();
  EXPECT_EQ(say(turns, "Another question, about the end?"), other.text);
}

TEST(DocumentChatTest, ATemplateThatRewritesAnswersNeverLosesTheDocument) {
  if (!reads_jinja()) GTEST_SKIP();
  Document document = make_document(kPolicy, {.source = kThinking});
  ConversationOptions options = options_for();
  options.prompt_template.source = kThinking;
  for (const int n_snapshots : {0, 2}) {
    options.n_snapshots = n_snapshots;
    Conversation chat(document, kTurnTokens, options);
    for (int turn = 0; turn < 5; ++turn) {
      say(chat, message_of(turn));
      EXPECT_EQ(held_of_document(chat, document), document.session().held_by_layer()) << turn;
    }
    EXPECT_EQ(text_seen(chat).find("Hm.", 0), text_seen(chat).rfind("Hm."));
  }
}

TEST(DocumentChatTest, AModelThatKeepsAStateGoesBackByACopyOfTheDocument) {
  const auto model = load_model(talking_hybrid_model_path());
  std::string text;
  for (int i = 0; i < 40; ++i) text += i % 3 == 0 ? "hello there " : "and again ";
  Document document(model, make_policy("sink_recent:8:56"), text,
                    DocumentOptions{.is_chat = true, .session = options_for().session});
  Conversation chat(document, kTurnTokens, options_for());
  const std::string first = say(chat, "hello there");
  say(chat, "and again");
  chat.reset();
  EXPECT_EQ(say(chat, "hello there"), first);
  const std::string file = make_work_folder() + "/chat.kvevict";
  chat.save(file);
  chat.load(file);
  EXPECT_THROW(chat.reset(), Error);  // the file has no copy
  EXPECT_EQ(chat.n_turns(), 1);
  EXPECT_FALSE(say(chat, "and again").empty());
}

TEST(DocumentChatTest, WhatDoesNotFitTheDocumentIsRefused) {
  Document document = make_document();
  ConversationOptions options = options_for();
  options.system = "Be long.";
  EXPECT_THROW(Conversation(document, kTurnTokens, options), Error);
  EXPECT_THROW(Conversation(document, 0, options_for()), Error);
  EXPECT_THROW(Conversation(document, kMaxTokens, options_for()), Error);
  Document text(load_model(shallow_f32_model_path()), make_policy(kPolicy), "A text.", {});
  EXPECT_THROW(Conversation(text, kTurnTokens, options_for()), Error);
}

TEST(DocumentPolicyTest, KeepsTheDocumentAndAWindowBehindIt) {
  const KeepPlan kept(KeepSet::from_ranges({{0, 4}, {90, 100}}));
  const auto policy = make_document_policy(kept, 100, 8);
  PolicyState state{.schedule = Schedule::kStreaming, .n_layers = 2};
  EXPECT_EQ(policy->plan(100, state), kept);
  EXPECT_EQ(to_text(policy->plan(105, state)), "0-4,90-105");
  EXPECT_EQ(to_text(policy->plan(200, state)), "0-4,90-100,192-200");
  EXPECT_EQ(policy->budget_tokens(state), 22);
  EXPECT_EQ(to_string(policy->spec()), "sink_recent:14:8");
  EXPECT_EQ(policy->versioned_name(), make_policy("sink_recent:14:8")->versioned_name());
}

}  // namespace
}  // namespace kvevict::test
