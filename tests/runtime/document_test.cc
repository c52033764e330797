#include "kvevict/document.h"

#include <gtest/gtest.h>

#include "kvevict/error.h"
#include "kvevict/session_file.h"
#include "runtime/document_text.h"
#include "support/exact_runs.h"
#include "support/program.h"
#include "support/test_models.h"
#include "support/texts.h"

namespace kvevict::test {
namespace {

constexpr const char* kPolicy = "sink_recent_uniform:16:48:64:block=16";  // 128 tokens
constexpr const char* kFirst = "What is said about the beginning of all this, and by whom?";
constexpr const char* kSecond = "And how does it end?";

SessionOptions session_options(PrefillMode prefill) {
  SessionOptions options = exact();
  options.prefill = prefill;
  options.n_threads = 1;
  return options;
}

DocumentOptions options_for(PrefillMode prefill, bool is_chat = false) {
  return {.is_chat = is_chat,
          .system = is_chat ? "Be brief." : "",
          .n_room = 0,
          .session = session_options(prefill)};
}

Document make_document(PrefillMode prefill, bool is_chat = false, const char* policy = kPolicy) {
  return {load_model(shallow_f32_model_path()), make_policy(policy), long_text(1600),
          options_for(prefill, is_chat)};
}

std::vector<Token> answer_of(Document& document, std::string_view question) {
  return document.ask(question, {.max_new_tokens = 12}).generation.tokens;
}

template <typename Call>
Error error_of(Call call) {
  try {
    static_cast<void>(call());
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return {ErrorCode::kEngine, ""};
}

TEST(DocumentTest, AQuestionDoesNotChangeWhatALaterOneSees) {
  for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded}) {
    for (const bool is_chat : {false, true}) {
      Document asked = make_document(prefill, is_chat);
      const std::vector<Token> first = answer_of(asked, kFirst);
      const std::vector<Token> second = answer_of(asked, kSecond);
      EXPECT_EQ(answer_of(asked, kFirst), first);
      Document fresh = make_document(prefill, is_chat);
      EXPECT_EQ(answer_of(fresh, kSecond), second);
      EXPECT_NE(first, second);
    }
  }
}

TEST(DocumentTest, StaysWithinItsBudgetAndQuestionsComeOnTop) {
  for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded}) {
    Document document = make_document(prefill);
    const KeepPlan held = document.session().held_by_layer();
    EXPECT_LE(document.report().n_kept, 128);
    EXPECT_GT(document.report().n_kept, 100);
    EXPECT_EQ(document.report().n_tokens, static_cast<std::int64_t>(document.tokens().size()));
    const DocumentAnswer answer = document.ask(kFirst, {.max_new_tokens = 100});
    EXPECT_EQ(answer.generation.tokens.size(), 100U);
    EXPECT_GT(answer.n_question, 5);
    EXPECT_LE(answer.seconds_to_first, answer.seconds);
    EXPECT_EQ(document.session().held_by_layer(), held);
    EXPECT_EQ(document.session().policy().spec(), parse_strategy(kPolicy));
  }
}

// By the calls of a session: prefill, one eviction, and the question under a policy that keeps all.
TEST(DocumentTest, AnswersAsASessionThatIsEvictedAndThenAsked) {
  const auto model = load_model(shallow_f32_model_path());
  Document document = make_document(PrefillMode::kFull);
  SessionOptions options = session_options(PrefillMode::kFull);
  options.n_sequences = 2;
  Session session(model, make_policy(kPolicy), options);
  session.append(document.tokens());
  session.evict();
  Session fork = session.fork(make_policy("full"));
  const TextPart question{std::string("\n\n") + kFirst};
  fork.append(model->tokenize({&question, 1}, false));
  EXPECT_EQ(fork.generate({.max_new_tokens = 12}).tokens, answer_of(document, kFirst));
  EXPECT_EQ(document.session().held_by_layer(), session.held_by_layer());
}

