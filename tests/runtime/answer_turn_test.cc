// A turn in steps, and conversations in a pool: as each alone, at once.
#include "runtime/answer_turn.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "kvevict/session_pool.h"
#include "runtime/message_lists.h"
#include "support/work_folder.h"

namespace kvevict::test {
namespace {

void ignore(std::string_view) {}

AnswerOptions form_of(std::int64_t n_tokens = 12) {
  return {.max_new_tokens = n_tokens};
}

std::shared_ptr<SessionPool> make_pool(int n_sessions, std::int64_t n_cells = 256) {
  return std::make_shared<SessionPool>(load_model(shallow_f32_model_path()), options_for().session,
                                       PoolSize{.n_sessions = n_sessions, .n_cells = n_cells});
}

Conversation make_pooled(const std::shared_ptr<SessionPool>& pool, const std::string& strategy) {
  ConversationOptions options = options_for();
  options.pool = pool;
  return make_chat(strategy, options);
}

void expect_alike(const Conversation& a, const Conversation& b) {
  EXPECT_EQ(a.seen(), b.seen());
  EXPECT_EQ(a.session().held_by_layer(), b.session().held_by_layer());
  EXPECT_EQ(a.n_turns(), b.n_turns());
}

TEST(AnswerTurnTest, InStepsItIsTheSameAnswer) {
  Conversation chat = make_chat("sink_recent:16:64"), other = make_chat("sink_recent:16:64");
  Messages messages = opening();
  for (int i = 0; i < 4; ++i) {
    messages.push_back({"user", "Tell me about storm number " + std::to_string(i) + " of that winter."});
    std::string text;
    AnswerTurn turn(chat, messages, form_of(), [&](std::string_view piece) { text += piece; });
    std::int64_t n_left = turn.n_to_take_in();
    while (n_left > 0) {
      turn.take_in();
      EXPECT_GE(turn.n_to_take_in(), n_left - 64);
      EXPECT_LT(turn.n_to_take_in(), n_left);
      n_left = turn.n_to_take_in();
    }
    int n_steps = 0;
    while (const auto token = turn.draw()) {
      Session::append_each({&*token, 1});
      n_steps += 1;
    }
    const MessagesAnswer result = turn.finish(), wanted = answer(other, messages);
    EXPECT_EQ(result.text, wanted.text);
    EXPECT_EQ(result.text, text);
    EXPECT_EQ(result.end, wanted.end);
    EXPECT_EQ(result.n_made, wanted.n_made);
    EXPECT_EQ(result.n_cached, wanted.n_cached);
    EXPECT_EQ(result.n_new, wanted.n_new);
    EXPECT_LE(n_steps, 11);
    expect_alike(chat, other);
    messages.push_back({"assistant", result.text});
  }
}

TEST(AnswerTurnTest, OfAMessageItIsTheConversationsOwnAnswer) {
  Conversation chat = make_chat("sink_recent:16:64"), other = make_chat("sink_recent:16:64");
  for (const std::string message : {"Who lit the lamp?", "And who put it out?", "Why?"}) {
    std::string text, wanted;
    AnswerTurn turn(chat, message, form_of(), [&](std::string_view piece) { text += piece; });
    while (turn.n_to_take_in() > 0) turn.take_in();
    while (const auto token = turn.draw()) Session::append_each({&*token, 1});
    const MessagesAnswer result = turn.finish();
    EXPECT_EQ(std::ssize(turn.made()), result.n_made);
    EXPECT_EQ(result.end, other.answer(message, [&](std::string_view piece) { wanted += piece; }));
    EXPECT_EQ(text, wanted);
    expect_alike(chat, other);
  }
  EXPECT_THROW(AnswerTurn(chat, std::string_view("\xFF"), form_of(), ignore), Error);
  AnswerOptions form = form_of();
  form.grammar = "root ::= (";
  EXPECT_THROW(AnswerTurn(chat, std::string_view("Why?"), form, ignore), Error);
  expect_alike(chat, other);
}

TEST(AnswerTurnTest, WhereverItIsLeftTheConversationGoesOn) {
  Messages messages = opening();
  messages.push_back({"user",
                      "Tell me about the storms of that winter, one after the other, and about each "
                      "ship that passed by, and who was on board, and what they brought along, and "
                      "where they were bound for, and how the weather was in the days behind it."});
  Conversation whole = make_chat("sink_recent:16:64");
  const std::string wanted = answer(whole, messages).text;
  for (int n_steps = 0; n_steps < 9; ++n_steps) {
    SCOPED_TRACE(n_steps);
    Conversation chat = make_chat("sink_recent:16:64");
    {
      AnswerTurn turn(chat, messages, form_of(), ignore);
      for (int i = 0; i < n_steps; ++i) {
        if (turn.n_to_take_in() > 0) {
          turn.take_in();
        } else if (const auto token = turn.draw()) {
          if (i + 1 < n_steps) Session::append_each({&*token, 1});  // the last one waits
        }
      }
    }
    EXPECT_EQ(answer(chat, messages).text, wanted);
    EXPECT_EQ(chat.n_turns(), 1);
  }
}

TEST(AnswerTurnTest, WhatItsCallbackThrowsComesOutAndLeavesTheConversationUsable) {
  Conversation chat = make_chat("full");
  Messages messages = opening();
  messages.push_back({"user", "Good morning."});
  AnswerTurn turn(chat, messages, form_of(), [](std::string_view) { throw std::runtime_error("stop"); });
  while (turn.n_to_take_in() > 0) turn.take_in();
  EXPECT_THROW((void)turn.draw(), std::runtime_error);
  EXPECT_FALSE(turn.draw());
  EXPECT_EQ(turn.finish().end, AnswerEnd::kStopped);
  Conversation fresh = make_chat("full");
  EXPECT_EQ(answer(chat, messages).text, answer(fresh, messages).text);
}

/// Four talks in one batch, one of which takes in a message while the others answer; with steps back to a
/// copy, to the beginning and within what is held. What each says alone decides: at f32, other sums in their
/// last bits, and no two best tokens that near to each other.
TEST(PooledConversationTest, TalksInOneBatchAreThoseOfEachAlone) {
  const auto pool = make_pool(4);
  const std::vector<std::string> strategies = {"sink_recent:16:64", "streaming_llm:8:60", "keydiff:16:32:32",
                                               "sink_recent:4:100"};
  std::vector<Conversation> chats, alone;
  std::vector<Messages> said(4, opening());
  for (const std::string& strategy : strategies) {
    chats.push_back(make_pooled(pool, strategy));
    alone.push_back(make_chat(strategy));
  }
  EXPECT_EQ(pool->n_open(), 4);
  for (int turn = 0; turn < 7; ++turn) {
    std::vector<std::unique_ptr<AnswerTurn>> turns;
    for (std::size_t i = 0; i < 4; ++i) {
      Messages& messages = said[i];
      if (turn == 4) messages.pop_back();                  // the answer is made again
      if (turn == 6) messages.resize(i % 2 == 0 ? 1 : 4);  // far back
      if (turn != 4)
        messages.push_back({"user", "Tell me about storm " + std::to_string(10 * turn) + " of winter " +
                                        std::to_string(i) + "."});
      turns.push_back(
          std::make_unique<AnswerTurn>(chats[i], messages, form_of(6 + 2 * std::ssize(turns)), ignore));
    }
    for (bool goes_on = true; goes_on;) {
      std::vector<SessionTokens> batch;
      goes_on = false;
      for (const auto& one : turns) {
        if (one->n_to_take_in() > 0) {
          one->take_in();
          goes_on = true;
        } else if (const auto token = one->draw()) {
          batch.push_back(*token);
        }
      }
      if (!batch.empty()) Session::append_each(batch);
      goes_on = goes_on || !batch.empty();
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const MessagesAnswer result = turns[i]->finish();
      const MessagesAnswer wanted =
          alone[i].answer_messages(said[i], form_of(6 + 2 * static_cast<std::int64_t>(i)), ignore);
      EXPECT_EQ(result.text, wanted.text) << turn << " " << i;
      EXPECT_EQ(result.n_cached, wanted.n_cached) << turn << " " << i;
      expect_alike(chats[i], alone[i]);
      said[i].push_back({"assistant", result.text});
    }
    EXPECT_EQ(pool->n_open(), 4);
  }
  chats.clear();
  EXPECT_EQ(pool->n_open(), 0);
}

TEST(PooledConversationTest, SavedOnesComeBackIntoThePoolAndOutOfIt) {
  const auto pool = make_pool(1);
  const std::string file = make_work_folder() + "/talk.kv";
  Messages messages;
  {
    Conversation chat = make_pooled(pool, "sink_recent:16:64");
    messages = talk(chat, 4);
    chat.save(file);
  }
  Messages pooled = messages, alone = messages;
  Conversation own = make_chat("sink_recent:16:64");
  own.load(file);
  Conversation chat = make_pooled(pool, "sink_recent:16:64");
  chat.load(file);
  EXPECT_EQ(pool->n_open(), 1);
  EXPECT_EQ(chat.session().stats().n_cells, 256);
  EXPECT_EQ(take_turn(chat, pooled, "And then?").text, take_turn(own, alone, "And then?").text);
  expect_alike(chat, own);
  EXPECT_GT(chat.session().stats().n_evictions, 0);

  const std::vector<Token> seen = chat.seen();
  EXPECT_THROW(chat.load(make_work_folder() + "/no_such"), Error);
  EXPECT_EQ(chat.seen(), seen);
  EXPECT_EQ(pool->n_open(), 1);
  EXPECT_EQ(take_turn(chat, pooled, "And now?").text, take_turn(own, alone, "And now?").text);
  chat.reset();
  own.reset();
  Messages anew = opening(), other = opening();
  EXPECT_EQ(take_turn(chat, anew, "Who is there?").text, take_turn(own, other, "Who is there?").text);
  EXPECT_THROW(make_pooled(pool, "full"), Error) << "there is one place";
}

}  // namespace
}  // namespace kvevict::test
