#pragma once

#include <CLI/CLI.hpp>
#include <set>
#include <string>

namespace kvevict::cli {

/// `text` as an argument that a shell reads back as it is.
[[nodiscard]] std::string shell_quoted(const std::string& text);

/// The options that were given to `command`, as a shell reads them: " --dataset a,b --chunk 64". Without
/// those named in `left_out` ("output").
[[nodiscard]] std::string given_options(const CLI::App& command, const std::set<std::string>& left_out);

}  // namespace kvevict::cli
