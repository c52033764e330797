#include "cli/ready_command.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace kvevict::cli {

std::string shell_quoted(const std::string& text) {
  const bool is_plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::string_view("_-./:=,").find(c) != std::string_view::npos;
  });
  if (is_plain) return text;
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string given_options(const CLI::App& command, const std::set<std::string>& left_out) {
  std::string words;
  for (const CLI::Option* const option : command.get_options()) {
    if (option->count() == 0 || option->get_lnames().empty()) continue;
    const std::string& name = option->get_lnames().front();
    if (left_out.contains(name)) continue;
    words += " --" + name;
    if (option->get_items_expected_max() == 0) continue;  // a flag
    std::string values;
    for (const std::string& value : option->results()) values += (values.empty() ? "" : ",") + value;
    words += " " + shell_quoted(values);
  }
  return words;
}

}  // namespace kvevict::cli
