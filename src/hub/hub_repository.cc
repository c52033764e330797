#include "hub/hub_repository.h"

#include <nlohmann/json.hpp>
#include <regex>

#include "kvevict/error.h"

namespace kvevict {
namespace {

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

}  // namespace kvevict
