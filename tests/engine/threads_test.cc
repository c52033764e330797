// What is documented as safe from several threads, from two threads at once. Run under ThreadSanitizer too.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "engine/key_rotator.h"
#include "kvevict/registry.h"
#include "kvevict/session.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

SessionOptions one_thread() {
  SessionOptions options;
  options.n_threads = 1;
  options.n_chunk = 64;
  options.type_k = KvType::kF32;
  options.type_v = KvType::kF32;
  options.flash_attention = FlashAttention::kOff;
  return options;
}

std::vector<float> logits_of(const Session& session) {
  return {session.logits().begin(), session.logits().end()};
}

/// Two detached forks go on, each with evictions that rotate the keys of single layers.
std::vector<std::vector<float>> logits_of_forks(const std::shared_ptr<const Model>& model, bool at_once) {
  SessionOptions options = one_thread();
  options.positions = PositionMode::kPacked;
  options.n_sequences = 2;
  const std::vector<Token> text = test::prose_tokens(*model, 900);
  Session first(model, make_policy("ladder:1:16:48"), options);
  first.append(std::span(text).first(100));
  first.evict();
  Session second = first.fork();
  second.detach();
  first.detach();
  std::vector<std::vector<float>> logits(2);
  const auto go_on = [&](Session& session, std::size_t i) {
    for (std::size_t from = 100; from < 500; from += 50) {
      session.append(std::span(text).subspan(from + 200 * i, 50));
      session.evict();
    }
    session.append(std::span(text).subspan(800, 1));
    logits[i] = logits_of(session);
  };
  if (at_once) {
    std::thread other([&] { go_on(second, 1); });
    go_on(first, 0);
    other.join();
  } else {
    go_on(first, 0);
    go_on(second, 1);
  }
  return logits;
}

TEST(Threads, DetachedForksInTwoThreadsComputeWhatTheyDoOneAfterTheOther) {
  const auto model = test::load_model(test::shallow_model_path());
  const auto expected = logits_of_forks(model, false);
  for (int round = 0; round < 2; ++round) EXPECT_EQ(logits_of_forks(model, true), expected);
}

TEST(Threads, ARotatorAndItsCopyInTwoThreadsRotateWhatTheyDoAlone) {
  const auto model = test::load_model(test::shallow_model_path());
  const KeyRotator first(model->handle(), GGML_TYPE_F32, 1);
  const KeyRotator second(first);
  constexpr std::size_t kRows = 40;
  const std::size_t n_floats = kRows * 3 * 64;  // 3 KV heads of 64 dimensions
  const auto rotated = [&](const KeyRotator& rotator, std::int32_t by) {
    std::vector<float> keys(n_floats);
    for (std::size_t i = 0; i < n_floats; ++i) keys[i] = static_cast<float>(i % 97) / 97;
    const std::vector<std::int32_t> rotations(kRows, by);
    rotator.rotate(0, {reinterpret_cast<std::uint8_t*>(keys.data()), n_floats * sizeof(float)}, rotations);
    return keys;
  };
  const std::vector<float> by_first = rotated(first, -3);
  const std::vector<float> by_second = rotated(second, -500);
  const auto count_wrong = [&](const KeyRotator& rotator, std::int32_t by,
                               const std::vector<float>& expected) {
    int n_wrong = 0;
    for (int i = 0; i < 2000; ++i) n_wrong += rotated(rotator, by) == expected ? 0 : 1;
    return n_wrong;
  };
  int n_wrong_beside = 0;
  std::thread other([&] { n_wrong_beside = count_wrong(second, -500, by_second); });
  EXPECT_EQ(count_wrong(first, -3, by_first), 0);
  other.join();
  EXPECT_EQ(n_wrong_beside, 0);
}

TEST(Threads, SessionsOfOneModelInTwoThreadsComputeWhatTheyDoAlone) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 400);
  const auto run = [&](const char* strategy) {
    SessionOptions options = one_thread();
    options.prefill = PrefillMode::kBounded;
    Session session(model, make_policy(strategy), options);
    session.append(text);
    return session.generate({.max_new_tokens = 8}).tokens;
  };
  const auto first = run("sink_recent:4:60");
  const auto second = run("streaming_llm:4:60");
  std::vector<Token> beside;
  std::thread other([&] { beside = run("streaming_llm:4:60"); });
  EXPECT_EQ(run("sink_recent:4:60"), first);
  other.join();
  EXPECT_EQ(beside, second);
}

TEST(Threads, ConstMembersOfAModelInTwoThreads) {
  const auto model = test::load_model(test::shallow_model_path());
  const auto use = [&] {
    for (int i = 0; i < 50; ++i) {
      const std::vector<Token> tokens = model->tokenize("The keeper lit the lamp.", false, false);
      EXPECT_EQ(model->detokenize(tokens), "The keeper lit the lamp.");
      EXPECT_FALSE(model->apply_chat_template(std::vector<ChatMessage>{{"user", "Hello"}}).empty());
    }
  };
  std::thread other(use);
  use();
  other.join();
}

TEST(Threads, PoliciesAndTheRegistryInTwoThreads) {
  const auto policy = make_policy("sink_recent_uniform:4:60:64:block=8");
  const auto use = [&] {
    PolicyState state;
    for (std::int64_t n = 1; n < 2000; n += 7) static_cast<void>(policy->plan(n, state));
    for (int i = 0; i < 50; ++i) {
      for (const PolicyInfo& info : all_policies()) EXPECT_EQ(parse_strategy(info.name).name, info.name);
    }
  };
  std::thread other(use);
  use();
  other.join();
}

}  // namespace
}  // namespace kvevict
