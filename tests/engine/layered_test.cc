// A keep set for each layer, on llama.cpp: what its own state says against the plan.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "engine/session_snapshot.h"
#include "engine/state_rows.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "support/plain_llama.h"
#include "support/test_models.h"

namespace kvevict {
namespace {

/// The sink, a window of `width` tokens that lies elsewhere in each layer, and the recent tokens.
class StairPolicy final : public Policy {
 public:
  explicit StairPolicy(std::int64_t step) : step_(step) {
    spec_.config.sink_tokens = kSink;
    spec_.config.recent_tokens = kRecent;
  }
  static constexpr std::int64_t kSink = 4, kWidth = 30, kRecent = 20;

  [[nodiscard]] std::string versioned_name() const override { return "stair/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] bool is_per_layer() const noexcept override { return true; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return kRecent; }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState&) const override {
    return kSink + kWidth + kRecent;
  }
  [[nodiscard]] KeepPlan plan(std::int64_t n, PolicyState& state) const override {
    std::vector<KeepSet> sets;
    std::vector<std::size_t> set_of_layer;
    for (std::int64_t l = 0; l < state.n_layers; ++l) {
      set_of_layer.push_back(sets.size());
      sets.push_back(set_of(l, n));
    }
    return {std::move(sets), std::move(set_of_layer)};
  }
  /// The window begins behind the sink, `step` tokens further in each layer.
  [[nodiscard]] KeepSet set_of(std::int64_t layer, std::int64_t n) const {
    const std::int64_t begin = kSink + layer * step_;
    return KeepSet::from_ranges(
        {{0, kSink}, {begin, begin + kWidth}, {std::max<std::int64_t>(0, n - kRecent), n}});
  }

