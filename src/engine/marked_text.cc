#include "engine/marked_text.h"

#include <algorithm>

namespace kvevict {
namespace {

constexpr char kOfTemplate = 't', kOfMessage = 'm';

}  // namespace

void MarkedText::add(std::span<const TextPart> parts) {
  for (const TextPart& part : parts) {
    text_ += part.text;
    kinds_.append(part.text.size(), part.parse_special ? kOfTemplate : kOfMessage);
  }
}

void MarkedText::cut(std::size_t n_bytes) {
  text_.resize(n_bytes);
  kinds_.resize(n_bytes);
}

std::vector<TextPart> MarkedText::parts_from(std::size_t begin) const {
  std::vector<TextPart> parts;
  while (begin < text_.size()) {
    const char kind = kinds_[begin];
    const std::size_t end = std::min(kinds_.find_first_not_of(kind, begin), kinds_.size());
    parts.push_back({text_.substr(begin, end - begin), kind == kOfTemplate});
    begin = end;
  }
  return parts;
}

std::size_t MarkedText::same_beginning(const MarkedText& a, const MarkedText& b) {
  const auto n_same = [](const std::string& x, const std::string& y) {
    return static_cast<std::size_t>(std::ranges::mismatch(x, y).in1 - x.begin());
  };
  return std::min(n_same(a.text_, b.text_), n_same(a.kinds_, b.kinds_));
}

std::size_t MarkedText::same_end(const MarkedText& a, const MarkedText& b) {
  const auto n_same = [](const std::string& x, const std::string& y) {
    const auto end = std::mismatch(x.rbegin(), x.rend(), y.rbegin(), y.rend()).first;
    return static_cast<std::size_t>(end - x.rbegin());
  };
  return std::min(n_same(a.text_, b.text_), n_same(a.kinds_, b.kinds_));
}

}  // namespace kvevict
