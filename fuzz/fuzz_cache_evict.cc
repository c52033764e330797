// libFuzzer target over (element type, shape, strides, keep set, threads): whatever KvView accepts must be
// moved exactly as an element-by-element gather would, and nothing else may be written.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "kvevict/dynamic_cache.h"
#include "kvevict/error.h"

namespace {

using kvevict::ElementType;
using kvevict::KvShape;
using kvevict::KvStrides;
using kvevict::KvView;

/// Numbers out of the input; zeros when it is used up.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}

  std::int64_t number(std::int64_t least, std::int64_t most) {
    std::uint64_t raw = next();
    if (most - least > 255) raw = raw << 8U | next();
    return least + static_cast<std::int64_t>(raw % static_cast<std::uint64_t>(most - least + 1));
  }

 private:
  std::uint64_t next() { return at_ < size_ ? data_[at_++] : 0; }

  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

void require(bool holds) {
  if (!holds) std::abort();
}

struct Layout {
  ElementType type;
  KvShape shape;
  KvStrides strides;
  std::int64_t low = 0, high = 0;  // elements below and above the first one, exact
};

Layout read_layout(Input& input) {
  Layout layout;
  layout.type = static_cast<ElementType>(input.number(0, 7));
  layout.shape = {input.number(0, 3), input.number(0, 4), input.number(0, 40), input.number(0, 20)};
  std::int64_t* const strides[] = {&layout.strides.batch, &layout.strides.kv_heads, &layout.strides.seq,
                                   &layout.strides.head_dim};
  const std::int64_t sizes[] = {layout.shape.batch, layout.shape.kv_heads, layout.shape.seq,
                                layout.shape.head_dim};
  std::int64_t step = 1;
  std::size_t order[] = {0, 1, 2, 3};
  for (std::size_t i = 3; i > 0; --i)
    std::swap(order[i], order[input.number(0, static_cast<std::int64_t>(i))]);
  const bool nested = input.number(0, 3) != 0;  // mostly strides that have a chance of being accepted
  for (const std::size_t axis : order) {
    *strides[axis] = nested ? step : input.number(-700, 700);
    step = step * (sizes[axis] > 0 ? sizes[axis] : 1) + input.number(0, 2);
    if (input.number(0, 7) == 0) *strides[axis] = -*strides[axis];
  }
  for (int i = 0; i < 4; ++i) {
    if (sizes[i] == 0) continue;
    const std::int64_t reach = (sizes[i] - 1) * *strides[i];
    (reach < 0 ? layout.low : layout.high) += reach < 0 ? -reach : reach;
  }
  return layout;
}

/// A tensor in memory of exactly its extent: a step outside is an error of the address sanitizer.
struct Tensor {
  explicit Tensor(const Layout& layout) : element(kvevict::element_bytes(layout.type)) {
    n_bytes = static_cast<std::size_t>((layout.low + layout.high + 1) * element);
    bytes.reset(new std::uint8_t[n_bytes]);
    for (std::size_t i = 0; i < n_bytes; ++i) bytes[i] = static_cast<std::uint8_t>(i * 131 + (i >> 8U));
    view = KvView(bytes.get() + layout.low * element, layout.type, layout.shape, layout.strides);
  }

  [[nodiscard]] std::size_t offset(std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d) const {
    const std::byte* const at = view.row(b, h, t) + d * view.strides().head_dim * element;
    return static_cast<std::size_t>(at - reinterpret_cast<const std::byte*>(bytes.get()));
  }

  std::int64_t element;
  std::size_t n_bytes = 0;
  std::unique_ptr<std::uint8_t[]> bytes;
  KvView view;
};

/// Every kept row is where it belongs, and bytes of no row of the tensor are as they were.
void check(const Tensor& tensor, const std::vector<std::uint8_t>& before,
           const std::vector<std::int64_t>& kept) {
  const KvShape& shape = tensor.view.shape();
  std::vector<bool> is_element(before.size(), false);
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
      for (std::int64_t t = 0; t < shape.seq; ++t) {
        for (std::int64_t d = 0; d < shape.head_dim; ++d) {
          const std::size_t at = tensor.offset(b, h, t, d);
          for (std::int64_t i = 0; i < tensor.element; ++i)
            is_element[at + static_cast<std::size_t>(i)] = true;
          const auto row = static_cast<std::size_t>(t);
          if (row >= kept.size()) continue;
          const std::size_t from = tensor.offset(b, h, kept[row], d);
          require(std::memcmp(&tensor.bytes[at], &before[from], static_cast<std::size_t>(tensor.element)) ==
                  0);
        }
      }
    }
  }
  for (std::size_t i = 0; i < before.size(); ++i) require(is_element[i] || tensor.bytes[i] == before[i]);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const Layout layout = read_layout(input);
  std::unique_ptr<Tensor> tensor;
  try {
    tensor = std::make_unique<Tensor>(layout);
  } catch (const kvevict::Error&) {
    return 0;  // strides that alias
  }
  const std::int64_t n_rows = input.number(0, layout.shape.seq);
  kvevict::DynamicCache cache;
  cache.add_layer(tensor->view,
                  KvView(nullptr, layout.type, {layout.shape.batch, 1, layout.shape.seq, 0}, {}), n_rows);
  for (int round = 0; round < 2; ++round) {
    std::vector<std::int64_t> kept;
    for (std::int64_t row = 0; row < cache.n_rows(0); ++row) {
      if (input.number(0, 2) != 0) kept.push_back(row);
    }
    const std::vector<std::uint8_t> before(tensor->bytes.get(), tensor->bytes.get() + tensor->n_bytes);
    evict_dynamic_cache_inplace(cache, kept, {.n_threads = static_cast<int>(input.number(1, 3))});
    require(cache.n_rows(0) == static_cast<std::int64_t>(kept.size()) && cache.seen_tokens() == n_rows);
    check(*tensor, before, kept);
  }
  return 0;
}
