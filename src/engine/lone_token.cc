#include "engine/lone_token.h"

#include <string>
#include <utility>

#include "kvevict/error.h"

namespace kvevict {
namespace {

SessionOptions alone(SessionOptions options) {
  options.n_sequences = 1;
  options.positions = PositionMode::kAbsolute;
  options.cancel = nullptr;
  return options;
}

}  // namespace

LoneToken::LoneToken(std::shared_ptr<const Model> model, SessionOptions options)
    : model_(std::move(model)), context_(model_, alone(std::move(options)), 1) {}

template <typename Read>
StateRows LoneToken::read(Token token, std::int64_t position, std::size_t n_layers, Read read) {
  const llama_seq_id sequence = context_.take_sequence();
  const BatchToken batch{.token = token, .position = position, .sequence = sequence, .wants_logits = true};
  context_.decode({&batch, 1});
  StateRows rows = read(sequence);
  context_.release_sequence(sequence);
  if (rows.n_layers() == n_layers) return rows;
  throw Error(ErrorCode::kUnsupported, "the layers of " + model_->info().name +
                                           " cannot be told apart: its cache has " +
                                           std::to_string(rows.n_layers()) +
                                           " of them and its file speaks of " + std::to_string(n_layers));
}

StateRows LoneToken::decoded(Token token, std::int64_t position) {
  return read(token, position, model_->info().cache_layers.size(), [this](llama_seq_id sequence) {
    return StateRows(context_.copy(sequence), state_form_of(model_->handle()));
  });
}

StateRows LoneToken::decoded_keys(Token token, std::int64_t position) {
  const ModelInfo& info = model_->info();
  return read(token, position, info.cache_layers.size() - info.window_layers.size(),
              [this](llama_seq_id sequence) { return context_.keys(sequence); });
}

}  // namespace kvevict
