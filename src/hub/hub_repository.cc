#include "hub/hub_repository.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <regex>

#include "kvevict/error.h"

namespace kvevict {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// A path that could lead out of the folder that it is put in.
bool is_unsafe(const std::string& path) {
  return path.empty() || path.front() == '/' || ("/" + path + "/").find("/../") != std::string::npos;
}

bool is_hex(const std::string& text, std::size_t length) {
  return text.size() == length && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

HubFile parse_file(const nlohmann::json& json) {
  HubFile file{.path = json.at("rfilename").get<std::string>(),
               .n_bytes = json.value("size", std::int64_t{0}),
               .sha256 = {},
               .git_sha1 = {}};
  if (const auto lfs = json.find("lfs"); lfs != json.end() && lfs->is_object()) {
    file.sha256 = lfs->at("sha256").get<std::string>();
    file.n_bytes = lfs->at("size").get<std::int64_t>();
  } else {
    file.git_sha1 = json.value("blobId", std::string());
  }
  return file;
}

void require_sound(const HubRepository& repository) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ErrorCode::kBadData, "the hub's answer about " + repository.name + " holds " + what);
  };
  if (!is_hex(repository.commit, 40)) refuse("no commit");
  for (const HubFile& file : repository.files) {
    if (is_unsafe(file.path)) refuse("an impossible file name");
    if (!file.sha256.empty() && !is_hex(file.sha256, 64)) refuse("a wrong checksum of " + file.path);
    if (!file.git_sha1.empty() && !is_hex(file.git_sha1, 40)) refuse("a wrong checksum of " + file.path);
    if (file.n_bytes < 0) refuse("a negative size of " + file.path);
  }
}

bool is_gguf(const std::string& path) {
  const std::string name = lower(path);
  return name.ends_with(".gguf") && name.find("mmproj") == std::string::npos;
}

/// "model-00002-of-00003.gguf" -> "model"; nothing for a file that is whole.
std::optional<std::string> split_stem(const std::string& path) {
  static const std::regex kPart("(.*)-[0-9]{5}-of-[0-9]{5}\\.gguf", std::regex::icase);
  std::smatch match;
  if (!std::regex_match(path, match, kPart)) return std::nullopt;
  return match[1].str();
}

/// Whether `quant` stands in the file's name as a word of its own ("Q4_0" is not in "IQ4_0_X").
bool has_quant(const std::string& path, const std::string& quant) {
  const std::string name = lower(path);
  const std::string wanted = lower(quant);
  for (std::size_t at = name.find(wanted); at != std::string::npos; at = name.find(wanted, at + 1)) {
    const auto is_word = [&](std::size_t i) {
      return i < name.size() && (std::isalnum(static_cast<unsigned char>(name[i])) != 0 || name[i] == '_');
    };
    if (!(at > 0 && is_word(at - 1)) && !is_word(at + wanted.size())) return true;
  }
  return false;
}

}  // namespace

HubRepository parse_repository(const std::string& name, const std::string& json) {
  HubRepository repository{.name = name, .commit = {}, .files = {}};
  try {
    const auto answer = nlohmann::json::parse(json);
    repository.commit = answer.at("sha").get<std::string>();
    for (const auto& file : answer.at("siblings")) repository.files.push_back(parse_file(file));
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kBadData,
                "the hub's answer about " + name + " is not what it should be: is HF_ENDPOINT right?");
  }
  require_sound(repository);
  return repository;
}

std::optional<ModelName> parse_model_name(const std::string& text) {
  static const std::regex kName(
      "([A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*)(:([A-Za-z0-9._-]+))?");
  std::smatch match;
  if (!std::regex_match(text, match, kName) || text.find("..") != std::string::npos) return std::nullopt;
  return ModelName{match[1].str(), match[3].str()};
}

std::vector<std::string> choose_gguf(const std::vector<std::string>& paths, const std::string& quant) {
  std::vector<std::string> files;
  std::copy_if(paths.begin(), paths.end(), std::back_inserter(files), is_gguf);
  std::sort(files.begin(), files.end());
  auto chosen = files.end();
  const std::vector<std::string> wanted =
      quant.empty() ? std::vector<std::string>{"Q4_K_M", "Q8_0"} : std::vector<std::string>{quant};
  for (const std::string& word : wanted) {
    if (chosen == files.end())
      chosen = std::find_if(files.begin(), files.end(), [&](const auto& f) { return has_quant(f, word); });
  }
  if (chosen == files.end() && quant.empty()) chosen = files.begin();
  if (chosen == files.end()) return {};
  const auto stem = split_stem(*chosen);
  if (!stem) return {*chosen};
  std::vector<std::string> parts;
  std::copy_if(files.begin(), files.end(), std::back_inserter(parts),
               [&](const auto& f) { return split_stem(f) == stem; });
  return parts;
}

std::string no_gguf_sentence(const ModelName& name, const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  std::copy_if(paths.begin(), paths.end(), std::back_inserter(files), is_gguf);
  if (!files.empty()) {
    return fmt::format("{} holds no GGUF file of the kind {}: it holds {}", name.repository, name.quant,
                       fmt::join(files, ", "));
  }
  const bool has_weights = std::any_of(paths.begin(), paths.end(), [](const auto& p) {
    return p.ends_with(".safetensors") || p.ends_with(".bin");
  });
  return fmt::format(
      "{} holds no GGUF file{}: convert it with llama.cpp's convert_hf_to_gguf.py and name the file, or name "
      "a "
      "repository of GGUF files (their names mostly end in -GGUF)",
      name.repository, has_weights ? ", but weights in another format" : "");
}

}  // namespace kvevict
