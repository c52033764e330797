#include "cli/poll.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "base/environment.h"
#include "cli/flags.h"
#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

constexpr int kMost = 100;
constexpr int kSpinsPerStep = 1000;

std::optional<int> parse(std::string_view text) {
  int poll = -1;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), poll);
  const bool is_whole = error == std::errc() && stop == text.data() + text.size();
  return is_whole && poll >= 0 && poll <= kMost ? std::optional(poll) : std::nullopt;
}

}  // namespace

CLI::Option* add_poll(CLI::App& app) {
  return app
      .add_option_function<int>(
          "--poll", [](const int&) {},  // restart_with_poll has done what it asks for
          "How long waiting threads spin before they sleep: 0 (not at all) to 100 (without end); left out: "
          "as OpenMP has it")
      ->check(CLI::Range(0, kMost))
      ->option_text("N");
}

std::optional<int> poll_in(std::span<char* const> arguments) {
  constexpr std::string_view kFlag = "--poll";
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string_view argument = arguments[i];
    if (argument == kFlag && i + 1 < arguments.size()) return parse(arguments[i + 1]);
    if (argument.starts_with(kFlag) && argument.size() > kFlag.size() && argument[kFlag.size()] == '=')
      return parse(argument.substr(kFlag.size() + 1));
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, std::string>> poll_variables(int poll) {
  const bool is_endless = poll == kMost;
  return {{"OMP_WAIT_POLICY", is_endless ? "active" : "passive"},
          {"GOMP_SPINCOUNT", is_endless ? "infinite" : std::to_string(poll * kSpinsPerStep)},
          {"KMP_BLOCKTIME", is_endless ? "infinite" : std::to_string(poll)}};
}

void restart_with_poll(int argc, char** argv) {
  const std::optional<int> poll = poll_in({argv, static_cast<std::size_t>(argc)});
  if (!poll) return;
  if (dlsym(RTLD_DEFAULT, "omp_get_max_threads") == nullptr) {
    throw Error(
        ErrorCode::kUnsupported,
        "--poll has no effect here: this llama.cpp was built without OpenMP, and its threads always spin");
  }
  bool is_set = true;
  for (const auto& [name, value] : poll_variables(*poll)) {
    is_set = is_set && environment_variable(name.c_str()) == value;
    setenv(name.c_str(), value.c_str(), 1);
  }
  if (is_set) return;
  execv("/proc/self/exe", argv);
  throw Error(ErrorCode::kIo,
              fmt::format("--poll {}: the program cannot be started again: {}", *poll, std::strerror(errno)));
}

}  // namespace kvevict::cli
