#include "kvevict/memory.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <set>

#include "base/units.h"
#include "engine/llama_log.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "runtime/prompt_prefill.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

std::shared_ptr<const Model> the_model() {
  static const std::shared_ptr<const Model> model = test::load_model(test::default_model_path());
  return model;
}

/// Loaded without weights, as a dry run does.
std::shared_ptr<const Model> the_model_without_weights() {
  static const auto model = Model::load({.path = test::default_model_path(), .weights = false});
  return model;
}

SessionOptions options_of(PrefillMode prefill, std::optional<PositionMode> positions) {
  SessionOptions options;
  options.n_batch = 64;
  options.n_ubatch = 64;
  options.n_chunk = 64;
  options.n_decode_slack = 8;
  options.prefill = prefill;
  options.positions = positions;
  return options;
}

std::shared_ptr<const Model> tiny_model() {
  static const std::shared_ptr<const Model> model = test::load_model(test::tiny_model_path());
  return model;
}

/// What a session really came to; the steps of the answer are those of `Session::generate`.
SessionStats run(const std::string& strategy, const SessionOptions& options, const RunSize& size,
                 const std::shared_ptr<const Model>& model) {
  Session session(model, make_policy(strategy), options);
  std::vector<Token> tokens;
  for (std::int64_t i = 0; i < size.n_prompt + size.n_new; ++i)
    tokens.push_back(static_cast<Token>(i * i % 128));
  const auto prompt = std::span(tokens).first(static_cast<std::size_t>(size.n_prompt));
  prefill_prompt(session, prompt, {.n_new_tokens = size.n_new, .is_last = true});
  for (std::int64_t i = 0; i + 1 < size.n_new; ++i) {
    session.make_room(1);
    session.append(std::span(tokens).subspan(static_cast<std::size_t>(size.n_prompt + i), 1),
                   {.prefill = PrefillMode::kFull});
  }
  return session.stats();
}

void expect_told(const std::string& strategy, const SessionOptions& options, const RunSize& size,
                 const std::shared_ptr<const Model>& model = tiny_model()) {
  const std::string what =
      fmt::format("{} {} {} {}+{}", strategy, to_string(options.prefill),
                  options.positions ? to_string(*options.positions) : "default", size.n_prompt, size.n_new);
  SCOPED_TRACE(what);
  const MemoryNeeded told = memory_needed(*model, *make_policy(strategy), options, size);
  const SessionStats real = run(strategy, options, size, model);
  if (std::getenv("KVEVICT_PRINT_MEMORY") != nullptr) {
    std::cout << fmt::format("{:<58} held {:>4}/{:>4}  cells {:>4}/{:>4}  peak {}/{}\n", what,
                             real.n_tokens_held_peak, told.n_tokens_held, real.n_cells, told.n_cells,
                             real.kv_bytes_peak, told.kv_bytes_peak);
  }
  EXPECT_LE(real.kv_bytes_peak, told.kv_bytes_peak);
  EXPECT_LE(static_cast<double>(told.kv_bytes_peak), 1.05 * static_cast<double>(real.kv_bytes_peak));
  EXPECT_EQ(real.kv_bytes, told.kv_bytes_after);
  EXPECT_LE(real.n_cells, told.n_cells);
  EXPECT_LE(real.n_tokens_held_peak, told.n_tokens_held);
  EXPECT_LE(static_cast<double>(told.n_tokens_held), 1.05 * static_cast<double>(real.n_tokens_held_peak));
}

/// Every strategy of the registry at a small budget, and shapes that choose or count differently.
std::vector<std::string> grid_strategies() {
  const std::vector<std::string> strategies = {"full",
                                               "sink_recent:4:156",
                                               "sink_recent_uniform:4:60:64:block=16",
                                               "streaming_llm:4:156",
                                               "ladder:4:92:64:span=2:overlap=1",
                                               "h2o:0:80:80",
                                               "snapkv:4:60:64",
                                               "tova:0:1:159",
                                               "h2o:4:60:64:per_layer=1",
                                               "keydiff:4:60:96",
                                               "keydiff:4:60:96:per_layer=1"};
  std::set<std::string> named;
  for (const std::string& strategy : strategies) named.insert(parse_strategy(strategy).name);
  for (const PolicyInfo& info : all_policies()) EXPECT_TRUE(named.contains(info.name)) << info.name;
  return strategies;
}

