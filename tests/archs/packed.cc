#include "archs/packed.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <string>

#include "archs/reference.h"
#include "archs/rows.h"
#include "engine/model_traits.h"

namespace kvevict::test {
namespace {

using ModelPtr = std::shared_ptr<const Model>;

SessionOptions packed_options() {
  SessionOptions options = exact_options();
  options.positions = PositionMode::kPacked;
  return options;
}

/// One eviction of a prompt, and some tokens behind it.
void check_once(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  Session session(model, make_policy(kScattered), packed_options());
  PlainLlama plain(*model, exact_options(), kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  expect_count(session);
  pack(plain, report.kept.layer(0), kPrompt);
  go_on(session, plain, std::span(text).subspan(kPrompt), report.kept.count(), difference,
        "after the eviction");
}

/// By how much llama.cpp's own logits scatter if it decodes the same text in other batches: 1e-7 with most
/// models, a hundred times that with those whose GELU is a table of f16.
double scatter(const Model& model) {
  const std::vector<Token> text = made_up_tokens(model, kPrompt);
  PlainLlama at_once(model, exact_options(), kCells);
  at_once.decode(text, 0);
  PlainLlama in_parts(model, exact_options(), kCells);
  for (std::int64_t from = 0; from < kPrompt; from += 24)
    in_parts.decode(std::span(text).subspan(static_cast<std::size_t>(from), 24), from);
  return relative_difference(in_parts.logits(), at_once.logits());
}

/// Without a sink every kept token moves by as much: the distances between them stay, and so do the logits,
/// but for the last digits of the angles. If keys are moved in one layer that should not be, they change by
/// 6e-6 or more.
void check_distances(const ModelPtr& model) {
  LargestDifference difference(std::max(3e-6, 10 * scatter(*model)));
  const char* const strategy = "sink_recent:0:40";
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  Session session(model, make_policy(strategy), packed_options());
  PlainLlama plain(*model, exact_options(), kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  expect_count(session);
  if (session.record().front().first_position != 0) throw WrongResult("the positions were not packed");
  remove_all_but(plain, report.kept.layer(0), kPrompt);
  go_on(session, plain, std::span(text).subspan(kPrompt), kPrompt, difference,
        "after everything moved by as much");
  check_stream(model, strategy, PositionMode::kPacked, PositionMode::kAbsolute, difference);
}

std::vector<float> as_floats(const std::vector<std::uint8_t>& bytes) {
  std::vector<float> numbers(bytes.size() / sizeof(float));
  std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(float));
  return numbers;
}

/// Whether three quarters of the numbers of two keys are equal. Frequencies that the fixture's random factors
/// make thousands of times too high lose their digits: those few numbers say nothing.
bool are_equal_keys(const std::vector<float>& ours, const std::vector<float>& theirs) {
  double largest = 0;
  for (const float number : theirs) largest = std::max(largest, std::abs(static_cast<double>(number)));
  std::size_t n_equal = 0;
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    const double difference = std::abs(static_cast<double>(ours[i]) - static_cast<double>(theirs[i]));
    n_equal += difference <= 1e-3 * largest ? 1 : 0;
  }
  return 4 * n_equal >= 3 * theirs.size();
}

/// Architectures to which the fixture gives factors of frequencies (rope_freqs) that llama.cpp's shift uses
/// and its graph does not. No real model has them.
bool has_unreal_factors(const std::string& architecture) {
  return architecture == "cogvlm" || architecture == "pangu-embedded" || architecture == "falcon-h1";
}

/// A key of the first layer depends on its token and position alone, if that layer reads nothing of other
/// tokens.
void check_first_keys(const ModelPtr& model) {
  if (llama_model_is_hybrid(model->handle())) return;
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 1);
  Session session(model, make_policy(kScattered), packed_options());
  session.append(std::span(text).first(kPrompt));
  const EvictionReport report = session.evict({.n_reserve = 1});
  session.append({&text.back(), 1});  // shifts that waited are done
  std::vector<Token> kept;
  for (const std::int64_t index : report.kept.layer(0).to_indices())
    kept.push_back(text[static_cast<std::size_t>(index)]);
  PlainLlama plain(*model, exact_options(), kCells);
  plain.decode(kept, 0);
  const std::optional<StateRows> ours = rows_of(session);
  const std::optional<StateRows> theirs = rows_of(plain.state(0), *model);
  if (!ours || !theirs) return;
  for (std::size_t slot = 0; slot < kept.size(); ++slot) {
    if (are_equal_keys(as_floats(ours->key(0, slot)), as_floats(theirs->key(0, slot)))) continue;
    throw WrongResult("the keys that were moved are not those of their new positions");
  }
}

}  // namespace

void check_packed(const std::shared_ptr<const Model>& model, LargestDifference& difference) {
  const Session refused_or_not(model, make_policy(kScattered), packed_options());
  if (PlainLlama(*model, exact_options(), kCells).can_shift() && !moves_by_rows(model->handle())) {
    check_once(model, difference);
    check_stream(model, kScattered, PositionMode::kPacked, PositionMode::kPacked, difference);
    check_stream(model, "streaming_llm:4:36", PositionMode::kPacked, PositionMode::kPacked, difference);
  }
  // A learned position is in the token: moved keys keep the one that they were made with.
  if (has_unreal_factors(model->info().architecture) || has_learned_positions(model->handle())) return;
  check_first_keys(model);
  check_distances(model);
}

}  // namespace kvevict::test
