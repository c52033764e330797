#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/keep_set.h"
#include "kvevict/kv_buffer.h"
#include "kvevict/kv_view.h"
#include "kvevict/policy.h"

namespace KVEVICT_PUBLIC kvevict {

/// The K/V cache of one batch of sequences, layer by layer, in memory that it borrows or owns,
/// and what its rows are.
///
///     row r of layer l   the token abs_pos(l)[r] of the stream; its key is rotated for rope_pos(l)[r]
///
/// Layers may differ in heads, widths, element types and rows; K and V may differ in heads and
/// widths. All sequences of a batch hold the same tokens. Positions of rows: `abs_pos` never
/// changes for a token; `rope_pos` equals it until `rerotate` packs.
/// Owner: owns its KvBuffers; borrowed memory must outlive the cache. Thread safety: one thread at
/// a time; const members from several.
class DynamicCache {
 public:
  DynamicCache();
  ~DynamicCache();
  DynamicCache(DynamicCache&&) noexcept;
  DynamicCache& operator=(DynamicCache&&) noexcept;

  /// Adds a layer in borrowed memory, whose first `n_rows` rows hold the tokens 0 … n_rows − 1.
  /// The views' `seq` is the room for rows. A V whose rows lie within K's (MLA) is given with
  /// head_dim 0. O(layers) if the memory is apart.
  /// Errors (kInvalidArgument): K and V differ in batch or room; n_rows is not within the room;
  /// memory is shared with another tensor of the cache; host and device memory are mixed.
  /// The cache is then as it was.
  void add_layer(const KvView& k, const KvView& v, std::int64_t n_rows);

  /// Adds a layer that owns its memory. Errors: as above.
  void add_layer(KvBuffer k, KvBuffer v, std::int64_t n_rows = 0);

  [[nodiscard]] std::size_t n_layers() const noexcept;

  /// The rows in use: `seq` is their number. Valid until the layer is appended to or evicted.
  /// REQUIRES (these and the following): layer < n_layers().
  [[nodiscard]] KvView k(std::size_t layer) const;
  [[nodiscard]] KvView v(std::size_t layer) const;
  [[nodiscard]] std::int64_t n_rows(std::size_t layer) const noexcept;
  [[nodiscard]] std::int64_t capacity(std::size_t layer) const noexcept;

  /// Tokens that were ever appended: of the layer that has seen most.
  [[nodiscard]] std::int64_t seen_tokens() const noexcept;

  /// The token in each row, ascending: the stream's original positions.
  [[nodiscard]] const KeepSet& abs_pos(std::size_t layer) const noexcept;

  /// The position that the key in each row is rotated for, ascending.
  [[nodiscard]] const KeepSet& rope_pos(std::size_t layer) const noexcept;

  /// The position for which the next token's query and key are to be rotated.
  [[nodiscard]] std::int64_t next_rope_pos(std::size_t layer) const noexcept;

  /// Copies the rows of the next tokens behind those in use; any strides. Owned memory grows by
  /// itself, in place. Errors: kInvalidArgument (a shape or type that is not the layer's, a borrowed
  /// layer without room, read-only memory), kUnsupported (device memory: write the rows, then
  /// `note_appended`), kOutOfMemory; nothing is appended then.
  void append(std::size_t layer, const KvView& k_rows, const KvView& v_rows);

  /// Takes note of `n_tokens` rows that the caller has written behind those in use.
  /// Errors: kInvalidArgument if there is no room for them.
  void note_appended(std::size_t layer, std::int64_t n_tokens);

  /// Makes room for `capacity` rows in an owned layer, at least as many as are in use; fewer than
  /// now gives address space back too. Errors: kInvalidArgument, kOutOfMemory; as KvBuffer's.
  void set_capacity(std::size_t layer, std::int64_t capacity);

  /// Physical memory of the owned layers now. Bytes; O(pages).
  [[nodiscard]] std::int64_t resident_bytes() const noexcept;

 private:
  friend class CacheAccess;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

struct CacheEvictOptions {
  bool rectangular = false;     ///< Refuse a plan that leaves layers of different lengths.
  int n_threads = 0;            ///< Most threads to use; 0: the processors of this process.
  bool give_back = true;        ///< Owned layers: give the pages behind the kept rows to the system.
  void* cuda_stream = nullptr;  ///< Device memory: the cudaStream_t that the move is ordered on.
};

/// What an eviction did. Bytes over all layers.
struct CacheEvictReport {
  std::vector<std::int64_t> n_rows;  ///< In use now, per layer: the new extents of borrowed tensors.
  std::int64_t bytes_moved = 0;      ///< Of the rows that changed their place.
  std::int64_t bytes_released = 0;   ///< Resident bytes given back to the system.
  int n_workers = 0;  ///< Threads that moved rows; 0 if nothing had to move or a device did it.
};

/// Keeps of every layer the rows numbered by `keep`, moves them to the front of the same memory and
/// updates the records; behind the kept rows the content is lost. `keep` numbers the rows of the
/// cache as it is now (`build_simple_keep_token_idx` of a cache that still holds everything).
///
///     rows before   0 1 2 3 4 5 6 7      keep [0,2) [5,8)
///     rows after    0 1 5 6 7 . . .      abs_pos [0,2) [5,8)
///
/// Never a second copy of K or V; extra memory is O(layers + ranges of the plan), on the host.
/// Device memory: returns once the move is queued; the next use must be ordered behind it.
/// Errors, all before anything is touched: kInvalidArgument (a row that is not there, layers of
/// different lengths if `rectangular`, read-only memory whose rows would have to move,
/// a negative thread count), kUnsupported (device memory in a build without CUDA), kEngine (CUDA
/// refused the move), std::bad_alloc. O(bytes of the rows moved).
/// Source: `evict_dynamic_cache_inplace(past_key_values, keep_idx)` of the Python demo "Simple KV cache
/// eviction strategies", whose `_seen_tokens` and `_ub_abs_pos` are `seen_tokens()` and
/// `abs_pos()`. Deviation: it makes a second copy by `index_select`; and `seen_tokens()` counts every
/// token ever seen, not the rows that are left (those are `n_rows()`).
CacheEvictReport evict_dynamic_cache_inplace(DynamicCache& cache, const KeepSet& keep,
                                             const CacheEvictOptions& options = {});

/// One keep set for each layer. Errors: also if there are not as many sets as layers.
CacheEvictReport evict_dynamic_cache_inplace(DynamicCache& cache, std::span<const KeepSet> keep_per_layer,
                                             const CacheEvictOptions& options = {});

/// By indices, which must ascend strictly (kInvalidArgument names the first that does not).
CacheEvictReport evict_dynamic_cache_inplace(DynamicCache& cache, std::span<const std::int64_t> keep_idx,
                                             const CacheEvictOptions& options = {});

/// Keeps the rows whose token (`abs_pos`) the policy's plan wants; a wanted token that an earlier
/// eviction removed stays removed. Errors: as above.
CacheEvictReport evict_to_plan(DynamicCache& cache, const KeepPlan& plan,
                               const CacheEvictOptions& options = {});

}  // namespace kvevict