TEST(Memory, IsToldAsASessionComesToHoldItWithAFullPrefill) {
  for (const std::string& strategy : grid_strategies()) {
    for (const PositionMode positions :
         {PositionMode::kAbsolute, PositionMode::kPacked, PositionMode::kAuto}) {
      for (const std::int64_t n_prompt : {100, 150, 300})
        expect_told(strategy, options_of(PrefillMode::kFull, positions), {.n_prompt = n_prompt, .n_new = 20});
    }
  }
}

TEST(Memory, IsToldAsASessionComesToHoldItWithABoundedPrefill) {
  for (const std::string& strategy : grid_strategies()) {
    for (const PositionMode positions :
         {PositionMode::kAbsolute, PositionMode::kPacked, PositionMode::kAuto}) {
      for (const std::int64_t n_prompt : {100, 150, 200, 400})
        expect_told(strategy, options_of(PrefillMode::kBounded, positions),
                    {.n_prompt = n_prompt, .n_new = 20});
    }
  }
}

TEST(Memory, IsToldAtTheEdgesOfTheCells) {
  for (const char* const strategy : {"full", "sink_recent:4:244", "h2o:0:128:128", "ladder:4:124:128"}) {
    for (const std::int64_t n_prompt : {236, 237, 256, 257, 258, 490}) {
      for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded})
        expect_told(strategy, options_of(prefill, std::nullopt), {.n_prompt = n_prompt, .n_new = 20});
    }
  }
  expect_told("sink_recent_uniform:4:60:stride=2:block=16", options_of(PrefillMode::kFull, std::nullopt),
              {.n_prompt = 300, .n_new = 20});
  expect_told("sink_recent_uniform:4:240:stride=2:block=16", options_of(PrefillMode::kFull, std::nullopt),
              {.n_prompt = 243, .n_new = 40});
}

TEST(Memory, CountsTheCopiesOfPackingInTheMiddleOfARun) {
  for (const char* const strategy : {"sink_recent:4:156", "h2o:0:80:80", "ladder:4:92:64"}) {
    for (const std::int64_t n_prompt : {500, 700}) {
      expect_told(strategy, options_of(PrefillMode::kBounded, PositionMode::kAuto),
                  {.n_prompt = n_prompt, .n_new = 20});
    }
  }
}

TEST(Memory, OfModelsOfOtherKindsIsTold) {
  for (const auto& path : {test::hybrid_model_path(), test::many_positions_model_path()}) {
    SCOPED_TRACE(path.filename().string());
    for (const char* const strategy : {"full", "sink_recent:4:156", "ladder:4:92:64"}) {
      for (const PositionMode positions :
           {PositionMode::kAbsolute, PositionMode::kPacked, PositionMode::kAuto}) {
        for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded})
          expect_told(strategy, options_of(prefill, positions), {.n_prompt = 400, .n_new = 20},
                      test::load_model(path));
      }
    }
    expect_told("sink_recent:4:156", options_of(PrefillMode::kBounded, PositionMode::kAuto),
                {.n_prompt = 700, .n_new = 20}, test::load_model(path));  // packed once
  }
  for (const char* const strategy : {"full", "sink_recent:4:156"}) {
    for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded})
      expect_told(strategy, options_of(prefill, PositionMode::kAbsolute), {.n_prompt = 700, .n_new = 20},
                  test::load_model(test::sliding_window_model_path()));
  }
}

TEST(Memory, OfTheDefaultModelIsTold) {
  for (const char* const strategy : {"sink_recent:4:156", "h2o:0:80:80", "ladder:4:92:64"}) {
    expect_told(strategy, options_of(PrefillMode::kFull, std::nullopt), {.n_prompt = 260, .n_new = 4},
                the_model());
    expect_told(strategy, options_of(PrefillMode::kBounded, std::nullopt), {.n_prompt = 260, .n_new = 4},
                the_model());
  }
}

