#pragma once

#include <cstdint>
#include <filesystem>

#include "kvevict/policy.h"

namespace kvevict::cli {

/// A bounded prefill of `n_tokens` tokens in chunks of `n_chunk`, and the layer whose cache is looked at.
struct BoundedPrefill {
  const Policy* policy = nullptr;  ///< Not owned.
  std::int64_t n_tokens = 0;
  std::int64_t n_chunk = 0;
  std::int64_t n_layers = 0;
  std::int64_t layer = 0;  ///< 0 … n_layers - 1.
};

/// Which token sees which during a bounded prefill, as a file: row i, column j says whether token i sees
/// token j.
///   *.npy: NumPy, bool [n_tokens, n_tokens]; at most 16,384 tokens.
///   *.png: gray levels, black where a token is seen; above 2,048 tokens each pixel is the mean of a
///   square of tokens.
/// Errors: kInvalidArgument (another ending, too many tokens, no such layer), kIo, and those of the policy.
void write_attention_mask(const BoundedPrefill& prefill, const std::filesystem::path& path);

}  // namespace kvevict::cli
