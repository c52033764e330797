#pragma once

#include <string>

namespace kvevict::cli {

/// The table of llama.cpp's architectures and what works with each, made by scripts/check_architectures.py,
/// as a page of text; `is_json`: as it is in the file. Errors: those of the data folder and of the file.
[[nodiscard]] std::string architectures_text(bool is_json);

}  // namespace kvevict::cli
