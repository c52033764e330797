#include "runtime/kept_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "text/unicode_text.h"

namespace kvevict {
namespace {

constexpr std::int64_t kShownAtEnds = 32;  // tokens of a long evicted part

std::string text_of(const Model& model, std::span<const Token> tokens, TokenRange range) {
  if (range.count() == 0) return {};
  // With the token before: a vocabulary that puts a space in front of a text would lose that of the first
  // word.
  const std::int64_t from = std::max<std::int64_t>(range.begin - 1, 0);
  const auto part =
      tokens.subspan(static_cast<std::size_t>(from), static_cast<std::size_t>(range.end - from));
  const std::string before = model.detokenize(part.first(static_cast<std::size_t>(range.begin - from)), true);
  std::string text = model.detokenize(part, true);
  if (text.starts_with(before)) text.erase(0, before.size());
  return encode_utf8(decode_utf8(text));  // a part may begin or end within a character
}

std::string evicted_text(const Model& model, std::span<const Token> tokens, TokenRange range) {
  if (range.count() <= 4 * kShownAtEnds) return text_of(model, tokens, range);
  return fmt::format("{} … {} tokens … {}", text_of(model, tokens, {range.begin, range.begin + kShownAtEnds}),
                     range.count() - 2 * kShownAtEnds,
                     text_of(model, tokens, {range.end - kShownAtEnds, range.end}));
}

}  // namespace

std::string kept_text(const Model& model, std::span<const Token> tokens, const KeepSet& held,
                      bool for_terminal) {
  const auto n_tokens = static_cast<std::int64_t>(tokens.size());
  const char* const opening = for_terminal ? "\x1b[2m" : "[-";
  const char* const closing = for_terminal ? "\x1b[0m" : "-]";
  std::string text;
  std::int64_t from = 0;
  held.for_each_removed(n_tokens, [&](TokenRange gone) {
    text += text_of(model, tokens, {from, gone.begin});
    text += opening + evicted_text(model, tokens, gone) + closing;
    from = gone.end;
  });
  return text + text_of(model, tokens, {from, n_tokens});
}

}  // namespace kvevict
