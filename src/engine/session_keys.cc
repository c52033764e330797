#include "engine/session_keys.h"

#include <algorithm>
#include <string>

#include "kvevict/error.h"

namespace kvevict {
namespace {

/// The position that a key is rotated for, before the shifts that wait.
std::int64_t position_before(std::int64_t position, std::span<const PositionShift> waiting) {
  for (auto s = waiting.rbegin(); s != waiting.rend(); ++s) {
    const bool was_moved =
        position >= s->positions.begin + s->delta && position < s->positions.end + s->delta;
    if (was_moved) position -= s->delta;
  }
  return position;
}

/// Turns each head of each row, of `rows` `[rows, n_heads, dim]`.
void turn(std::vector<float>& rows, std::size_t n_heads, std::size_t dim, const KeyRotator::Turns& turns) {
  const std::size_t n_rows = rows.size() / (n_heads * dim);
  const std::size_t n = turns.n_pairs;
  for (std::size_t r = 0; r < n_rows; ++r) {
    const float* const c = turns.cosines.data() + r * n;
    const float* const s = turns.sines.data() + r * n;
    for (std::size_t h = 0; h < n_heads; ++h) {
      float* const key = rows.data() + (r * n_heads + h) * dim + turns.n_before;
      for (std::size_t i = 0; i < n; ++i) {
        float& x = turns.is_neox ? key[i] : key[2 * i];
        float& y = turns.is_neox ? key[i + n] : key[2 * i + 1];
        const float turned = x * c[i] - y * s[i];
        y = x * s[i] + y * c[i];
        x = turned;
      }
    }
  }
}

}  // namespace

SessionKeys::SessionKeys(const Model& model, KvContext& context, llama_seq_id sequence,
                         const SequenceRecord& record, std::shared_ptr<const KeyForm> form)
    : context_(context),
      sequence_(sequence),
      record_(record),
      form_(std::move(form)),
      rotator_(form_ && form_->rotator ? std::make_unique<KeyRotator>(*form_->rotator) : nullptr),
      head_dim_(form_ ? form_->head_dim : key_head_dim(model)),
      held_(record.held()) {
  const ModelInfo& info = model.info();
  for (std::size_t l = 0; l < info.cache_layers.size(); ++l) {
    const std::vector<int>& windows = info.window_layers;
    if (!std::binary_search(windows.begin(), windows.end(), info.cache_layers[l])) layers_.push_back(l);
  }
}

LayerKeys SessionKeys::layer(std::size_t layer) {
  if (!rows_) rows_.emplace(context_.keys(sequence_));
  const auto n_held = static_cast<std::size_t>(record_.map().n_held());
  if (rows_->n_layers() != layers_.size() || rows_->n_cells() != n_held) {
    throw Error(ErrorCode::kEngine, "the cache has keys of " + std::to_string(rows_->n_cells()) +
                                        " tokens in " + std::to_string(rows_->n_layers()) +
                                        " layers: " + std::to_string(n_held) + " in " +
                                        std::to_string(layers_.size()) + " were expected");
  }
  rows_->key_numbers(layer, numbers_);
  const std::size_t width = numbers_.size() / std::max<std::size_t>(1, n_held);
  const auto dim = static_cast<std::size_t>(head_dim_);
  const std::size_t n_heads = width % dim == 0 ? width / dim : 1;
  if (form_ && form_->n_mixed > 0) mix_by_hadamard(numbers_, form_->n_mixed);
  if (rotator_ && rotator_->rotates(layer)) take_rotation_back(layer, n_heads);
  return {numbers_, static_cast<std::int64_t>(n_heads), static_cast<std::int64_t>(width / n_heads)};
}

void SessionKeys::take_rotation_back(std::size_t layer, std::size_t n_heads) {
  const std::size_t l = layers_[layer];
  const std::size_t map_number = record_.layers() ? record_.layers()->map_of_layer()[l] : 0;
  const auto dim = static_cast<std::size_t>(head_dim_);
  if (numbers_.size() % (n_heads * dim) != 0)
    throw Error(ErrorCode::kUnsupported, "the cached keys are of another width than the model's heads");
  turn(numbers_, n_heads, dim, turns_of(map_number, record_.map(l)));
}

const KeyRotator::Turns& SessionKeys::turns_of(std::size_t map_number, const CacheMap& map) {
  if (turns_ && turns_map_ == map_number) return *turns_;
  std::vector<std::int32_t> back;
  back.reserve(static_cast<std::size_t>(map.n_held()));
  for (const HeldRun& run : map.runs()) {
    for (std::int64_t i = 0; i < run.indices.count(); ++i) {
      const std::int64_t position =
          position_before(run.first_position + i, context_.waiting_shifts(sequence_));
      back.push_back(static_cast<std::int32_t>(-position));
    }
  }
  turns_ = rotator_->turns(back);
  turns_map_ = map_number;
  return *turns_;
}

}  // namespace kvevict