 private:
  std::int64_t step_;
  StrategySpec spec_;
};

constexpr std::int64_t kTokens = 200;

std::shared_ptr<const StairPolicy> stair(std::int64_t step) {
  return std::make_shared<const StairPolicy>(step);
}

SessionOptions options_of(KvType type, FlashAttention flash, PositionMode positions) {
  SessionOptions options;
  options.type_k = type;
  options.type_v = type == KvType::kQ8_0 && flash == FlashAttention::kOff ? KvType::kF16 : type;
  options.flash_attention = flash;
  options.positions = positions;
  return options;
}

StateRows rows_of(Session& session) {
  return StateRows(session.snapshot().cells);
}

double most_different(std::span<const float> a, std::span<const float> b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    most = std::max(most, std::abs(static_cast<double>(a[i]) - b[i]));
  return most;
}

using KindOfCache = std::tuple<KvType, FlashAttention>;
class EachLayer : public testing::TestWithParam<KindOfCache> {};

TEST_P(EachLayer, HoldsTheRowsOfItsPlan) {
  const auto model = test::load_model(test::shallow_model_path());
  const auto [type, flash] = GetParam();
  const std::vector<Token> text = test::prose_tokens(*model, kTokens);
  const auto policy = stair(4);
  Session session(model, policy, options_of(type, flash, PositionMode::kAbsolute));
  session.append(std::span(text).first(kTokens));
  const StateRows before = rows_of(session);
  const EvictionReport report = session.evict();
  const StateRows after = rows_of(session);
  ASSERT_EQ(after.n_cells(), 54U);
  EXPECT_EQ(session.count_occupied_cells(), 54);
  EXPECT_EQ(report.n_removed, kTokens - 54);
  for (std::size_t l = 0; l < after.n_layers(); ++l) {
    const std::vector<std::int64_t> indices =
        policy->set_of(static_cast<std::int64_t>(l), kTokens).to_indices();
    EXPECT_EQ(report.kept.layer(l).to_indices(), indices);
    for (std::size_t slot = 0; slot < indices.size(); ++slot) {
      const auto index = static_cast<std::size_t>(indices[slot]);
      ASSERT_EQ(after.key(l, slot), before.key(l, index)) << "layer " << l << " slot " << slot;
      ASSERT_EQ(after.value(l, slot), before.value(l, index)) << "layer " << l << " slot " << slot;
    }
  }
  session.append({&text.front(), 1});  // goes on at position 200
  EXPECT_EQ(session.record(2).back().first_position + session.record(2).back().indices.count(), kTokens + 1);
  EXPECT_TRUE(std::isfinite(session.logits().front()));
}

INSTANTIATE_TEST_SUITE_P(Caches, EachLayer,
                         testing::Values(KindOfCache{KvType::kF16, FlashAttention::kOn},
                                         KindOfCache{KvType::kF16, FlashAttention::kOff},
                                         KindOfCache{KvType::kF32, FlashAttention::kOff},
                                         KindOfCache{KvType::kBf16, FlashAttention::kOn},
                                         KindOfCache{KvType::kQ8_0, FlashAttention::kOn},
                                         KindOfCache{KvType::kQ8_0, FlashAttention::kOff}));

TEST(Layered, TheSameSetInAllLayersIsWhatRemovingCellsGives) {
  const auto model = test::load_model(test::shallow_f32_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens + 2);
  const SessionOptions options = options_of(KvType::kF32, FlashAttention::kOff, PositionMode::kAbsolute);
  Session session(model, stair(0), options);
  session.append(std::span(text).first(kTokens));
  session.evict();
  session.append(std::span(text).subspan(kTokens, 2));
  test::PlainLlama plain(*model, options, 256);
  plain.decode(std::span(text).first(kTokens), 0);
  plain.remove(34, 180);
  plain.decode(std::span(text).subspan(kTokens, 2), kTokens);
  EXPECT_LE(most_different(session.logits(), plain.logits()), 1e-4);
}

TEST(Layered, PackedKeysAreTurnedAsLlamaTurnsThem) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens + 1);
  for (const KvType type : {KvType::kF16, KvType::kF32}) {
    const SessionOptions options = options_of(type, FlashAttention::kOff, PositionMode::kPacked);
    Session session(model, stair(38), options);
    session.append(std::span(text).first(kTokens));
    session.evict();
    const StateRows ours = rows_of(session);
    EXPECT_EQ(ours.positions().back(), 53);
    for (const std::int64_t layer : {0, 1, 2, 3}) {  // every layer with the set of that one, by K-shift
      const std::int64_t step = 38 * layer;
      test::PlainLlama plain(*model, options, 256);
      plain.decode(std::span(text).first(kTokens), 0);
      const std::int64_t begin = 4 + step;
      if (step > 0) plain.remove(4, begin);
      plain.remove(begin + 30, 180);
      plain.shift(begin, begin + 30, -step);
      plain.shift(180, 200, -146);
      plain.decode({&text.back(), 1}, 54);  // rotates the keys
      const StateRows theirs(plain.state(0));
      for (std::size_t slot = 0; slot < 54; ++slot) {
        const auto l = static_cast<std::size_t>(layer);
        ASSERT_EQ(ours.key(l, slot), theirs.key(l, slot)) << "layer " << l << " slot " << slot;
        ASSERT_EQ(ours.value(l, slot), theirs.value(l, slot));
      }
    }
  }
}

