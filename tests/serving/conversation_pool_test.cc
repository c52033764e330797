// Live conversations of a real model.
#include "serving/conversation_pool.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "kvevict/prompt_template.h"
#include "serving/small_pools.h"

namespace kvevict::serving {
namespace {

TEST(ConversationPoolTest, DecodesWhatIsNewAndTakesInAgainWhatWasForgotten) {
  ConversationPool pool(options_for(1));
  ChatRequest request{.messages = {{"user", "Tell me of the sea."}}};
  const ChatResult first = ask(pool, request);
  EXPECT_EQ(first.answer.n_cached, 0);
  request.messages.push_back({"assistant", first.answer.text});
  request.messages.push_back({"user", "And of the wind."});
  const ChatResult second = ask(pool, request);
  EXPECT_GT(second.answer.n_cached, first.answer.n_new);
  EXPECT_EQ(second.conversation.id, first.conversation.id);

  ask(pool, {.messages = {{"user", "Somebody else."}}});
  EXPECT_EQ(pool.list(std::nullopt).size(), 1U);
  const ChatResult again = ask(pool, request);
  EXPECT_EQ(again.answer.n_cached, 0);
  EXPECT_EQ(again.answer.n_new, second.answer.n_cached + second.answer.n_new);
}

TEST(ConversationPoolTest, EachAnswerTellsWhatWasEvictedForIt) {
  ConversationPool pool(options_for(1));
  ChatRequest request;
  std::int64_t n_evicted = 0;
  for (int turn = 0; turn < 8; ++turn) {
    request.messages.push_back({"user", "Tell me about storm " + std::to_string(turn) + " of that winter."});
    const ChatResult result = ask(pool, request);
    EXPECT_GE(result.n_evicted, 0) << turn;
    n_evicted += result.n_evicted;
    EXPECT_EQ(n_evicted, result.conversation.n_evicted) << turn;
    request.messages.push_back({"assistant", result.answer.text});
  }
  EXPECT_GT(n_evicted, 0);
  request.messages.resize(1);  // set back, which is no eviction
  const ChatResult again = ask(pool, request);
  EXPECT_EQ(again.n_evicted, 0);
  EXPECT_LT(again.conversation.n_evicted, n_evicted);

  const std::vector<Token> text(300, 5);
  const ChatResult of_text = ask(pool, {.text = TextPrompt{.tokens = text}});
  EXPECT_EQ(of_text.n_evicted, of_text.conversation.n_evicted);
  EXPECT_GT(of_text.n_evicted, 0);
}

TEST(ConversationPoolTest, ShowsWhatIsKeptToItsOwnerAlone) {
  ConversationPool pool(options_for(2));
  std::string long_text;
  for (int i = 0; i < 60; ++i) long_text += "Wave " + std::to_string(i) + " came in. ";
  ask(pool, {.owner = "a", .conversation = "sea", .messages = {{"user", long_text}}});
  EXPECT_FALSE(pool.view("b", "sea"));
  EXPECT_TRUE(pool.list("b").empty());
  EXPECT_EQ(pool.forget("b", "sea"), ConversationPool::Forgotten::kUnknown);
  const auto view = pool.view("a", "sea");
  ASSERT_TRUE(view);
  EXPECT_GT(view->figures.n_evicted, 0);
  EXPECT_NE(view->text.find("[-"), std::string::npos) << view->text;
  std::int64_t n_kept = 0;
  for (const TokenRange& range : view->kept) n_kept += range.count();
  EXPECT_EQ(n_kept, view->figures.n_kept);
  EXPECT_EQ(pool.forget("a", "sea"), ConversationPool::Forgotten::kYes);
  EXPECT_FALSE(pool.view("a", "sea"));
}

TEST(ConversationPoolTest, AStoppedAnswerLeavesItsConversationUsable) {
  ConversationPool pool(options_for(2));
  ChatRequest request{.conversation = "sea", .messages = {{"user", "Tell me of the sea."}}};
  const auto answer = pool.begin(request, [](std::string_view) {});
  while (answer->n_prompt_left() > 0) answer->take_in();
  RunningAnswer* const drawn = answer.get();
  ASSERT_TRUE(answer->draw());
  ASSERT_FALSE(pool.append({&drawn, 1}).front());
  EXPECT_FALSE(pool.begin(request, [](std::string_view) {})) << "it is being answered";
  const ChatResult stopped = answer->finish();
  EXPECT_EQ(stopped.answer.end, AnswerEnd::kStopped);
  EXPECT_EQ(stopped.answer.n_made, 1);
  EXPECT_EQ(ask(pool, request).answer.n_made, 8);
}

TEST(ConversationPoolTest, AnAnswerThatIsLeftGivesItsConversationBack) {
  ConversationPool pool(options_for(1));
  const ChatRequest request{.messages = {{"user", "Tell me of the sea."}}};
  (void)pool.begin(request, [](std::string_view) {});
  EXPECT_TRUE(pool.list(std::nullopt).empty());
  EXPECT_EQ(ask(pool, request).answer.n_made, 8);
}

/// What each would say alone, at f32: in one batch the sums are others, and no argmax of these is near to
/// another.
TEST(ConversationPoolTest, AnswersOfOneBatchAreThoseOfEachAlone) {
  const auto exact = [](std::size_t n_live, std::int64_t n_cells) {
    PoolOptions options = options_for(n_live, test::shallow_f32_model_path());
    SessionOptions session{.flash_attention = FlashAttention::kOff,
                           .type_k = KvType::kF32,
                           .type_v = KvType::kF32,
                           .n_chunk = 64,
                           .prefill = PrefillMode::kBounded};
    options.run_for = [model = options.model, session](const std::string& strategy, const std::string&) {
      return ModelRun{model, make_policy(strategy.empty() ? "sink_recent:16:64" : strategy), session};
    };
    options.places = {.session = session, .n_cells = n_cells};
    return options;
  };
  constexpr int kTalks = 4, kTurns = 4;
  ConversationPool pool(exact(kTalks, 256)), alone(exact(1, 0));
  ASSERT_NE(pool.places().pool(), nullptr);
  EXPECT_EQ(alone.places().pool(), nullptr);
  std::vector<std::vector<ChatMessage>> said(kTalks);
  std::vector<std::vector<std::string>> texts(kTalks);
  for (int turn = 0; turn < kTurns; ++turn) {
    std::vector<std::unique_ptr<RunningAnswer>> answers;
    for (int talk = 0; talk < kTalks; ++talk) {
      auto& messages = said[static_cast<std::size_t>(talk)];
      messages.push_back(
          {"user", "Tell me about wave " + std::to_string(10 * turn + talk) + " of that storm."});
      ChatRequest request{.conversation = "talk " + std::to_string(talk), .messages = messages};
      if (talk == 3) request.strategy = "streaming_llm:4:60";
      request.form.max_new_tokens = 10 + talk;
      answers.push_back(pool.begin(request, [](std::string_view) {}));
    }
    const std::vector<ChatResult> results = test::run_all(pool, std::move(answers));
    for (int talk = 0; talk < kTalks; ++talk) {
      const auto i = static_cast<std::size_t>(talk);
      texts[i].push_back(results[i].answer.text);
      said[i].push_back({"assistant", results[i].answer.text});
      EXPECT_EQ(results[i].conversation.n_cells, 256);
    }
  }
  EXPECT_EQ(pool.places().pool()->n_open(), kTalks);
  for (int talk = 0; talk < kTalks; ++talk) {
    const auto i = static_cast<std::size_t>(talk);
    std::vector<ChatMessage> messages;
    ConversationPool one(exact(1, 0));
    for (int turn = 0; turn < kTurns; ++turn) {
      messages.push_back(said[i][static_cast<std::size_t>(2 * turn)]);
      ChatRequest request{.conversation = "talk", .messages = messages};
      if (talk == 3) request.strategy = "streaming_llm:4:60";
      request.form.max_new_tokens = 10 + talk;
      std::vector<std::unique_ptr<RunningAnswer>> answers;
      answers.push_back(one.begin(request, [](std::string_view) {}));
      const ChatResult result = test::run_all(one, std::move(answers)).front();
      EXPECT_EQ(result.answer.text, texts[i][static_cast<std::size_t>(turn)]) << talk << " " << turn;
      messages.push_back({"assistant", result.answer.text});
    }
  }
}

TEST(ConversationPoolTest, WhatCannotBeInThePoolHasAContextOfItsOwnUnlessThereIsALimit) {
  PoolOptions options = options_for(3);
  ConversationPool pool(options);
  const auto ask_by = [&](const std::string& name, const std::string& strategy) {
    return ask(pool,
               {.conversation = name, .strategy = strategy, .messages = {{"user", "Tell me of the sea."}}});
  };
  EXPECT_EQ(ask_by("in", "").answer.n_made, 8);
  EXPECT_EQ(ask_by("attention", "h2o:4:40:20").answer.n_made, 8);
  EXPECT_EQ(ask_by("larger", "sink_recent:16:300").answer.n_made, 8);
  EXPECT_EQ(pool.places().pool()->n_open(), 1);
  options.places.is_limited = true;
  const ConversationPool limited(options);
  EXPECT_THROW(limited.check({.strategy = "h2o:4:40:20", .messages = {{"user", "hello"}}}), Error);
  EXPECT_NO_THROW(limited.check({.strategy = "sink_recent:16:100", .messages = {{"user", "hello"}}}));
}

TEST(ConversationPoolTest, WhatIsForgottenLeavesItsPlaceToTheNext) {
  ConversationPool pool(options_for(1));
  ask(pool, {.conversation = "sea", .messages = {{"user", "Tell me of the sea."}}});
  EXPECT_EQ(pool.forget("", "sea"), ConversationPool::Forgotten::kYes);
  ask(pool, {.conversation = "wind", .messages = {{"user", "Tell me of the wind."}}});
  EXPECT_EQ(pool.places().pool()->n_open(), 1);
  EXPECT_EQ(pool.list(std::nullopt).size(), 1U);
}

TEST(ConversationPoolTest, AnAnswerThatOutgrowsItsPlaceEndsAlone) {
  PoolOptions options = options_for(2);
  options.places.is_limited = true;
  ConversationPool pool(options);
  std::vector<std::unique_ptr<RunningAnswer>> answers;
  for (const char* strategy : {"full", ""}) {
    ChatRequest request{.strategy = strategy, .messages = {{"user", "Tell me of the sea."}}};
    request.form.max_new_tokens = 300;
    request.form.sampling.ignores_end = true;
    answers.push_back(pool.begin(request, [](std::string_view) {}));
    while (answers.back()->n_prompt_left() > 0) answers.back()->take_in();
  }
  std::optional<Error> error;
  while (!error) {
    RunningAnswer* const both[] = {answers[0].get(), answers[1].get()};
    for (RunningAnswer* const one : both) ASSERT_TRUE(one->draw());
    const auto errors = pool.append(both);
    error = errors[0];
    ASSERT_FALSE(errors[1]);
  }
  EXPECT_EQ(error->code(), ErrorCode::kInvalidArgument);
  answers.erase(answers.begin());
  EXPECT_EQ(test::run_all(pool, std::move(answers)).front().answer.n_made, 300);
}

TEST(ConversationPoolTest, TheServersSystemPromptComesFirstUnlessThereIsOne) {
  PoolOptions options = options_for(1);
  options.system = "Be brief.";
  const ConversationPool pool(std::move(options));
  EXPECT_NE(pool.prompt({{"user", "hello"}}).find("Be brief."), std::string::npos);
  const std::string own = pool.prompt({{"system", "Be long."}, {"user", "hello"}});
  EXPECT_EQ(own.find("Be brief."), std::string::npos) << own;
  EXPECT_NE(own.find("Be long."), std::string::npos) << own;
}

TEST(ConversationPoolTest, RefusesBeforeAnythingIsDecoded) {
  ConversationPool pool(options_for(1));
  const std::vector<ChatMessage> messages = {{"user", "hello"}};
  const auto code_of = [&](const ChatRequest& request) {
    try {
      pool.check(request);
    } catch (const Error& error) {
      return std::optional(error.code());
    }
    return std::optional<ErrorCode>();
  };
  EXPECT_FALSE(code_of({.messages = messages}));
  EXPECT_EQ(code_of({.strategy = "no_such", .messages = messages}), ErrorCode::kInvalidArgument);
  ChatRequest formed{.messages = messages};
  formed.form.grammar = "root ::= (";
  EXPECT_EQ(code_of(formed), ErrorCode::kInvalidArgument);
  EXPECT_TRUE(pool.list(std::nullopt).empty());
}

TEST(ConversationPoolTest, WhatTheTemplateRefusesInTheMiddleOfALongListIsRefusedAsItsAnswerBegins) {
  if (!reads_jinja()) GTEST_SKIP() << "built without llama.cpp's Jinja";
  PoolOptions options = options_for(1);
  options.prompt_template.source =
      "{% for m in messages %}{% if m.content == 'bad' %}{{ raise_exception('bad') }}{% endif %}"
      "<|im_start|>{{ m.content }}<|im_end|>{% endfor %}";
  ConversationPool pool(options);
  ChatRequest request;
  for (int turn = 0; turn < 8; ++turn) {
    request.messages.push_back({"user", "Wave " + std::to_string(turn)});
    request.messages.push_back({"assistant", "It came in."});
  }
  request.messages.back() = {"user", "bad"};
  EXPECT_THROW(pool.check(request), Error);
  request.messages.back().content = "And the last one?";
  request.messages[6].content = "bad";
  EXPECT_NO_THROW(pool.check(request));
  EXPECT_THROW((void)pool.begin(request, [](std::string_view) {}), Error);
  EXPECT_TRUE(pool.list(std::nullopt).empty());
  request.messages[6].content = "good";
  EXPECT_GT(ask(pool, request).answer.n_new, 0);
}

TEST(ConversationPoolTest, AModelWithoutATemplateRefusesEachRequest) {
  ConversationPool pool(options_for(1, test::tiny_model_path()));
  EXPECT_THROW(pool.check({.messages = {{"user", "hello"}}}), Error);
}

}  // namespace
}  // namespace kvevict::serving
