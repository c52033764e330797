#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "kvevict/model.h"

namespace kvevict {

/// The text of parts, with what each byte of it is of: two such texts can be compared byte by byte.
class MarkedText {
 public:
  MarkedText() = default;
  explicit MarkedText(std::span<const TextPart> parts) { add(parts); }

  void add(std::span<const TextPart> parts);

  /// Keeps the first `n_bytes`.
  void cut(std::size_t n_bytes);

  /// What stands from `begin` on; neighbours are of different kinds.
  [[nodiscard]] std::vector<TextPart> parts_from(std::size_t begin) const;

  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }

  /// Bytes at the beginning, or at the end, of both that are the same.
  [[nodiscard]] static std::size_t same_beginning(const MarkedText& a, const MarkedText& b);
  [[nodiscard]] static std::size_t same_end(const MarkedText& a, const MarkedText& b);

 private:
  std::string text_;
  std::string kinds_;  // of each byte
};

}  // namespace kvevict