/// A packed session with a plan for each layer is refused with a sentence that holds `words`, before anything
/// is decoded; and so is a fork of another session over some text, which stays as it was.
void expect_keys_are_not_turned(const std::shared_ptr<const Model>& model, SessionOptions options,
                                const char* words) {
  const auto expect_refusal = [&](const std::function<void()>& make) {
    try {
      make();
      FAIL() << "the keys would be rotated";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  };
  expect_refusal([&] { const Session session(model, stair(4), options); });
  options.n_sequences = 2;
  Session session(model, make_policy("full"), options);
  session.append(test::prose_tokens(*model, kTokens));
  expect_refusal([&] { (void)session.fork(stair(4)); });
  EXPECT_EQ(session.stats().n_tokens_held, kTokens);
  EXPECT_EQ(session.held(), KeepSet::all(kTokens));
  EXPECT_EQ(&session.policy(), &session.fork().policy()) << "a sequence is still free";
}

TEST(Layered, RefusesToTurnKeysThatGgmlCannot) {
  expect_keys_are_not_turned(test::load_model(test::shallow_model_path()),
                             options_of(KvType::kQ8_0, FlashAttention::kOn, PositionMode::kPacked),
                             "absolute positions");
}

TEST(Layered, RefusesToTurnKeysWhereLlamaTurnsThemOtherwise) {
  expect_keys_are_not_turned(test::load_model(test::yarn_rope_model_path()),
                             options_of(KvType::kF16, FlashAttention::kOff, PositionMode::kPacked),
                             "differs from the model's own");
}

TEST(Layered, TurnsKeysWhosePositionsAreAllScaledAlike) {
  const auto model = test::load_model(test::linear_rope_model_path());
  Session session(model, stair(4), options_of(KvType::kF16, FlashAttention::kOff, PositionMode::kPacked));
  session.append(test::prose_tokens(*model, kTokens));
  session.evict();  // the rotation is held against the model's own by itself
  EXPECT_EQ(session.stats().n_tokens_held, 54);
}

TEST(Layered, GoesOnBoundedAndInAnswersAndAfterARestart) {
  const auto model = test::load_model(test::short_context_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 1200);
  const auto policy = stair(1);
  for (const PositionMode positions : {PositionMode::kAbsolute, PositionMode::kPacked, PositionMode::kAuto}) {
    SessionOptions options = options_of(KvType::kF16, FlashAttention::kAuto, positions);
    options.n_chunk = 100;
    options.prefill = PrefillMode::kBounded;
    options.past_trained_context = true;  // absolute positions
    Session session(model, policy, options);
    for (std::size_t from = 0; from < 1200; from += 300) {
      session.append(std::span(text).subspan(from, 300));
      EXPECT_LE(session.count_occupied_cells(), 54 + 100);
      EXPECT_EQ(session.count_occupied_cells(), session.stats().n_tokens_held);
    }
    EXPECT_EQ(session.stats().n_cells, 256);
    const std::int64_t next =
        session.record(3).back().first_position + session.record(3).back().indices.count();
    if (positions == PositionMode::kAbsolute) {
      EXPECT_EQ(next, 1200);
    }
    if (positions == PositionMode::kPacked) {
      EXPECT_LE(next, 154);
    }
    if (positions == PositionMode::kAuto) {
      EXPECT_LE(next, 512);
    }
    Session again = Session::restore(model, policy, options, session.snapshot());
    EXPECT_EQ(again.held_by_layer(), session.held_by_layer());
    const GenerateOptions answer{.max_new_tokens = 100, .stop_at_end_of_generation = false};
    EXPECT_EQ(session.generate(answer).tokens, again.generate(answer).tokens);
    EXPECT_LE(session.stats().n_tokens_held, 54 + options.n_decode_slack);
    EXPECT_EQ(again.held_by_layer(), session.held_by_layer());
  }
}

TEST(Layered, ForksMoveOutBeforeTheirLayersDiffer) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens + 1);
  SessionOptions options;
  options.n_sequences = 3;
  Session whole(model, make_policy("full"), options);
  whole.append(std::span(text).first(kTokens));
  Session fork = whole.fork(stair(3));
  fork.evict();
  EXPECT_EQ(whole.held(), KeepSet::all(kTokens));
  EXPECT_EQ(whole.count_occupied_cells(), kTokens);
  EXPECT_EQ(fork.count_occupied_cells(), 54);
  Session alone(model, stair(3), options);
  alone.append(std::span(text).first(kTokens));
  alone.evict();
  fork.append({&text.back(), 1});
  alone.append({&text.back(), 1});
  EXPECT_LE(most_different(fork.logits(), alone.logits()), 1e-3);
}