TEST(DocumentTest, TheTemplateIsCutAtTheQuestion) {
  const auto model = load_model(shallow_f32_model_path());
  const DocumentOptions options = options_for(PrefillMode::kFull, true);
  const std::string text = "A document that says kvevict-question-1 and <|im_end|>.";
  const DocumentText parts = document_text(*model, text, options);
  const PromptTemplate prompt_template(*model);
  const std::vector<ChatMessage> messages = {{"system", "Be brief."}, {"user", text + "\n\nWhy?"}};
  EXPECT_EQ(model->detokenize(parts.tokens, true) + "\n\nWhy?" + text_of(parts.closing),
            text_of(prompt_template.render(messages)));
  std::vector<TextPart> question = {{"\n\nWhy?"}};
  question.insert(question.end(), parts.closing.begin(), parts.closing.end());
  std::vector<Token> joined = parts.tokens;
  for (const Token token : prompt_template.tokens(question, false)) joined.push_back(token);
  EXPECT_EQ(joined, prompt_template.tokens(prompt_template.render(messages)));
}

TEST(DocumentTest, SavedAndLoadedItAnswersAlike) {
  const auto model = load_model(shallow_f32_model_path());
  const std::string file = make_work_folder() + "/document.kvevict";
  for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded}) {
    for (const bool is_chat : {false, true}) {
      Document document = make_document(prefill, is_chat);
      document.save(file);
      const std::vector<Token> answer = answer_of(document, kFirst);
      Document loaded = Document::load(model, file, session_options(PrefillMode::kFull));
      EXPECT_EQ(loaded.is_chat(), is_chat);
      EXPECT_EQ(loaded.system(), document.system());
      EXPECT_EQ(loaded.tokens(), document.tokens());
      EXPECT_EQ(loaded.session().held_by_layer(), document.session().held_by_layer());
      EXPECT_EQ(answer_of(loaded, kFirst), answer);
    }
  }
}

TEST(DocumentTest, BeyondTheTrainedContextPositionsArePackedForAQuestion) {
  const auto model = load_model(short_context_model_path(shallow_f32_model_path()));  // 512 tokens
  DocumentOptions options = options_for(PrefillMode::kBounded);
  Document document(model, make_policy(kPolicy), long_text(6000), options);
  ASSERT_GT(document.report().n_tokens, 1200);
  EXPECT_EQ(document.session().options().positions, PositionMode::kAuto);
  const std::vector<Token> first = answer_of(document, kFirst);
  EXPECT_EQ(first.size(), 12U);
  EXPECT_NE(answer_of(document, kSecond), first);
  const std::string file = make_work_folder() + "/document.kvevict";
  document.save(file);
  Document loaded = Document::load(model, file, session_options(PrefillMode::kBounded));
  EXPECT_EQ(answer_of(loaded, kFirst), first);
}

TEST(DocumentTest, EveryKindOfPositionAndOfPlanIsAsked) {
  const auto model = load_model(shallow_f32_model_path());
  for (const char* policy : {"streaming_llm:4:124", "ladder:4:60:64:span=2", "full"}) {
    for (const auto positions : {PositionMode::kAbsolute, PositionMode::kPacked}) {
      DocumentOptions options = options_for(PrefillMode::kFull);
      options.session.positions = positions;
      Document document(model, make_policy(policy), long_text(1600), options);
      EXPECT_EQ(answer_of(document, kFirst), answer_of(document, kFirst)) << policy;
      EXPECT_EQ(answer_of(document, kFirst).size(), 12U) << policy;
    }
  }
}

