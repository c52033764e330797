#include "kvevict/kv_buffer.h"

#include <cstring>
#include <string>

#include "kvevict/error.h"
#include "tensors/mapping.h"

namespace kvevict {
namespace {

/// Bytes of a tensor of that shape, counted by a view of memory that is never touched.
std::int64_t checked_bytes(ElementType type, const KvShape& shape, KvLayout layout) {
  alignas(16) static constexpr std::byte nowhere[16]{};
  const KvView view = KvView::read_only(nowhere, type, shape, dense_strides(shape, layout));
  return view.n_elements() * element_bytes(type);
}

}  // namespace

struct KvBuffer::Impl {
  KvLayout layout;
  Mapping mapping;
  KvView view;

  [[nodiscard]] std::int64_t n_stripes() const noexcept {
    return layout == KvLayout::kHeadsFirst ? view.shape().batch * view.shape().kv_heads : view.shape().batch;
  }

  /// Bytes of a row within a stripe: rows of a stripe follow each other.
  [[nodiscard]] std::int64_t row_bytes() const noexcept {
    return view.n_elements() == 0 ? 0 : view.bytes_per_token() / n_stripes();
  }

  void lay_out(const KvShape& shape) {
    view = KvView(mapping.data(), view.type(), shape, dense_strides(shape, layout));
  }

  void move_stripe(std::int64_t stripe, std::int64_t from_rows, std::int64_t to_rows, std::int64_t n_rows,
                   std::int64_t row) const noexcept {
    std::memmove(mapping.data() + stripe * to_rows * row, mapping.data() + stripe * from_rows * row,
                 static_cast<std::size_t>(n_rows * row));
  }
};

KvBuffer::KvBuffer(ElementType type, const KvShape& shape, KvLayout layout) {
  Mapping mapping(checked_bytes(type, shape, layout));
  KvView view(mapping.data(), type, shape, dense_strides(shape, layout));
  impl_ = std::make_unique<Impl>(Impl{layout, std::move(mapping), view});
}

KvBuffer::~KvBuffer() = default;
KvBuffer::KvBuffer(KvBuffer&&) noexcept = default;
KvBuffer& KvBuffer::operator=(KvBuffer&&) noexcept = default;

const KvView& KvBuffer::view() const& noexcept {
  return impl_->view;
}

void KvBuffer::set_capacity(std::int64_t capacity, std::int64_t n_rows) {
  const std::int64_t before = this->capacity();
  if (n_rows < 0 || n_rows > before || n_rows > capacity) {
    throw Error(ErrorCode::kInvalidArgument, "a K/V tensor of " + std::to_string(before) +
                                                 " rows cannot be made one of " + std::to_string(capacity) +
                                                 " that keeps " + std::to_string(n_rows));
  }
  if (capacity == before) return;
  KvShape shape = impl_->view.shape();
  shape.seq = capacity;
  const std::int64_t n_bytes = checked_bytes(impl_->view.type(), shape, impl_->layout);
  const std::int64_t n_stripes = impl_->n_stripes();
  const std::int64_t row = impl_->row_bytes();
  if (capacity > before) {
    impl_->mapping.resize(n_bytes);
    for (std::int64_t s = n_stripes - 1; s > 0; --s) impl_->move_stripe(s, before, capacity, n_rows, row);
    impl_->lay_out(shape);
    return;
  }
  for (std::int64_t s = 1; s < n_stripes; ++s) impl_->move_stripe(s, before, capacity, n_rows, row);
  try {
    impl_->mapping.resize(n_bytes);
  } catch (...) {
    // The system keeps the longer mapping, of which the shorter tensor then uses the front.
  }
  impl_->lay_out(shape);
}

std::int64_t KvBuffer::release_rows(std::int64_t first) noexcept {
  const std::int64_t stripe = capacity() * impl_->row_bytes();
  if (first < 0 || first >= capacity() || stripe == 0) return 0;
  std::int64_t n_released = 0;
  for (std::int64_t s = 0; s < impl_->n_stripes(); ++s) {
    n_released += impl_->mapping.release(s * stripe + first * impl_->row_bytes(), (s + 1) * stripe);
  }
  return n_released;
}

std::int64_t KvBuffer::reserved_bytes() const noexcept {
  return impl_->mapping.size();
}
std::int64_t KvBuffer::resident_bytes() const noexcept {
  return impl_->mapping.resident_bytes();
}

}  // namespace kvevict
