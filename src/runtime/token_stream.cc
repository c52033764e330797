#include "kvevict/token_stream.h"

#include <algorithm>
#include <array>

#include "kvevict/error.h"
#include "text/utf8.h"

namespace kvevict {
namespace {

constexpr std::size_t kReadBytes = 32768;

bool is_white(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}
bool is_ascii_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

}  // namespace

TokenStream::TokenStream(const Model& model, std::istream& text, std::string name)
    : model_(model), text_(text), name_(std::move(name)) {}

void TokenStream::read_ready() {
  std::array<char, kReadBytes> piece{};
  std::size_t n = 0;
  while (n < piece.size() && text_.peek() != std::istream::traits_type::eof()) {
    const std::streamsize n_ready = std::max<std::streamsize>(1, text_.rdbuf()->in_avail());
    text_.read(piece.data() + n, std::min(n_ready, static_cast<std::streamsize>(piece.size() - n)));
    n += static_cast<std::size_t>(text_.gcount());
    if (text_.rdbuf()->in_avail() == 0) break;  // the rest would have to be waited for
  }
  if (text_.bad()) throw Error(ErrorCode::kIo, "cannot read " + name_);
  buffer_.append(piece.data(), n);
}

void TokenStream::fill() {
  read_ready();
  if (is_first_ && buffer_.starts_with("\xEF\xBB\xBF")) {
    buffer_.erase(0, 3);
    n_before_ = 3;
  }
  const Utf8Prefix prefix = valid_utf8_prefix(buffer_);
  n_valid_ = prefix.n_bytes;
  if (prefix.is_broken || is_at_end()) require_utf8(buffer_, name_, n_before_);
}

/// Bytes of the buffer up to the place where it is cut if no safe one comes before: on a grid of the text,
/// one to two pieces away, so that it does not depend on how the text was handed out.
std::size_t TokenStream::limit() const {
  const auto begin = static_cast<std::size_t>(n_before_);
  return ((begin + kReadBytes - 1) / kReadBytes + 1) * kReadBytes - begin;
}

/// Where the buffer is cut: everything at the end of the text, else the last safe place; 0 if more text
/// may bring one.
std::size_t TokenStream::cut() const {
  const std::size_t end = std::min(n_valid_, limit());
  if (is_at_end() && n_valid_ == end) return end;
  for (std::size_t i = end; i-- > 2;) {
    if (buffer_[i - 1] == ' ' && is_ascii_letter(buffer_[i]) && is_ascii_letter(buffer_[i - 2])) return i - 1;
  }
  if (n_valid_ < limit()) return 0;
  const std::size_t line_feed = buffer_.rfind('\n', end - 1);
  if (line_feed != std::string::npos && line_feed + 1 < end && !is_white(buffer_[line_feed + 1]))
    return line_feed + 1;
  return valid_utf8_prefix(std::string_view(buffer_).substr(0, end)).n_bytes;
}

std::vector<Token> TokenStream::take(std::size_t n_tokens) {
  std::vector<Token> taken;
  while (taken.size() < n_tokens) {
    if (n_taken_ == waiting_.size()) {
      waiting_ = next_part();
      n_taken_ = 0;
      if (waiting_.empty()) break;
    }
    const std::size_t n = std::min(n_tokens - taken.size(), waiting_.size() - n_taken_);
    const auto first = waiting_.begin() + static_cast<std::ptrdiff_t>(n_taken_);
    taken.insert(taken.end(), first, first + static_cast<std::ptrdiff_t>(n));
    n_taken_ += n;
  }
  return taken;
}

std::vector<Token> TokenStream::next_part() {
  std::vector<Token> tokens;
  while (tokens.empty()) {
    const std::size_t n = cut();
    if (n == 0 && is_at_end()) return tokens;
    if (n == 0) {
      fill();
      continue;
    }
    const TextPart part{buffer_.substr(0, n)};
    tokens = model_.tokenize({&part, 1}, is_first_);
    is_first_ = false;
    n_before_ += static_cast<std::int64_t>(n);
    buffer_.erase(0, n);
    n_valid_ -= n;
  }
  return tokens;
}

}  // namespace kvevict
