#include "engine/key_rotator_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "engine/ggml_types.h"
#include "engine/gguf_file.h"
#include "engine/kv_context.h"
#include "engine/state_rows.h"
#include "kvevict/error.h"
#include "kvevict/model.h"

namespace kvevict {
namespace {

/// The K row of a slot as numbers.
std::vector<float> key_numbers(const StateRows& rows, std::size_t layer, ggml_type type) {
  const std::vector<std::uint8_t> bytes = rows.key(layer, 0);
  std::vector<float> numbers(bytes.size() / ggml_type_size(type));
  if (type == GGML_TYPE_F32) {
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
  } else {
    ggml_fp16_to_fp32_row(reinterpret_cast<const ggml_fp16_t*>(bytes.data()), numbers.data(),
                          static_cast<std::int64_t>(numbers.size()));
  }
  return numbers;
}

/// Whether the key of a layer is the same in both, to within the last bits of its type: another device's sine
/// may differ there. Measured by the largest number of the key.
bool is_same_key(const StateRows& a, const StateRows& b, std::size_t layer, ggml_type type) {
  const std::vector<float> x = key_numbers(a, layer, type);
  const std::vector<float> y = key_numbers(b, layer, type);
  double largest = 1e-6;
  double difference = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(x[i])));
    difference = std::max(difference, std::abs(static_cast<double>(x[i]) - static_cast<double>(y[i])));
  }
  constexpr double kMostF16 = 4e-3;  // four units in the last place
  constexpr double kMostF32 = 1e-4;
  return difference <= largest * (type == GGML_TYPE_F32 ? kMostF32 : kMostF16);
}

/// A context of one token at a time. Alone in the cache a token sees itself only, so that its key depends on
/// its position by the rotation alone, in every layer: decoded at two positions, the one is the other
/// rotated.
class LoneToken {
 public:
  LoneToken(std::shared_ptr<const Model> model, SessionOptions options)
      : model_(std::move(model)), context_(model_, alone(std::move(options)), 1) {}

  /// Its rows at `position`. Errors: kUnsupported for a state that is not known, or of other layers than the
  /// model's file says.
  [[nodiscard]] StateRows decoded(Token token, std::int64_t position) {
    const llama_seq_id sequence = context_.take_sequence();
    const BatchToken batch{.token = token, .position = position, .sequence = sequence, .wants_logits = true};
    context_.decode({&batch, 1});
    StateRows rows(context_.copy(sequence), state_form_of(model_->handle()));
    context_.release_sequence(sequence);
    if (rows.n_layers() == model_->info().cache_layers.size()) return rows;
    throw Error(ErrorCode::kUnsupported,
                "the layers of " + model_->info().name + " cannot be evicted differently: its cache has " +
                    std::to_string(rows.n_layers()) + " of them and its file speaks of " +
                    std::to_string(model_->info().n_cache_layers()));
  }

 private:
  static SessionOptions alone(SessionOptions options) {
    options.n_sequences = 1;
    options.positions = PositionMode::kAbsolute;
    options.cancel = nullptr;
    return options;
  }

  std::shared_ptr<const Model> model_;
  KvContext context_;
};

}  // namespace

void require_known_rows(const std::shared_ptr<const Model>& model, const SessionOptions& options) {
  static_cast<void>(LoneToken(model, options).decoded(0, 0));
}

namespace {

/// Whether `rotator` rotates as the model does in every layer; layers without rotation are noted in it.
/// Errors: those of `LoneToken::decoded`.
bool rotates_as(LoneToken& lone, KeyRotator& rotator, const Model& model, ggml_type type) {
  const std::size_t n_layers = model.info().cache_layers.size();
  std::vector<bool> is_rotated(n_layers, true);  // layer by layer, as far as was seen: by this rotation …
  std::vector<bool> is_left(n_layers, true);     // … or not at all
  constexpr std::int32_t kPositions[][2] = {{5, 0}, {0, 38}, {40, 23}, {1000, 17}};
  for (std::int32_t i = 0; i < 4; ++i) {
    const auto [from, to] = kPositions[i];
    const Token token = (7 * i + 3) % model.info().n_vocab;
    CellArrangement arrangement;
    arrangement.positions = {to};
    arrangement.rows = {{.source_slots = {0}, .rotations = {to - from}}};
    arrangement.rows_of_layer.assign(n_layers, 0);
    const StateRows before = lone.decoded(token, from);
    const StateRows after = lone.decoded(token, to);
    const StateRows ours(before.arranged(arrangement, &rotator), state_form_of(model.handle()));
    for (std::size_t layer = 0; layer < n_layers; ++layer) {
      is_rotated[layer] = is_rotated[layer] && is_same_key(ours, after, layer, type);
      is_left[layer] = is_left[layer] && is_same_key(before, after, layer, type);
    }
  }
  for (std::size_t layer = 0; layer < n_layers; ++layer) {
    if (!is_rotated[layer] && !is_left[layer]) return false;
    if (!is_rotated[layer]) rotator.leave(layer);
  }
  return true;
}

}  // namespace

std::unique_ptr<KeyRotator> checked_key_rotator(const std::shared_ptr<const Model>& model,
                                                const SessionOptions& options) {
  const ggml_type type = to_ggml(options.type_k);
  LoneToken lone(model, options);
  auto plain = std::make_unique<KeyRotator>(model->handle(), type, options.n_threads);
  if (!plain->rotates_any()) {  // learned positions change the keys of a token otherwise
    static_cast<void>(lone.decoded(0, 0));
    return plain;
  }
  if (rotates_as(lone, *plain, *model, type)) return plain;
  // Not each model whose file has them uses them: they come second.
  if (std::vector<float> factors = GgufFile(model->path()).floats("rope_freqs.weight"); !factors.empty()) {
    auto scaled = std::make_unique<KeyRotator>(model->handle(), type, options.n_threads, std::move(factors));
    if (rotates_as(lone, *scaled, *model, type)) return scaled;
  }
  throw Error(ErrorCode::kUnsupported,
              "the keys of " + model->info().name +
                  " cannot be rotated layer by layer: ggml's rotation of them differs from the model's own; "
                  "use absolute positions with this strategy");
}

}  // namespace kvevict