TEST(Memory, OfAPromptOfAnyLengthIsWhatTheLongestComesTo) {
  const SessionOptions options = options_of(PrefillMode::kBounded, PositionMode::kPacked);
  for (const std::string& strategy : grid_strategies()) {
    if (make_policy(strategy)->keeps_all()) continue;
    const MemoryNeeded any = memory_needed(*the_model(), *make_policy(strategy), options, {});
    const MemoryNeeded known =
        memory_needed(*the_model(), *make_policy(strategy), options, {.n_prompt = 5000, .n_new = 500});
    EXPECT_EQ(any.n_cells, known.n_cells) << strategy;
    EXPECT_EQ(any.kv_bytes_peak, known.kv_bytes_peak) << strategy;
  }
  const MemoryNeeded full = memory_needed(*the_model(), *make_policy("full"), options, {});
  EXPECT_EQ(full.n_cells, the_model()->info().n_context_trained);
}

TEST(Memory, OfLlamaCppsOwnBuffersIsToldWithoutWeights) {
  for (const char* const strategy : {"sink_recent", "h2o"}) {
    const auto policy = make_policy(strategy);
    const SessionOptions options =
        resolved_options(*the_model(), *policy, options_of(PrefillMode::kFull, std::nullopt));
    const auto told = compute_bytes_needed(*the_model_without_weights(), options, 1024);
    Session session(the_model(), policy, options);
    const LlamaLogCapture log;  // behind the context in which a session tries its rows
    session.reserve(1024);
    const std::string mark = "compute buffer size =";
    double mib = 0;
    for (std::size_t at = log.text().find(mark); at != std::string::npos; at = log.text().find(mark, at + 1))
      mib += std::strtod(log.text().c_str() + at + mark.size(), nullptr);
    ASSERT_TRUE(told.has_value());
    EXPECT_GT(mib, 0);
    EXPECT_NEAR(to_mib(*told), mib, 0.05 * mib) << strategy;
  }
}

TEST(Memory, RefusesImpossibleRuns) {
  const auto full = make_policy("full");
  EXPECT_THROW(static_cast<void>(memory_needed(*the_model(), *full, {}, {.n_prompt = -1})), Error);
  const auto stride = make_policy("sink_recent_uniform:4:60:stride=2");
  const SessionOptions bounded = options_of(PrefillMode::kBounded, std::nullopt);
  EXPECT_THROW(static_cast<void>(memory_needed(*the_model(), *stride, bounded, {})), Error);
}

TEST(MemoryLimit, IsReadFromText) {
  EXPECT_EQ(parse_bytes("512MiB"), 512 * kMiB);
  EXPECT_EQ(parse_bytes("1.5 GiB"), 1536 * kMiB);
  EXPECT_EQ(parse_bytes("200MB"), 200'000'000);
  EXPECT_EQ(parse_bytes("3kB"), 3000);
  EXPECT_EQ(parse_bytes("1048576"), kMiB);
  for (const char* const text :
       {"", "many", "-1MiB", "0", "0.1", "12XB", "MiB", "nan", "inf", "1e30", "12MiB "}) {
    try {
      static_cast<void>(parse_bytes(text));
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_EQ(error.field(), "kv_memory");
      EXPECT_NE(std::string(error.what()).find(fmt::format("\"{}\"", text)), std::string::npos);
    }
  }
  try {
    static_cast<void>(parse_bytes("much", "the limit of the store", "store_limit"));
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.field(), "store_limit");
    EXPECT_TRUE(std::string(error.what()).starts_with("the limit of the store is \"much\"")) << error.what();
  }
}

/// The least that a refusal names, in bytes; nothing where nothing is refused.
std::optional<std::int64_t> least_named(const StrategySpec& spec, std::int64_t bytes,
                                        const SessionOptions& options, const RunSize& size) {
  try {
    static_cast<void>(fit_to_memory(spec, bytes, *the_model(), options, size));
    return std::nullopt;
  } catch (const Error& error) {
    const std::string sentence = error.what();
    EXPECT_EQ(error.field(), "kv_memory") << sentence;
    EXPECT_TRUE(sentence.starts_with(spec.name)) << sentence;
    EXPECT_EQ(sentence.find("--"), std::string::npos) << sentence;
    const std::size_t at = sentence.find("at least ");
    EXPECT_NE(at, std::string::npos) << sentence;
    return parse_bytes(sentence.substr(at + 9, sentence.find(" of K and V") - at - 9));
  }
}

