#pragma once

#include <string>
#include <string_view>

namespace kvevict::cli {

/// Columns that every terminal has.
inline constexpr std::size_t kPageWidth = 80;

/// `text` as lines of at most `width` columns, each behind `indent` blanks and with a new line at its end;
/// the first line without the blanks if it `hangs` behind something. Breaks at blanks; a longer word has a
/// line of its own. Columns are counted in characters of UTF-8.
[[nodiscard]] std::string paragraph(std::string_view text, std::size_t indent = 0, bool hangs = false,
                                    std::size_t width = kPageWidth);

/// `text` with blanks for its line ends and tabs.
[[nodiscard]] std::string one_line(std::string text);

/// Characters of UTF-8 in `text`.
[[nodiscard]] std::size_t count_characters(std::string_view text);

}  // namespace kvevict::cli
