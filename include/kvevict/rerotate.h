#pragma once

#include <cstdint>
#include <vector>

#include "kvevict/dynamic_cache.h"
#include "kvevict/export.h"
#include "kvevict/keep_set.h"
#include "kvevict/kv_view.h"

namespace KVEVICT_PUBLIC kvevict {

/// Which elements of a key make a pair that rotates together, of n rotated ones.
enum class RopePairing {
  kNorm,  ///< (0, 1), (2, 3), …: Llama in its original order.
  kNeox,  ///< (0, n/2), (1, n/2 + 1), …: GPT-NeoX; Llama as Hugging Face stores it.
};

/// YaRN. Off while `n_ctx_orig` is 0.
struct YarnConfig {
  std::int64_t n_ctx_orig = 0;  ///< Tokens that the model was first trained on; >= 0.
  double ext_factor = 1.0;      ///< Share of the mix between interpolation and extrapolation; 0 … 1.
  double attn_factor = 1.0;     ///< Factor of the magnitude, beside YaRN's own.
  double beta_fast = 32.0;      ///< Rotations within n_ctx_orig above which a pair is not interpolated.
  double beta_slow = 1.0;       ///< Rotations below which a pair is fully interpolated.
};

/// The rotary embedding of a model's keys.
///
///     key of one head   | first_dim … first_dim + n_rot: rotated | the rest: untouched |
///     angle of pair i   position · frequency_i
///     frequency_i       base^(−2i / n_rot) / freq_factors[i] · freq_scale, and YaRN's mix of it
struct RopeConfig {
  RopePairing pairing = RopePairing::kNeox;
  std::int64_t n_rot = 0;            ///< Elements that rotate, even; 0: head_dim − first_dim.
  std::int64_t first_dim = 0;        ///< Where they begin (MLA: behind the latent part).
  double base = 10000.0;             ///< > 1.
  double freq_scale = 1.0;           ///< Linear interpolation: 1 / factor; > 0.
  std::vector<double> freq_factors;  ///< One for each pair, > 0; empty: all 1. See `llama3_freq_factors`.
  YarnConfig yarn;
};

/// The divisors of the frequencies of the n_rot / 2 pairs by Llama 3's rule: 1 for wavelengths below
/// n_ctx_orig / high_freq_factor, `factor` above n_ctx_orig / low_freq_factor, a smooth change between.
/// Errors: kInvalidArgument for a value <= 0, a base <= 1, an odd n_rot, or low_freq_factor >=
/// high_freq_factor. Source: rope_scaling "llama3" in the configuration of Llama 3.1.
[[nodiscard]] std::vector<double> llama3_freq_factors(std::int64_t n_rot, double base, double factor,
                                                      double low_freq_factor, double high_freq_factor,
                                                      std::int64_t n_ctx_orig);

/// The angle of each pair for one position, in radians. Errors: kInvalidArgument that names the
/// field of `rope` which cannot be for keys of `head_dim` elements.
/// Source: RoPE (Su et al. 2021, arXiv 2104.09864, section 3.2.2); YaRN (Peng et al. 2023, arXiv
/// 2309.00071, section 3.2) with the pairs' borders rounded outwards as llama.cpp's ggml does.
[[nodiscard]] std::vector<double> rope_frequencies(const RopeConfig& rope, std::int64_t head_dim);

/// The factor that rotation puts on a key: attn_factor · (1 + 0.1 · ln(1 / freq_scale)) under YaRN with
/// an ext_factor other than 0, attn_factor with 0; 1 without YaRN. Rotating a key again leaves
/// its magnitude alone.
[[nodiscard]] double rope_magnitude(const RopeConfig& rope);

/// Rotates keys that are rotated already in place, row r from position from[r] to position to[r].
///
///     keys       [batch, kv_heads, seq, head_dim] f32, f16 or bf16; any strides; host memory
///     from, to   as many positions as rows
///
/// Rotations compose: from a to b and then from b to c is from a to c, up to the rounding of the element
/// type each time; angles are computed from the whole difference in double precision. Rows whose
/// position does not change are not touched, to the bit. `n_threads` as in CacheEvictOptions.
/// Errors, before anything is touched: kInvalidArgument (those of rope_frequencies, another number of
/// positions than rows, read-only memory), kUnsupported (other element types; device memory).
/// O(elements of the rows that rotate); sines once for each run of rows that rotate by the same angle.
void rotate_keys(const KvView& keys, const KeepSet& from, const KeepSet& to, const RopeConfig& rope,
                 int n_threads = 0);

/// The other convention: keys are cached unrotated, and rotated copies are made as attention needs
/// them, for their `abs_pos` or for packed positions (`KeepSet::all(n_rows)`).
///
///     rotated    same shape as keys; f32, f16 or bf16, not necessarily the keys' type; apart from them
///
/// Includes `rope_magnitude`. Elements outside the rotated part are copied. Errors: as rotate_keys.
void rotate_keys_into(const KvView& rotated, const KvView& keys, const KeepSet& positions,
                      const RopeConfig& rope, int n_threads = 0);

/// The way back: copies of cached keys, rotated for `positions`, without their rotation, and without
/// `rope_magnitude`. Shapes, types and errors: as rotate_keys_into.
void rotate_keys_back_into(const KvView& unrotated, const KvView& keys, const KeepSet& positions,
                           const RopeConfig& rope, int n_threads = 0);

/// Packs the positions of a cache that holds rotated keys: every key is rotated from the position
/// that it is rotated for (`rope_pos`) to its row number, and `rope_pos` becomes 0 … n − 1; the next
/// token goes to position n (`next_rope_pos`). `abs_pos` and `seen_tokens` stay. Later evictions and
/// packs go on from there. One `rope` for all layers.
/// Errors: as rotate_keys for any layer; the cache is then as it was.
/// Source: positions within the cache, StreamingLLM (Xiao et al. 2023, arXiv 2309.17453, section 3.2).
void rerotate(DynamicCache& cache, const RopeConfig& rope, int n_threads = 0);

}  // namespace kvevict
