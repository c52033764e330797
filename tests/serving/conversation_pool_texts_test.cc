// Texts outside of every conversation, and other answers to a prompt, in the places of a pool.
#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "serving/conversation_pool.h"
#include "support/run_answers.h"
#include "support/test_models.h"

namespace kvevict::serving {
namespace {

using test::load_model;
using test::prose_tokens;
using test::run_all;
using test::run_one;
using test::shallow_f32_model_path;

constexpr const char* kStrategy = "sink_recent:16:64";

/// The same sums in their last bits or nearly. `n_cells`: 0 for contexts of their own.
PoolOptions exact(std::size_t n_live, std::int64_t n_cells = 256) {
  const auto model = load_model(shallow_f32_model_path());
  const SessionOptions session{.flash_attention = FlashAttention::kOff,
                               .type_k = KvType::kF32,
                               .type_v = KvType::kF32,
                               .n_chunk = 64,
                               .prefill = PrefillMode::kBounded};
  const auto run_for = [model, session](const std::string& strategy) {
    return ModelRun{model, make_policy(strategy.empty() ? kStrategy : strategy), session};
  };
  return {.model = model,
          .run_for = [run_for](const std::string& strategy, const std::string&) { return run_for(strategy); },
          .text_run_for = run_for,
          .n_live = n_live,
          .places = {.session = session, .n_cells = n_cells}};
}

ChatRequest text_request(std::size_t n_tokens, std::uint32_t seed = 0) {
  ChatRequest request;
  request.text = TextPrompt{.tokens = prose_tokens(*load_model(shallow_f32_model_path()), n_tokens)};
  request.form.max_new_tokens = 12;
  request.form.sampling.temperature = 1;
  request.form.sampling.seed = seed;
  return request;
}

ChatRequest talk_request(const std::string& name) {
  ChatRequest request{.conversation = name, .messages = {{"user", "Tell me of the sea, " + name + "."}}};
  request.form.max_new_tokens = 12;
  return request;
}

std::unique_ptr<RunningAnswer> begin(ConversationPool& pool, const ChatRequest& request) {
  return pool.begin(request, [](std::string_view) {});
}

std::string alone(const ChatRequest& request) {
  ConversationPool pool(exact(1, 0));
  return run_one(pool, begin(pool, request)).answer.text;
}

TEST(ConversationPoolTextsTest, ATextInABatchWithConversationsIsWhatItIsAlone) {
  ConversationPool pool(exact(3));
  std::vector<std::unique_ptr<RunningAnswer>> answers;
  answers.push_back(begin(pool, text_request(150, 1)));
  answers.push_back(begin(pool, talk_request("anna")));
  answers.push_back(begin(pool, text_request(40, 2)));
  EXPECT_EQ(pool.places().pool()->n_open(), 3);
  const std::vector<ChatResult> results = run_all(pool, std::move(answers));
  EXPECT_EQ(results[0].answer.text, alone(text_request(150, 1)));
  EXPECT_EQ(results[1].answer.text, alone(talk_request("anna")));
  EXPECT_EQ(results[2].answer.text, alone(text_request(40, 2)));
  EXPECT_EQ(results[0].conversation.n_cells, 256) << "a place's";
  EXPECT_EQ(pool.places().pool()->n_open(), 1) << "texts leave nothing behind";
}

TEST(ConversationPoolTextsTest, ATextTakesThePlaceOfTheConversationUsedLongestAgo) {
  ConversationPool pool(exact(2));
  for (const char* name : {"anna", "ben"}) (void)run_one(pool, begin(pool, talk_request(name)));
  auto text = begin(pool, text_request(30));
  EXPECT_EQ(pool.places().pool()->n_open(), 2);
  ASSERT_EQ(pool.list(std::nullopt).size(), 1U);
  EXPECT_EQ(pool.list(std::nullopt).front().id, "ben");
  text.reset();
  EXPECT_EQ(pool.places().pool()->n_open(), 1);
  (void)run_one(pool, begin(pool, talk_request("carla")));
  EXPECT_EQ(pool.list(std::nullopt).size(), 2U);
}

TEST(ConversationPoolTextsTest, OtherAnswersToATextGoOnFromItAsIfTheyHadTakenItIn) {
  ConversationPool pool(exact(3));
  auto first = begin(pool, text_request(150, 1));
  while (first->n_prompt_left() > 0) first->take_in();
  std::vector<std::unique_ptr<RunningAnswer>> answers;
  for (const std::uint32_t seed : {2U, 3U}) {
    answers.push_back(pool.branch(*first, text_request(150, seed), [](std::string_view) {}));
    ASSERT_TRUE(answers.back());
    EXPECT_EQ(answers.back()->n_prompt_left(), 0);
  }
  answers.push_back(std::move(first));
  const std::vector<ChatResult> results = run_all(pool, std::move(answers));
  EXPECT_EQ(results[0].answer.text, alone(text_request(150, 2)));
  EXPECT_EQ(results[1].answer.text, alone(text_request(150, 3)));
  EXPECT_EQ(results[2].answer.text, alone(text_request(150, 1)));
  EXPECT_NE(results[0].answer.text, results[1].answer.text);
  EXPECT_EQ(results[0].answer.n_cached, 150);
  EXPECT_EQ(results[0].answer.n_new, 0);
  EXPECT_EQ(pool.places().pool()->n_open(), 0);
}

TEST(ConversationPoolTextsTest, OtherAnswersToAListGoOnFromItsConversationAndLeaveIt) {
  ConversationPool pool(exact(2));
  auto first = begin(pool, talk_request("anna"));
  while (first->n_prompt_left() > 0) first->take_in();
  std::vector<std::unique_ptr<RunningAnswer>> answers;
  answers.push_back(pool.branch(*first, talk_request("anna"), [](std::string_view) {}));
  answers.push_back(std::move(first));
  const std::vector<ChatResult> results = run_all(pool, std::move(answers));
  EXPECT_EQ(results[0].answer.text, alone(talk_request("anna")));
  EXPECT_EQ(results[0].answer.text, results[1].answer.text) << "the same seed";
  EXPECT_TRUE(results[0].conversation.id.empty());
  EXPECT_EQ(results[1].conversation.id, "anna");
  EXPECT_EQ(pool.places().pool()->n_open(), 1);
  ChatRequest more = talk_request("anna");
  more.messages.push_back({"assistant", results[1].answer.text});
  more.messages.push_back({"user", "And of the wind."});
  EXPECT_GT(run_one(pool, begin(pool, more)).answer.n_cached, 10) << "its own answer was kept";
}

TEST(ConversationPoolTextsTest, WithoutAPlaceNoOtherAnswerGoesOnFromAText) {
  ConversationPool pool(exact(2));
  ChatRequest request = text_request(60);
  request.strategy = "h2o:4:40:20";
  auto first = begin(pool, request);
  EXPECT_EQ(pool.places().pool()->n_open(), 0);
  while (first->n_prompt_left() > 0) first->take_in();
  EXPECT_FALSE(pool.branch(*first, request, [](std::string_view) {}));
}

TEST(ConversationPoolTextsTest, WithALimitATextThatHasNoPlaceIsRefused) {
  PoolOptions options = exact(2);
  options.places.is_limited = true;
  ConversationPool pool(options);
  ChatRequest request = text_request(60);
  EXPECT_NO_THROW(pool.check(request));
  for (const char* strategy : {"h2o:4:40:20", "sink_recent:16:400"}) {
    request.strategy = strategy;
    EXPECT_THROW(pool.check(request), Error) << strategy;
    EXPECT_THROW((void)begin(pool, request), Error) << strategy;
  }
  for (int i = 0; i < 2; ++i) (void)begin(pool, text_request(60));  // no place was lost
}

}  // namespace
}  // namespace kvevict::serving
