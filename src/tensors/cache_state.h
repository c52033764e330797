#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "kvevict/dynamic_cache.h"
#include "tensors/row_record.h"

namespace kvevict {

struct OwnedPair {
  KvBuffer k;
  KvBuffer v;
};

struct CacheLayer {
  KvView borrowed_k;
  KvView borrowed_v;
  std::optional<OwnedPair> owned;
  std::shared_ptr<const RowRecord> record;

  /// All rows that there is room for.
  [[nodiscard]] const KvView& k() const noexcept { return owned ? owned->k.view() : borrowed_k; }
  [[nodiscard]] const KvView& v() const noexcept { return owned ? owned->v.view() : borrowed_v; }
};

struct CacheState {
  std::vector<CacheLayer> layers;

  /// The last append's records: layers that follow each other share one.
  struct {
    std::shared_ptr<const RowRecord> before, after;
  } last_append;

  [[nodiscard]] std::shared_ptr<const RowRecord> record_after_append(const CacheLayer& layer,
                                                                     std::int64_t n_tokens);
};

/// What the files of this room know of a DynamicCache.
class KVEVICT_PRIVATE CacheAccess {
 public:
  [[nodiscard]] static CacheState& state(DynamicCache& cache) noexcept;
  [[nodiscard]] static const CacheState& state(const DynamicCache& cache) noexcept;
};

/// Copies `source` to `target`, which have the same shape and type; any strides, memory apart, host.
void copy_rows(const KvView& target, const KvView& source) noexcept;

}  // namespace kvevict
