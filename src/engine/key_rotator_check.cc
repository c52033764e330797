#include "engine/key_rotator_check.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "engine/ggml_types.h"
#include "engine/gguf_file.h"
#include "engine/lone_token.h"
#include "engine/state_rows.h"
#include "kvevict/error.h"
#include "kvevict/model.h"

namespace kvevict {
namespace {

/// Rows of a token alone at a position.
using Decode = std::function<StateRows(Token token, std::int64_t position)>;

/// Whether the key of a layer is the same in both, to within the last bits of its type: another device's sine
/// may differ there. Measured by the largest number of the key.
bool is_same_key(const StateRows& a, const StateRows& b, std::size_t layer, ggml_type type) {
  std::vector<float> x;
  std::vector<float> y;
  a.key_numbers(layer, x);
  b.key_numbers(layer, y);
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

/// Whether `rotator` rotates as the model does in every layer; layers without rotation are noted in it.
/// Errors: those of `decode`.
bool rotates_as(const Decode& decode, KeyRotator& rotator, const Model& model, StateForm form,
                ggml_type type) {
  const std::size_t n_layers = decode(0, 0).n_layers();
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
    const StateRows before = decode(token, from);
    const StateRows after = decode(token, to);
    const StateRows ours(before.arranged(arrangement, &rotator), form);
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

/// A rotator that rotates as the model does; null if there is none. Errors: those of `decode`.
std::unique_ptr<KeyRotator> find_rotator(const Model& model, ggml_type type, int n_threads, StateForm form,
                                         const Decode& decode) {
  auto plain = std::make_unique<KeyRotator>(model.handle(), type, n_threads);
  if (!plain->rotates_any()) {  // learned positions change the keys of a token otherwise
    static_cast<void>(decode(0, 0));
    return plain;
  }
  if (rotates_as(decode, *plain, model, form, type)) return plain;
  // Not each model whose file has them uses them: they come second.
  if (std::vector<float> factors = GgufFile(model.path()).floats("rope_freqs.weight"); !factors.empty()) {
    auto scaled = std::make_unique<KeyRotator>(model.handle(), type, n_threads, std::move(factors));
    if (rotates_as(decode, *scaled, model, form, type)) return scaled;
  }
  return nullptr;
}

}  // namespace

void require_known_rows(const std::shared_ptr<const Model>& model, const SessionOptions& options) {
  static_cast<void>(LoneToken(model, options).decoded(0, 0));
}

std::unique_ptr<KeyRotator> checked_key_rotator(const std::shared_ptr<const Model>& model,
                                                const SessionOptions& options) {
  LoneToken lone(model, options);
  auto rotator =
      find_rotator(*model, to_ggml(options.type_k), options.n_threads, state_form_of(model->handle()),
                   [&](Token token, std::int64_t position) { return lone.decoded(token, position); });
  if (rotator) return rotator;
  throw Error(ErrorCode::kUnsupported,
              "the keys of " + model->info().name +
                  " cannot be rotated layer by layer: ggml's rotation of them differs from the model's own; "
                  "use absolute positions with this strategy");
}

std::unique_ptr<KeyRotator> checked_f32_rotator(const std::shared_ptr<const Model>& model,
                                                const SessionOptions& options) {
  SessionOptions exact = options;
  exact.type_k = exact.type_v = KvType::kF32;
  LoneToken lone(model, exact);
  const Decode decode = [&](Token token, std::int64_t position) {
    return lone.decoded_keys(token, position);
  };
  static_cast<void>(decode(0, 0));  // throws for a state that is not known
  try {
    return find_rotator(*model, GGML_TYPE_F32, options.n_threads,
                        form_up_to_keys(state_form_of(model->handle())), decode);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;
    return nullptr;  // a rotation that KeyRotator does not know
  }
}

}  // namespace kvevict
