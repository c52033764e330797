#include "engine/key_form.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "engine/key_rotator_check.h"
#include "engine/lone_token.h"
#include "engine/model_metadata.h"
#include "kvevict/error.h"
#include "kvevict/model.h"

namespace kvevict {
namespace {

/// How far `numbers` are from `exact`, as a share of their length.
double share_off(const std::vector<float>& numbers, const std::vector<float>& exact) {
  double off = 0;
  double length = 1e-12;
  for (std::size_t i = 0; i < exact.size(); ++i) {
    const double difference = static_cast<double>(numbers[i]) - static_cast<double>(exact[i]);
    off += difference * difference;
    length += static_cast<double>(exact[i]) * static_cast<double>(exact[i]);
  }
  return std::sqrt(off / length);
}

/// The width by which llama.cpp mixes the keys of a quantised cache, from one token's keys with and without
/// it; 0 for none. Errors: kUnsupported if no width explains them.
std::size_t find_mixing(const std::shared_ptr<const Model>& model, const SessionOptions& options,
                        std::int64_t head_dim) {
  if (options.type_k != KvType::kQ8_0 && options.type_k != KvType::kQ4_0) return 0;
  SessionOptions exact = options;
  exact.type_k = exact.type_v = KvType::kF32;
  std::vector<float> plain;
  std::vector<float> stored;
  LoneToken(model, exact).decoded_keys(1, 0).key_numbers(0, plain);
  LoneToken(model, options).decoded_keys(1, 0).key_numbers(0, stored);
  constexpr double kMostOff = 0.25;  // four bits for an element
  constexpr std::size_t kLeast = 64;
  if (share_off(stored, plain) < kMostOff) return 0;
  for (std::size_t n = kLeast; n <= static_cast<std::size_t>(head_dim); n *= 2) {
    if (stored.size() % n != 0) break;
    std::vector<float> mixed_back = stored;
    mix_by_hadamard(mixed_back, n);
    if (share_off(mixed_back, plain) < kMostOff) return n;
  }
  throw Error(ErrorCode::kUnsupported, "the keys of " + model->info().name + " in a cache of type " +
                                           std::string(to_string(options.type_k)) +
                                           " cannot be read: use f16 for K");
}

}  // namespace

std::int64_t key_head_dim(const Model& model) {
  const llama_model* const handle = model.handle();
  const std::string architecture = metadata_of(handle, "general.architecture").value_or("");
  if (const auto length = metadata_of(handle, architecture + ".attention.key_length"))
    return std::max<std::int64_t>(1, std::strtol(length->c_str(), nullptr, 10));
  return std::max(1, llama_model_n_embd(handle) / std::max(1, llama_model_n_head(handle)));
}

void mix_by_hadamard(std::span<float> numbers, std::size_t n) {
  const float scale = 1 / std::sqrt(static_cast<float>(n));
  for (std::size_t from = 0; from + n <= numbers.size(); from += n) {
    float* const block = numbers.data() + from;
    for (std::size_t half = 1; half < n; half *= 2) {
      for (std::size_t i = 0; i < n; i += 2 * half) {
        for (std::size_t j = i; j < i + half; ++j) {
          const float a = block[j];
          const float b = block[j + half];
          block[j] = a + b;
          block[j + half] = a - b;
        }
      }
    }
    for (std::size_t i = 0; i < n; ++i) block[i] *= scale;
  }
}

std::shared_ptr<const KeyForm> KeyForms::of(const std::shared_ptr<const Model>& model,
                                            const SessionOptions& options) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const KeyForm>& known = forms_[options.type_k];
  if (known) return known;
  KeyForm form;
  form.rotator = checked_f32_rotator(model, options);
  form.head_dim = key_head_dim(*model);
  form.n_mixed = find_mixing(model, options, form.head_dim);
  known = std::make_shared<const KeyForm>(std::move(form));
  return known;
}

}  // namespace kvevict
