#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <string>

namespace kvevict::cli {

/// Both spellings of a flag: "sink_tokens" -> "--sink_tokens,--sink-tokens". `short_name`: "-n" or "".
[[nodiscard]] inline std::string both_spellings(const std::string& name, const std::string& short_name = "") {
  std::string hyphens = name;
  for (char& c : hyphens) c = c == '_' ? '-' : c;
  std::string flags = (short_name.empty() ? "" : short_name + ",") + "--" + name;
  return hyphens == name ? flags : flags + ",--" + hyphens;
}

/// An option in both spellings.
template <typename Value>
CLI::Option* add_option(CLI::App& app, const std::string& name, Value& value, const std::string& help) {
  return app.add_option(both_spellings(name), value, help);
}

/// Refuses what is not a whole number of 64 bits, instead of reading a part of it or clamping it.
[[nodiscard]] inline std::string check_whole_number(const std::string& text) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && stop == text.data() + text.size()) return {};
  return "\"" + text + "\" is not a whole number that a count can have";
}

/// An option that takes a whole number.
template <typename Value>
CLI::Option* add_count(CLI::App& app, const std::string& name, Value& value, const std::string& help) {
  return add_option(app, name, value, help)->check(check_whole_number)->option_text("N");
}

inline CLI::Option* add_flag(CLI::App& app, const std::string& name, bool& value, const std::string& help) {
  return app.add_flag(both_spellings(name), value, help);
}

}  // namespace kvevict::cli