TEST(MemoryLimit, IsKeptByEveryStrategyOrRefusedWithTheLeast) {
  for (const PolicyInfo& info : all_policies()) {
    const StrategySpec spec =
        parse_strategy(info.name == "ladder" || info.uses("budget") ? info.name + ":4:64" : info.name);
    if (make_policy(spec)->keeps_all()) continue;
    for (const PrefillMode prefill : {PrefillMode::kFull, PrefillMode::kBounded}) {
      const SessionOptions options = options_of(prefill, std::nullopt);
      for (const RunSize& size :
           {RunSize{}, RunSize{300, 20}, RunSize{100, 20}, RunSize{1000, 100}, RunSize{150, 200}}) {
        SCOPED_TRACE(fmt::format("{} {} {}+{}", info.name, to_string(prefill), size.n_prompt, size.n_new));
        const auto bytes_of = [&](const StrategySpec& s) {
          return limited_bytes(memory_needed(*the_model(), *make_policy(s), options, size), options, size);
        };
        for (const std::int64_t limit : {6 * kMiB, 12 * kMiB, 20 * kMiB, 40 * kMiB}) {
          const auto least = least_named(spec, limit, options, size);
          const std::int64_t kept = least.value_or(limit);
          EXPECT_GE(kept, limit);
          EXPECT_LE(bytes_of(fit_to_memory(spec, kept, *the_model(), options, size)), kept);
          if (least) {
            EXPECT_TRUE(least_named(spec, *least - kMiB / 50, options, size).has_value());
          }
        }
      }
    }
  }
}

TEST(MemoryLimit, GivesTheLargestBudget) {
  const StrategySpec spec = parse_strategy("sink_recent:4:60");
  EXPECT_EQ(to_string(fit_to_memory(spec, 12 * kMiB, *the_model(), {})), "sink_recent:4:508");
  for (const char* const strategy : {"h2o:0:64:64", "ladder:4:64:64"}) {
    const SessionOptions options = options_of(PrefillMode::kBounded, std::nullopt);
    StrategySpec fitted = fit_to_memory(parse_strategy(strategy), 20 * kMiB, *the_model(), options);
    ++fitted.config.middle_budget_tokens;
    EXPECT_GT(memory_needed(*the_model(), *make_policy(fitted), options, {}).kv_bytes_peak, 20 * kMiB);
  }
}

TEST(MemoryLimit, HoldsInARealRun) {
  const RunSize size{.n_prompt = 400, .n_new = 20};
  const SessionOptions options = options_of(PrefillMode::kBounded, std::nullopt);
  const std::int64_t limit = 620 * tiny_model()->kv_bytes_per_token(options.type_k, options.type_v);
  for (const char* const strategy : {"sink_recent:4:60", "h2o:0:64:64", "ladder:4:64:64", "streaming_llm"}) {
    const StrategySpec fitted = fit_to_memory(parse_strategy(strategy), limit, *tiny_model(), options, size);
    EXPECT_LE(run(to_string(fitted), options, size, tiny_model()).kv_bytes_peak, limit) << to_string(fitted);
  }
}

TEST(MemoryLimit, OfAFullPrefillNamesTheBoundedOne) {
  const SessionOptions options = options_of(PrefillMode::kFull, std::nullopt);
  try {
    static_cast<void>(
        fit_to_memory(parse_strategy("h2o:0:64:64"), 20 * kMiB, *the_model(), options, {1000, 20}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("with a bounded prefill"), std::string::npos) << error.what();
  }
}

TEST(MemoryLimit, CannotBeGivenToWhatKeepsEverything) {
  EXPECT_THROW(static_cast<void>(fit_to_memory(parse_strategy("full"), 512 * kMiB, *the_model(), {})), Error);
}

}  // namespace
}  // namespace kvevict
