#include "kvevict/dynamic_cache.h"

#include <algorithm>
#include <cstring>
#include <string>

#include "kvevict/error.h"
#include "tensors/cache_state.h"
#include "tensors/refuse.h"

namespace kvevict {
namespace {

std::string text_of(const KvShape& shape) {
  return "[" + std::to_string(shape.batch) + ", " + std::to_string(shape.kv_heads) + ", " +
         std::to_string(shape.seq) + ", " + std::to_string(shape.head_dim) + "]";
}

void require_pair(const KvView& k, const KvView& v, std::int64_t n_rows) {
  if (k.shape().batch != v.shape().batch || k.shape().seq != v.shape().seq) {
    refuse("a layer's K is " + text_of(k.shape()) + " and its V is " + text_of(v.shape()) +
           ": batch and seq must be equal");
  }
  if (n_rows < 0 || n_rows > k.shape().seq) {
    refuse("a layer with room for " + std::to_string(k.shape().seq) + " rows cannot have " +
           std::to_string(n_rows) + " in use");
  }
}

void require_fits(const CacheState& state, const KvView& k, const KvView& v) {
  std::vector<KvView> tensors{k, v};
  for (const CacheLayer& layer : state.layers) {
    tensors.push_back(layer.k());
    tensors.push_back(layer.v());
  }
  for (const KvView& tensor : tensors) {
    if (tensor.memory() != k.memory()) refuse("a cache cannot hold both host and device memory");
  }
  require_disjoint(tensors);
}

void require_like(const char* name, const KvView& rows, const KvView& tensor) {
  const KvShape& shape = tensor.shape();
  if (rows.type() != tensor.type() ||
      rows.shape() != KvShape{shape.batch, shape.kv_heads, rows.shape().seq, shape.head_dim}) {
    refuse("the " + std::string(name) + " rows to append are " + std::string(to_string(rows.type())) + " " +
           text_of(rows.shape()) + ", but the layer's tensor is " + std::string(to_string(tensor.type())) +
           " " + text_of(shape));
  }
  if (rows.memory() != MemoryKind::kHost || tensor.memory() != MemoryKind::kHost) {
    throw Error(ErrorCode::kUnsupported,
                "rows in device memory are not copied by the host: write them, then call note_appended");
  }
  if (tensor.is_read_only())
    refuse("the layer's " + std::string(name) + " is read-only: nothing can be appended to it");
}

void require_room(const CacheLayer& layer, std::int64_t n_tokens) {
  const std::int64_t capacity = layer.k().shape().seq;
  if (n_tokens >= 0 && n_tokens <= capacity - layer.record->n_rows) return;
  refuse("a layer with " + std::to_string(layer.record->n_rows) + " of " + std::to_string(capacity) +
         " rows in use has no room for " + std::to_string(n_tokens) + " more");
}

}  // namespace

struct DynamicCache::Impl : CacheState {};

CacheState& CacheAccess::state(DynamicCache& cache) noexcept {
  return *cache.impl_;
}
const CacheState& CacheAccess::state(const DynamicCache& cache) noexcept {
  return *cache.impl_;
}

std::shared_ptr<const RowRecord> CacheState::record_after_append(const CacheLayer& layer,
                                                                 std::int64_t n_tokens) {
  const bool again =
      layer.record == last_append.before && last_append.after->n_rows == layer.record->n_rows + n_tokens;
  if (!again)
    last_append = {layer.record, std::make_shared<const RowRecord>(appended(*layer.record, n_tokens))};
  return last_append.after;
}

void copy_rows(const KvView& target, const KvView& source) noexcept {
  const KvShape& shape = source.shape();
  if (source.n_elements() == 0) return;
  const std::int64_t element = element_bytes(source.type());
  const bool dense =
      shape.head_dim == 1 || (source.strides().head_dim == 1 && target.strides().head_dim == 1);
  const std::int64_t n_pieces = dense ? 1 : shape.head_dim;
  const auto piece_bytes = static_cast<std::size_t>(dense ? shape.head_dim * element : element);
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
      for (std::int64_t t = 0; t < shape.seq; ++t) {
        std::byte* to = target.row(b, h, t);
        const std::byte* from = source.row(b, h, t);
        for (std::int64_t i = 0; i < n_pieces; ++i) {
          std::memcpy(to + i * target.strides().head_dim * element,
                      from + i * source.strides().head_dim * element, piece_bytes);
        }
      }
    }
  }
}

