#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kvevict {

/// Text as code points, as Python's str. Bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] std::u32string decode_utf8(std::string_view utf8);
[[nodiscard]] std::string encode_utf8(std::u32string_view text);

/// The following behave as the methods of CPython 3.11's str (Unicode 14), by ICU.

/// str.lower(): full case mapping with the final-sigma rule.
[[nodiscard]] std::u32string python_lower(std::u32string_view text);
/// str.isspace() of one character.
[[nodiscard]] bool is_python_space(char32_t c);
/// `\w` of the module re: str.isalnum() of one character, or "_".
[[nodiscard]] bool is_python_word(char32_t c);
/// `\d` of the module re: str.isdecimal() of one character.
[[nodiscard]] bool is_python_digit(char32_t c);
/// str.split(): at runs of white space, no empty parts.
[[nodiscard]] std::vector<std::u32string> split_at_spaces(std::u32string_view text);

/// One of the 32 characters of string.punctuation.
[[nodiscard]] bool is_ascii_punctuation(char32_t c);

}  // namespace kvevict
