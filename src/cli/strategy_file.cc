#include "cli/strategy_file.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include "kvevict/error.h"

namespace kvevict::cli {
namespace {

[[noreturn]] void refuse(const std::string& path, const YAML::Node& node, const std::string& what) {
  const std::string place = node.Mark().is_null() ? "" : fmt::format(", line {}", node.Mark().line + 1);
  throw Error(ErrorCode::kBadData, path + place + ": " + what);
}

/// Keys of a map, and what they are called in the grammar.
constexpr std::array<std::pair<const char*, const char*>, 6> kKeys = {{{"sink_tokens", "sink"},
                                                                       {"recent_tokens", "recent"},
                                                                       {"middle_budget", "budget"},
                                                                       {"uniform_stride", "stride"},
                                                                       {"block_n", "block"},
                                                                       {"prefill", "prefill"}}};

std::string grammar_of(const std::string& path, const YAML::Node& item) {
  if (item.IsScalar()) return item.Scalar();
  if (!item.IsMap() || !item["strategy"])
    refuse(path, item, "a text or a map with the key \"strategy\" is needed");
  std::string text = item["strategy"].as<std::string>();
  for (const auto& entry : item) {
    const auto key = entry.first.as<std::string>();
    if (key == "strategy") continue;
    const auto* const known =
        std::find_if(kKeys.begin(), kKeys.end(), [&](const auto& k) { return key == k.first; });
    if (known == kKeys.end()) {
      refuse(path, entry.first,
             "\"" + key +
                 "\" is not known: strategy, sink_tokens, recent_tokens, middle_budget, uniform_stride, "
                 "block_n and prefill are");
    }
    if (!entry.second.IsScalar()) refuse(path, entry.second, "\"" + key + "\" needs a single value");
    text += fmt::format(":{}={}", known->second, entry.second.Scalar());
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
