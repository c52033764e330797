#include "engine/key_rotator_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "engine/ggml_types.h"
#include "engine/kv_context.h"
#include "engine/state_rows.h"
#include "kvevict/error.h"
#include "kvevict/model.h"

namespace kvevict {
namespace {

constexpr std::int64_t kTokens = 40;
constexpr std::int64_t kGap = 17;  // positions [3, 3 + gap) go, those behind them move up

/// The K row of a slot as numbers.
std::vector<float> key_numbers(const StateRows& rows, std::size_t layer, std::size_t slot, ggml_type type) {
  const std::vector<std::uint8_t> bytes = rows.key(layer, slot);
  std::vector<float> numbers(bytes.size() / ggml_type_size(type));
  if (type == GGML_TYPE_F32) {
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
  } else {
    ggml_fp16_to_fp32_row(reinterpret_cast<const ggml_fp16_t*>(bytes.data()), numbers.data(),
                          static_cast<std::int64_t>(numbers.size()));
  }
  return numbers;
}

/// The largest difference of any two numbers, as a share of the largest number of their row. On one device
/// there is none; another one's sine may differ in the last bits.
double most_different(const StateRows& a, const StateRows& b, ggml_type type) {
  double most = 0;
  for (std::size_t layer = 0; layer < a.n_layers(); ++layer) {
    for (std::size_t slot = 0; slot < a.n_cells(); ++slot) {
      const std::vector<float> x = key_numbers(a, layer, slot, type);
      const std::vector<float> y = key_numbers(b, layer, slot, type);
      double largest = 1e-6;
      double difference = 0;
      for (std::size_t i = 0; i < x.size(); ++i) {
        largest = std::max(largest, std::abs(static_cast<double>(x[i])));
        difference = std::max(difference, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
      }
      most = std::max(most, difference / largest);
    }
  }
  return most;
}

void decode_tokens(KvContext& context, llama_seq_id sequence, std::int64_t first_position,
                   std::int64_t n_tokens, int n_vocab) {
  for (std::int64_t i = 0; i < n_tokens; ++i) {
    const std::int64_t position = first_position + i;
    const BatchToken token{.token = static_cast<Token>((7 * position + 3) % n_vocab),
                           .position = position,
                           .sequence = sequence,
                           .wants_logits = true};
    context.decode({&token, 1});
  }
}

}  // namespace

std::unique_ptr<KeyRotator> checked_key_rotator(std::shared_ptr<const Model> model,
                                                const SessionOptions& options) {
  auto rotator = std::make_unique<KeyRotator>(model->handle(), to_ggml(options.type_k), options.n_threads);
  SessionOptions small = options;
  small.n_sequences = 1;
  small.positions = PositionMode::kPacked;
  small.cancel = nullptr;
  KvContext context(model, small, kTokens);
  const llama_seq_id sequence = context.take_sequence();
  decode_tokens(context, sequence, 0, kTokens, model->info().n_vocab);

  constexpr PositionRange kRemoved{3, 3 + kGap};
  context.carry_out(sequence, {.removed = {kRemoved}});
  const StateRows before(context.copy(sequence));
  CellArrangement arrangement;
  arrangement.rows_of_layer.assign(before.n_layers(), 0);
  LayerRows& rows = arrangement.rows.emplace_back();
  for (std::int32_t slot = 0; slot < kTokens - kGap; ++slot) {
    arrangement.positions.push_back(slot);
    rows.source_slots.push_back(slot);
    rows.rotations.push_back(slot < kRemoved.begin ? 0 : static_cast<std::int32_t>(-kGap));
  }
  const StateRows ours(before.arranged(arrangement, rotator.get()));

  context.carry_out(sequence, {.shifts = {{{3 + kGap, kTokens}, -kGap}}});
  decode_tokens(context, sequence, kTokens - kGap, 1, model->info().n_vocab);  // carries the shift out
  context.carry_out(sequence, {.removed = {{kTokens - kGap, kTokens - kGap + 1}}});
  constexpr double kMostF16 = 4e-3;  // four units in the last place
  constexpr double kMostF32 = 1e-4;
  const ggml_type type = to_ggml(options.type_k);
  const double difference = most_different(ours, StateRows(context.copy(sequence)), type);
  if (difference > (type == GGML_TYPE_F32 ? kMostF32 : kMostF16)) {
    throw Error(ErrorCode::kUnsupported,
                "the keys of " + model->info().name +
                    " cannot be rotated layer by layer: ggml's rotation of them differs from llama.cpp's own "
                    "shift; use absolute positions with this strategy");
  }
  return rotator;
}

}  // namespace kvevict
