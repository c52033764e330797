// What it takes to decide: the time of one plan, by strategy and length, without a model.
//
// Position-based plans cost the ranges that they keep; those by attention cost the tokens that are held,
// those by keys the elements of their keys (here 3 KV heads of 64; reading them from a cache is not in it).
// Rows: plan/<strategy>/<tokens>: a first plan of so many tokens; step/<strategy>: one more chunk of 512
// tokens in a stream whose cache is full.
#include <benchmark/benchmark.h>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kvevict/bounded_schedule.h"
#include "kvevict/policy.h"

namespace {

using kvevict::KeepPlan;
using kvevict::KeepSet;
using kvevict::Policy;
using kvevict::PolicyState;
using kvevict::TokenScores;

constexpr std::int64_t kLayers = 30;
constexpr std::int64_t kChunk = 512;
constexpr const char* kStrategies[] = {"full",
                                       "sink_recent:4:1020",
                                       "sink_recent_uniform:4:508:512",
                                       "streaming_llm:4:1020",
                                       "ladder:4:508:512",
                                       "h2o:0:512:512",
                                       "snapkv:0:32:992",
                                       "tova:0:1:1023",
                                       "keydiff:4:512:508"};
constexpr std::int64_t kLengths[] = {2048, 4096, 131072, 1048576};
constexpr std::int64_t kMostScored = 131072;  // 30 layers of scores for more take gigabytes

/// Made-up attention for all of what is held.
TokenScores scores_of(KeepPlan held) {
  std::mt19937 random(1);
  std::uniform_real_distribution<float> any(0, 1);
  TokenScores scores{.held = std::move(held), .by_layer = {}};
  for (std::size_t l = 0; l < kLayers; ++l) {
    auto& row = scores.by_layer.emplace_back(static_cast<std::size_t>(scores.held.layer(l).count()));
    for (float& score : row) score = any(random);
  }
  return scores;
}

/// Made-up keys for all of what is held, the same in each layer.
class MadeUpKeys final : public kvevict::CachedKeys {
 public:
  void hold(KeepPlan held) {
    held_ = std::move(held);
    std::mt19937 random(1);
    std::normal_distribution<float> any(0, 1);
    rows_.resize(static_cast<std::size_t>(held_.count() * kHeads * kHeadDim));
    for (float& element : rows_) element = any(random);
  }
  [[nodiscard]] const KeepPlan& held() const override { return held_; }
  [[nodiscard]] std::size_t n_layers() const override { return kLayers; }
  [[nodiscard]] kvevict::LayerKeys layer(std::size_t /*layer*/) override { return {rows_, kHeads, kHeadDim}; }

 private:
  static constexpr std::int64_t kHeads = 3;
  static constexpr std::int64_t kHeadDim = 64;
  KeepPlan held_;
  std::vector<float> rows_;
};

void plan_once(benchmark::State& state, const Policy& policy, std::int64_t n_tokens) {
  TokenScores scores;
  MadeUpKeys keys;
  if (policy.score_request()) scores = scores_of(KeepPlan(KeepSet::all(n_tokens)));
  if (policy.key_request()) keys.hold(KeepPlan(KeepSet::all(n_tokens)));
  for (auto _ : state) {
    PolicyState memory{.n_layers = kLayers};
    if (policy.score_request()) memory.scores = &scores;
    if (policy.key_request()) memory.keys = &keys;
    benchmark::DoNotOptimize(policy.plan(n_tokens, memory));
  }
}

void plan_next_chunk(benchmark::State& state, const Policy& policy) {
  PolicyState memory{.schedule = kvevict::Schedule::kStreaming, .n_layers = kLayers};
  std::int64_t n_seen = 0;
  KeepPlan held;
  TokenScores scores;
  MadeUpKeys keys;
  for (auto _ : state) {
    state.PauseTiming();
    held.append(n_seen, n_seen + kChunk);
    n_seen += kChunk;
    if (policy.score_request()) {
      scores = scores_of(held);
      memory.scores = &scores;
    }
    if (policy.key_request()) {
      keys.hold(held);
      memory.keys = &keys;
    }
    state.ResumeTiming();
    held = kvevict::keep_before_chunk(policy, memory, held, n_seen);
  }
}

}  // namespace

int main(int argc, char** argv) {
  for (const char* const text : kStrategies) {
    const std::shared_ptr<const Policy> policy = kvevict::make_policy(text);
    for (const std::int64_t n_tokens : kLengths) {
      if (policy->looks_into_cache() && n_tokens > kMostScored) continue;
      const std::string name = "plan/" + policy->spec().name + "/" + std::to_string(n_tokens);
      benchmark::RegisterBenchmark(
          name.c_str(), [policy, n_tokens](benchmark::State& s) { plan_once(s, *policy, n_tokens); });
    }
    const std::string name = "step/" + policy->spec().name;
    benchmark::RegisterBenchmark(name.c_str(), [policy](benchmark::State& s) {
      plan_next_chunk(s, *policy);
    })->Iterations(500);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
