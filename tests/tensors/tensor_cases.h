#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kvevict/kv_view.h"

namespace kvevict::testing {

/// A tensor in memory of its own, with guard bytes before, behind and between its elements.
class GuardedTensor {
 public:
  static constexpr std::byte kGuard{0xA5};
  static constexpr std::size_t kGuardBytes = 192;

  /// `order`: the axes from the slowest to the fastest, as "bhsd"; `padding`: elements left out
  /// behind each axis' extent; `flip`: axes that run backwards in memory, as "h".
  GuardedTensor(ElementType type, const KvShape& shape, const char* order, std::int64_t padding,
                const char* flip, std::mt19937& random) {
    const std::int64_t element = element_bytes(type);
    KvStrides strides;
    std::int64_t step = 1;
    std::int64_t first = 0;
    for (int i = 3; i >= 0; --i) {
      const auto [size, stride] = axis(shape, strides, order[i]);
      *stride = step;
      step = step * std::max<std::int64_t>(size, 1) + padding;
      if (std::strchr(flip, order[i]) == nullptr || size == 0) continue;
      first += (size - 1) * *stride;
      *stride = -*stride;
    }
    const bool empty = shape.batch * shape.kv_heads * shape.seq * shape.head_dim == 0;
    bytes_.assign(2 * kGuardBytes + static_cast<std::size_t>(empty ? 0 : step * element), kGuard);
    view_ = KvView(bytes_.data() + kGuardBytes + first * element, type, shape, strides);
    for_each_element([&](std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::byte* at) {
      for (std::int64_t i = 0; i < element; ++i) at[i] = static_cast<std::byte>(random());
    });
  }
  GuardedTensor(const GuardedTensor&) = delete;

  [[nodiscard]] const KvView& view() const { return view_; }
  [[nodiscard]] std::vector<std::byte> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t offset_of(const std::byte* at) const {
    return static_cast<std::size_t>(at - bytes_.data());
  }
  [[nodiscard]] std::size_t offset_of_view() const { return offset_of(view_.data()); }

  /// Whether head h's element d of row `t` among the bytes `now` is that of row `t_before` among `before`.
  [[nodiscard]] bool holds(const std::vector<std::byte>& now, std::int64_t b, std::int64_t h, std::int64_t t,
                           std::int64_t d, const std::vector<std::byte>& before,
                           std::int64_t t_before) const {
    const std::byte* const at = now.data() + (address(b, h, t, d) - bytes_.data());
    const std::byte* const at_before = before.data() + (address(b, h, t_before, d) - bytes_.data());
    return std::memcmp(at, at_before, static_cast<std::size_t>(element_bytes(view_.type()))) == 0;
  }

  /// Whether every byte that belongs to no element is as it was.
  [[nodiscard]] bool guards_hold() const {
    std::vector<bool> is_element(bytes_.size(), false);
    for_each_element([&](std::int64_t, std::int64_t, std::int64_t, std::int64_t, std::byte* at) {
      for (std::int64_t i = 0; i < element_bytes(view_.type()); ++i) {
        is_element[static_cast<std::size_t>(at - bytes_.data() + i)] = true;
      }
    });
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      if (!is_element[i] && bytes_[i] != kGuard) return false;
    }
    return true;
  }

  template <typename Visit>
  void for_each_element(const Visit& visit) const {
    const KvShape& shape = view_.shape();
    for (std::int64_t b = 0; b < shape.batch; ++b) {
      for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
        for (std::int64_t t = 0; t < shape.seq; ++t) {
          for (std::int64_t d = 0; d < shape.head_dim; ++d) visit(b, h, t, d, address(b, h, t, d));
        }
      }
    }
  }

 private:
  struct SizeAndStride {
    std::int64_t size;
    std::int64_t* stride;
  };

  static SizeAndStride axis(const KvShape& shape, KvStrides& strides, char name) {
    switch (name) {
      case 'b':
        return {shape.batch, &strides.batch};
      case 'h':
        return {shape.kv_heads, &strides.kv_heads};
      case 's':
        return {shape.seq, &strides.seq};
      default:
        return {shape.head_dim, &strides.head_dim};
    }
  }

  [[nodiscard]] std::byte* address(std::int64_t b, std::int64_t h, std::int64_t t, std::int64_t d) const {
    const KvStrides& s = view_.strides();
    return view_.data() +
           element_bytes(view_.type()) * (b * s.batch + h * s.kv_heads + t * s.seq + d * s.head_dim);
  }

  std::vector<std::byte> bytes_;
  KvView view_;
};

/// All 24 orders of the axes.
inline std::vector<std::string> all_orders() {
  std::vector<std::string> orders;
  std::string order = "bdhs";
  do {
    orders.push_back(order);
  } while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

inline constexpr ElementType kAllTypes[] = {ElementType::kF32,    ElementType::kF16,  ElementType::kBf16,
                                            ElementType::kI8,     ElementType::kU8,   ElementType::kF8E4M3,
                                            ElementType::kF8E5M2, ElementType::kBytes};

}  // namespace kvevict::testing
