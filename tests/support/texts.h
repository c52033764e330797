#pragma once

#include <filesystem>
#include <string>

namespace kvevict::test {

/// A long real English text (scripts/fetch_texts.sh) by its file name, such as "developers-reference.txt";
/// if Debian's packages could not be had, the licences that the system ships.
[[nodiscard]] std::filesystem::path long_text_path(const std::string& name);

/// The first `n_bytes` of a long text, cut at a line. Throws if there is none so long.
[[nodiscard]] std::string long_text(std::size_t n_bytes);

}  // namespace kvevict::test
