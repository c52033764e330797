#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>

#include "engine/key_rotator.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// How the cached keys of a model are read as numbers. Found out by decoding a few tokens alone.
struct KeyForm {
  std::unique_ptr<KeyRotator> rotator;  ///< Of f32; null if the model's rotation cannot be taken back.
  std::int64_t head_dim = 0;
  std::size_t n_mixed = 0;  ///< Elements that llama.cpp mixes by a Hadamard matrix before it quantises; or 0.
};

/// The head dimension of `model`'s keys in the layers without a sliding window.
[[nodiscard]] std::int64_t key_head_dim(const Model& model);

/// Mixes each `n` elements of `numbers` by the orthonormal Hadamard matrix (n a power of two): twice is not
/// at all. O(numbers x log n).
void mix_by_hadamard(std::span<float> numbers, std::size_t n);

/// The forms that are known of a model, by K types. Thread safe.
class KeyForms {
 public:
  /// The form of `model`'s keys in a cache of `options.type_k`: found out once, in contexts of their own.
  /// Errors: kUnsupported for a cache whose rows cannot be told apart; those of KvContext.
  [[nodiscard]] std::shared_ptr<const KeyForm> of(const std::shared_ptr<const Model>& model,
                                                  const SessionOptions& options);

 private:
  std::mutex mutex_;
  std::map<KvType, std::shared_ptr<const KeyForm>> forms_;
};

}  // namespace kvevict
