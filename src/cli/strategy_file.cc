#include "cli/strategy_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <string_view>

#include "kvevict/error.h"
#include "kvevict/strategy_spec.h"

namespace kvevict::cli {
namespace {

[[noreturn]] void refuse(const std::string& path, const YAML::Node& node, const std::string& what) {
  const std::string place = node.Mark().is_null() ? "" : fmt::format(", line {}", node.Mark().line + 1);
  throw Error(ErrorCode::kBadData, path + place + ": " + what);
}

/// What a key of a map is called in the grammar.
std::string grammar_key(const std::string& path, const YAML::Node& key) {
  const auto name = key.as<std::string>();
  if (name == "prefill") return "prefill";
  std::string known = "strategy, ";
  for (const StrategyKey& value : strategy_keys()) {
    if (name == value.long_name) return value.name;
    known += value.long_name + ", ";
  }
  refuse(path, key, "\"" + name + "\" is not known: " + known + "and prefill are");
}

std::string grammar_of(const std::string& path, const YAML::Node& item) {
  if (item.IsScalar()) return item.Scalar();
  if (!item.IsMap() || !item["strategy"])
    refuse(path, item, "a text or a map with the key \"strategy\" is needed");
  std::string text = item["strategy"].as<std::string>();
  for (const auto& entry : item) {
    const auto key = entry.first.as<std::string>();
    if (key == "strategy") continue;
    const std::string name = grammar_key(path, entry.first);
    if (!entry.second.IsScalar()) refuse(path, entry.second, "\"" + key + "\" needs a single value");
    text += fmt::format(":{}={}", name, entry.second.Scalar());
  }
  return text;
}

}  // namespace

bool is_strategy_file(const std::string& text) {
  const std::string ending = std::filesystem::path(text).extension().string();
  return ending == ".yaml" || ending == ".yml" || ending == ".json";
}

std::vector<std::string> read_strategy_file(const std::string& path) {
  try {
    const YAML::Node file = YAML::LoadFile(path);
    const YAML::Node list = file.IsMap() ? file["strategies"] : file;
    if (!list || !list.IsSequence() || list.size() == 0) refuse(path, file, "a list of strategies is needed");
    std::vector<std::string> texts;
    for (const YAML::Node& item : list) texts.push_back(grammar_of(path, item));
    return texts;
  } catch (const YAML::BadFile&) {
    throw Error(ErrorCode::kNotFound, "there is no file of strategies " + path);
  } catch (const YAML::Exception& error) {
    throw Error(ErrorCode::kBadData, fmt::format("{}, line {}: {}", path, error.mark.line + 1, error.msg));
  }
}

}  // namespace kvevict::cli