DynamicCache::DynamicCache() : impl_(std::make_unique<Impl>()) {}
DynamicCache::~DynamicCache() = default;
DynamicCache::DynamicCache(DynamicCache&&) noexcept = default;
DynamicCache& DynamicCache::operator=(DynamicCache&&) noexcept = default;

void DynamicCache::add_layer(const KvView& k, const KvView& v, std::int64_t n_rows) {
  require_pair(k, v, n_rows);
  require_fits(*impl_, k, v);
  const bool as_last = !impl_->layers.empty() && impl_->layers.back().record->n_rows == n_rows &&
                       *impl_->layers.back().record->abs_pos == KeepSet::all(n_rows) &&
                       impl_->layers.back().record->seen_tokens == n_rows;
  impl_->layers.push_back(
      {k, v, std::nullopt,
       as_last ? impl_->layers.back().record : std::make_shared<const RowRecord>(fresh_record(n_rows))});
}

void DynamicCache::add_layer(KvBuffer k, KvBuffer v, std::int64_t n_rows) {
  add_layer(k.view(), v.view(), n_rows);
  impl_->layers.back().owned = OwnedPair{std::move(k), std::move(v)};
}

std::size_t DynamicCache::n_layers() const noexcept {
  return impl_->layers.size();
}

KvView DynamicCache::k(std::size_t layer) const {
  return impl_->layers[layer].k().rows(0, n_rows(layer));
}
KvView DynamicCache::v(std::size_t layer) const {
  return impl_->layers[layer].v().rows(0, n_rows(layer));
}

std::int64_t DynamicCache::n_rows(std::size_t layer) const noexcept {
  return impl_->layers[layer].record->n_rows;
}

std::int64_t DynamicCache::capacity(std::size_t layer) const noexcept {
  return impl_->layers[layer].k().shape().seq;
}

std::int64_t DynamicCache::seen_tokens() const noexcept {
  std::int64_t most = 0;
  for (const CacheLayer& layer : impl_->layers) most = std::max(most, layer.record->seen_tokens);
  return most;
}

const KeepSet& DynamicCache::abs_pos(std::size_t layer) const noexcept {
  return *impl_->layers[layer].record->abs_pos;
}
const KeepSet& DynamicCache::rope_pos(std::size_t layer) const noexcept {
  return *impl_->layers[layer].record->rope_pos;
}

std::int64_t DynamicCache::next_rope_pos(std::size_t layer) const noexcept {
  return impl_->layers[layer].record->next_rope_pos();
}

void DynamicCache::append(std::size_t layer, const KvView& k_rows, const KvView& v_rows) {
  CacheLayer& target = impl_->layers[layer];
  require_like("K", k_rows, target.k());
  require_like("V", v_rows, target.v());
  const std::int64_t n_tokens = k_rows.shape().seq;
  if (v_rows.shape().seq != n_tokens) {
    refuse("K has " + std::to_string(n_tokens) + " rows to append and V " +
           std::to_string(v_rows.shape().seq));
  }
  const std::int64_t n_before = n_rows(layer);
  if (target.owned && n_tokens > capacity(layer) - n_before) {
    set_capacity(layer, std::max(n_before + n_tokens, 2 * capacity(layer)));
  }
  require_room(target, n_tokens);
  const auto record = impl_->record_after_append(target, n_tokens);
  copy_rows(target.k().rows(n_before, n_tokens), k_rows);
  copy_rows(target.v().rows(n_before, n_tokens), v_rows);
  target.record = record;
}

void DynamicCache::note_appended(std::size_t layer, std::int64_t n_tokens) {
  CacheLayer& target = impl_->layers[layer];
  require_room(target, n_tokens);
  target.record = impl_->record_after_append(target, n_tokens);
}

void DynamicCache::set_capacity(std::size_t layer, std::int64_t capacity) {
  CacheLayer& target = impl_->layers[layer];
  if (!target.owned)
    refuse("a layer in borrowed memory has the room that it has: its capacity cannot be set");
  const std::int64_t before = this->capacity(layer);
  target.owned->k.set_capacity(capacity, n_rows(layer));
  try {
    target.owned->v.set_capacity(capacity, n_rows(layer));
  } catch (...) {
    if (capacity > before) target.owned->k.set_capacity(before, n_rows(layer));
    throw;
  }
}

std::int64_t DynamicCache::resident_bytes() const noexcept {
  std::int64_t n_bytes = 0;
  for (const CacheLayer& layer : impl_->layers) {
    if (layer.owned) n_bytes += layer.owned->k.resident_bytes() + layer.owned->v.resident_bytes();
  }
  return n_bytes;
}

}  // namespace kvevict
