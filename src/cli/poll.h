#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace kvevict::cli {

/// The flag --poll: how long threads that wait for each other spin before they sleep, 0 (not at all) to 100
/// (without end); left out: as OpenMP has it. OpenMP reads it once, when the program is loaded, so the
/// program starts itself again with the variables set: `restart_with_poll` does that before anything else.
CLI::Option* add_poll(CLI::App& app);

/// The value of --poll among the arguments, in either form; nothing without it or if it is not 0 … 100, which
/// the parser then refuses.
[[nodiscard]] std::optional<int> poll_in(std::span<char* const> arguments);

/// The variables that make GNU's and LLVM's OpenMP wait so.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> poll_variables(int poll);

/// Starts the program again if --poll asks for other variables than there are; else returns.
/// Errors: kUnsupported if llama.cpp computes without OpenMP here: its threads always spin. kIo.
void restart_with_poll(int argc, char** argv);

}  // namespace kvevict::cli