/// One set more or fewer than there are layers.
class OtherLayersPolicy final : public Policy {
 public:
  explicit OtherLayersPolicy(std::size_t n_layers) : n_layers_(n_layers) {}
  [[nodiscard]] std::string versioned_name() const override { return "other_layers/1"; }
  [[nodiscard]] const StrategySpec& spec() const noexcept override { return spec_; }
  [[nodiscard]] bool is_per_layer() const noexcept override { return true; }
  [[nodiscard]] std::int64_t n_newest_kept() const noexcept override { return 20; }
  [[nodiscard]] std::optional<std::int64_t> budget_tokens(const PolicyState&) const override { return 30; }
  [[nodiscard]] KeepPlan plan(std::int64_t n, PolicyState&) const override {
    std::vector<std::size_t> set_of_layer(n_layers_, 0);
    set_of_layer.back() = 1;
    return {{KeepSet::from_ranges({{0, 10}, {n - 20, n}}), KeepSet::from_ranges({{10, 20}, {n - 20, n}})},
            set_of_layer};
  }

 private:
  std::size_t n_layers_;
  StrategySpec spec_;
};

TEST(Layered, RefusesAPlanOfMoreOrFewerLayersThanTheModelHas) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, kTokens);
  for (const std::size_t n_layers : {2U, 3U, 5U}) {
    Session session(model, std::make_shared<const OtherLayersPolicy>(n_layers));
    session.append(std::span(text).first(kTokens));
    try {
      session.evict();
      FAIL() << n_layers;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    }
    EXPECT_EQ(session.held(), KeepSet::all(kTokens));
  }
  Session session(model, make_policy("full"));
  session.append(std::span(text).first(kTokens));
  StateRows rows = rows_of(session);
  CellArrangement arrangement;
  arrangement.positions = {0};
  arrangement.rows = {{.source_slots = {0}, .rotations = {}}};
  arrangement.rows_of_layer.assign(rows.n_layers() + 1, 0);
  EXPECT_THROW((void)rows.arranged(arrangement, nullptr), Error);
}

TEST(StateRowsTest, RefusesEveryStateThatIsNotWhole) {
  const auto model = test::load_model(test::shallow_model_path());
  const std::vector<Token> text = test::prose_tokens(*model, 8);
  Session session(model, make_policy("full"));
  session.append(std::span(text).first(3));
  const std::vector<std::uint8_t> whole = session.snapshot().cells;
  EXPECT_EQ(StateRows(whole).n_cells(), 3U);
  for (std::size_t n = 0; n < whole.size(); n += n < 64 ? 1 : 997) {
    EXPECT_THROW(
        StateRows(std::vector<std::uint8_t>(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))),
        Error);
  }
  std::vector<std::uint8_t> longer = whole;
  longer.push_back(0);
  EXPECT_THROW(StateRows{longer}, Error);
  for (const std::size_t byte : {0U, 8U, 12U, 20U}) {  // the mark, the streams, the cells, the sequences
    std::vector<std::uint8_t> broken = whole;
    broken[byte] ^= 0x40U;
    EXPECT_THROW(StateRows{broken}, Error) << byte;
  }
}

/// A model with factors of its frequencies, as Llama 3 has them: K and V of each layer are those that
/// llama.cpp itself makes of the layer's set when it shifts all layers by it.
TEST(Layered, RotatesByTheModelsOwnFactors) {
  const auto model = test::load_model(test::sentence_piece_model_path());
  SessionOptions options = options_of(KvType::kF32, FlashAttention::kOff, PositionMode::kPacked);
  std::vector<Token> text;
  for (int i = 0; i < 120; ++i) text.push_back(3 + (i * 37 + i / 7) % 250);
  Session layered(model, make_policy("ladder:4:20:20"), options);  // held against the model by itself
  layered.append(text);
  layered.evict();
  EXPECT_EQ(layered.count_occupied_cells(), layered.stats().n_tokens_held);
  EXPECT_EQ(layered.options().positions, PositionMode::kPacked);
}

}  // namespace
}  // namespace kvevict
