#include "engine/key_turner_check.h"

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

/// Keys of all layers and slots.
std::vector<std::vector<std::uint8_t>> keys_of(const StateRows& rows) {
  std::vector<std::vector<std::uint8_t>> keys;
  for (std::size_t layer = 0; layer < rows.n_layers(); ++layer) {
    for (std::size_t slot = 0; slot < rows.n_cells(); ++slot) keys.push_back(rows.key(layer, slot));
  }
  return keys;
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

std::shared_ptr<const KeyTurner> checked_key_turner(std::shared_ptr<const Model> model,
                                                    const SessionOptions& options) {
  auto turner = std::make_shared<const KeyTurner>(model->handle(), to_ggml(options.type_k));
  SessionOptions small = options;
  small.n_sequences = 1;
  small.positions = PositionMode::kPacked;
  small.scores.reset();
  small.cancel = nullptr;
  KvContext context(model, small, kTokens);
  const llama_seq_id sequence = context.take_sequence();
  decode_tokens(context, sequence, 0, kTokens, model->info().n_vocab);

  constexpr PositionRange kRemoved{3, 3 + kGap};
  context.remove(sequence, std::span(&kRemoved, 1));
  const StateRows before(context.copy(sequence));
  CellArrangement arrangement;
  arrangement.rows_of_layer.assign(before.n_layers(), 0);
  LayerRows& rows = arrangement.rows.emplace_back();
  for (std::int32_t slot = 0; slot < kTokens - kGap; ++slot) {
    arrangement.positions.push_back(slot);
    rows.source_slots.push_back(slot);
    rows.turns.push_back(slot < kRemoved.begin ? 0 : static_cast<std::int32_t>(-kGap));
  }
  const StateRows ours(before.arranged(arrangement, turner.get()));

  const PositionShift shift{{3 + kGap, kTokens}, -kGap};
  context.shift(sequence, std::span(&shift, 1));
  decode_tokens(context, sequence, kTokens - kGap, 1, model->info().n_vocab);  // carries the shift out
  const PositionRange last{kTokens - kGap, kTokens - kGap + 1};
  context.remove(sequence, std::span(&last, 1));
  if (keys_of(ours) != keys_of(StateRows(context.copy(sequence)))) {
    throw Error(ErrorCode::kUnsupported,
                "the keys of " + model->info().name +
                    " cannot be turned layer by layer: ggml's rotation of them differs from llama.cpp's own "
                    "shift; use absolute positions with this strategy");
  }
  return turner;
}

}  // namespace kvevict
