#include "experiments/prompt_templates.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict::eval {
namespace fs = std::filesystem;
namespace {

/// The object in the file; nothing if there is no file.
template <typename Value>
std::optional<std::map<std::string, Value>> read_object(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  try {
    return nlohmann::json::parse(file).get<std::map<std::string, Value>>();
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData,
                path.string() + " is not a flat JSON object as LongBench's: " + error.what());
  }
}

template <typename Value>
bool merge_file(const fs::path& path, std::map<std::string, Value>& into) {
  const auto object = read_object<Value>(path);
  if (object) {
    for (const auto& [key, value] : *object) into[key] = value;
  }
  return object.has_value();
}

}  // namespace

PromptTemplates::PromptTemplates(const fs::path& shipped, const fs::path& own) {
  for (const fs::path& folder : {shipped, own}) {
    if (folder.empty()) continue;
    const bool has_prompts = merge_file(folder / "dataset2prompt.json", prompts_);
    const bool has_lengths = merge_file(folder / "dataset2maxlen.json", max_new_tokens_);
    if (!has_prompts && !has_lengths) {
      throw Error(ErrorCode::kNotFound, "the folder " + folder.string() +
                                            " holds neither dataset2prompt.json nor dataset2maxlen.json");
    }
  }
}

const std::string& PromptTemplates::template_of(const std::string& dataset) const {
  const auto found = prompts_.find(dataset);
  if (found == prompts_.end()) {
    throw Error(ErrorCode::kNotFound,
                "there is no prompt for the data set " + dataset + " in dataset2prompt.json");
  }
  return found->second;
}

FilledPrompt PromptTemplates::fill(const std::string& dataset, std::string_view context,
                                   std::string_view input) const {
  const std::string& text = template_of(dataset);
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kBadData,
                "the prompt of " + dataset + " has " + what + ": only {context} and {input} are known");
  };
  FilledPrompt filled;
  std::string& prompt = filled.text;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c != '{' && c != '}') {
      prompt += c;
      ++at;
      continue;
    }
    if (at + 1 < text.size() && text[at + 1] == c) {
      prompt += c;
      at += 2;
      continue;
    }
    const std::size_t close = c == '{' ? text.find('}', at) : std::string::npos;
    if (close == std::string::npos) refuse("a single brace at byte " + std::to_string(at));
    const std::string name = text.substr(at + 1, close - at - 1);
    if (name == "context") {
      prompt += context;
      filled.context_end = prompt.size();
    } else if (name == "input") {
      prompt += input;
    } else {
      refuse("the placeholder {" + name + "}");
    }
    at = close + 1;
  }
  return filled;
}

std::int64_t PromptTemplates::max_new_tokens(const std::string& dataset) const {
  const auto found = max_new_tokens_.find(dataset);
  if (found == max_new_tokens_.end()) {
    throw Error(ErrorCode::kNotFound,
                "there is no generation length for the data set " + dataset + " in dataset2maxlen.json");
  }
  return found->second;
}

std::string PromptTemplates::template_sha256(const std::string& dataset) const {
  return sha256_hex(template_of(dataset));
}

}  // namespace kvevict::eval
