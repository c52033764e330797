#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace kvevict::eval {

/// The sentences of a text's paragraphs of prose, in order, each on one line and with a space behind it. Left
/// out is what is no prose: headings, tables, code, and paragraphs that do not end like a sentence.
[[nodiscard]] std::vector<std::string> prose_sentences(std::string_view text);

/// The same of a file. Errors: kNotFound or kIo; kBadData if it holds no prose.
[[nodiscard]] std::vector<std::string> read_prose(const std::filesystem::path& file);

}  // namespace kvevict::eval