TEST(DocumentTest, AModelThatKeepsAStateIsAsked) {
  const auto model = load_model(talking_hybrid_model_path());
  std::string text;
  for (int i = 0; i < 60; ++i) text += i % 3 == 0 ? "hello there " : "and again ";
  DocumentOptions options = options_for(PrefillMode::kFull);
  Document document(model, make_policy("sink_recent:8:56"), text, options);
  EXPECT_EQ(document.report().n_kept, 64);
  const std::vector<Token> first = answer_of(document, "hello");
  EXPECT_EQ(answer_of(document, "there again").size(), 12U);
  EXPECT_EQ(answer_of(document, "hello"), first);
  const std::string file = make_work_folder() + "/document.kvevict";
  document.save(file);
  Document loaded = Document::load(model, file, options.session);
  EXPECT_EQ(answer_of(loaded, "hello"), first);
}

// Windows slide on in a session of its own: the document is copied for each question.
TEST(DocumentTest, SlidingWindowsGoOnBehindADocument) {
  const auto model = load_model(sliding_window_model_path());
  const std::vector<Token> tokens = made_up_tokens(200);
  SessionOptions options = exact(PositionMode::kAbsolute);
  Document document(model, make_policy("sink_recent:16:64"), tokens, {.session = options});
  Session session(model, make_policy("sink_recent:16:64"), options);
  session.append(tokens);
  session.evict();
  const std::vector<Token> more = made_up_tokens(20);
  session.append(more);
  for (int i = 0; i < 2; ++i) {
    Session fork = document.fork(make_policy("full"), 32);
    fork.append(more);
    EXPECT_LT(most_different(fork.logits(), session.logits()), 1e-4);
  }
}

TEST(DocumentTest, ARecurrentModelGoesOnBehindADocument) {
  const auto model = load_model(recurrent_model_path());
  const std::vector<Token> tokens = made_up_tokens(100);
  SessionOptions options = exact(PositionMode::kAbsolute);
  Document document(model, make_policy("full"), tokens, {.session = options});
  Session session(model, make_policy("full"), options);
  session.append(tokens);
  const std::vector<Token> more = made_up_tokens(20);
  session.append(more);
  for (int i = 0; i < 2; ++i) {
    Session fork = document.fork(make_policy("full"), 32);
    fork.append(more);
    EXPECT_LT(most_different(fork.logits(), session.logits()), 1e-4);
  }
}

TEST(DocumentTest, WhatCannotBeAskedIsRefused) {
  const auto model = load_model(shallow_f32_model_path());
  Document document = make_document(PrefillMode::kFull);
  EXPECT_EQ(error_of([&] { return document.ask(""); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { return document.ask("\xFF"); }).code(), ErrorCode::kBadData);
  const Error too_long = error_of([&] { return document.ask("Why?", {.max_new_tokens = 100000}); });
  EXPECT_EQ(too_long.code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(too_long.field(), "max_new_tokens");
  EXPECT_EQ(answer_of(document, kFirst).size(), 12U);

  const auto make = [&](const char* policy, std::string_view text) {
    return Document(model, make_policy(policy), text, options_for(PrefillMode::kFull));
  };
  EXPECT_EQ(error_of([&] { return make("h2o", "A text."); }).code(), ErrorCode::kUnsupported);
  EXPECT_EQ(error_of([&] { return make(kPolicy, ""); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { return make(kPolicy, "\xFF"); }).code(), ErrorCode::kBadData);
  EXPECT_EQ(error_of([&] {
              return Document(model, make_policy(kPolicy), std::vector<Token>{1, 2}, {.is_chat = true});
            }).code(),
            ErrorCode::kInvalidArgument);
}

TEST(DocumentTest, ASavedSessionWithoutADocumentIsRefused) {
  const auto model = load_model(shallow_f32_model_path());
  const std::string file = make_work_folder() + "/session.kvevict";
  Session session(model, make_policy(kPolicy), session_options(PrefillMode::kFull));
  session.append(model->tokenize("No document.", true, false));
  save_session(session, file);
  const Error error = error_of([&] { return Document::load(model, file, session.options()); });
  EXPECT_EQ(error.code(), ErrorCode::kBadData);
  EXPECT_NE(std::string(error.what()).find(file), std::string::npos) << error.what();
}

}  // namespace
}  // namespace kvevict::test
