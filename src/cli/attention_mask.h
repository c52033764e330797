#pragma once

#include <cstdint>
#include <filesystem>

#include "kvevict/policy.h"

namespace kvevict::cli {

/// Which token sees which during a bounded prefill of `n_tokens` tokens in chunks of `n_chunk`, as a file:
/// row i, column j says whether token i sees token j.
///   *.npy: NumPy, bool [n_tokens, n_tokens]; at most 16,384 tokens.
///   *.png: gray levels, black where a token is seen; above 2,048 tokens each pixel is the mean of a
///   square of tokens.
/// Errors: kInvalidArgument (another ending, too many tokens), kIo, and those of the policy.
void write_attention_mask(const Policy& policy, std::int64_t n_tokens, std::int64_t n_chunk,
                          const std::filesystem::path& path);

}  // namespace kvevict::cli
