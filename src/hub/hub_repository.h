#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace kvevict {

/// A file of a repository on the hub.
struct HubFile {
  std::string path;  ///< Within the repository, with "/".
  std::int64_t n_bytes = 0;
  std::string sha256;    ///< Of large files; else empty.
  std::string git_sha1;  ///< Of the others: Git's blob id.
};

/// What the hub says about a repository at one commit.
struct HubRepository {
  std::string name;    ///< "org/repo"
  std::string commit;  ///< 40 hexadecimal digits.
  std::vector<HubFile> files;
};

/// Reads the hub's JSON answer (`/api/models/…?blobs=true`). Errors: kBadData.
[[nodiscard]] HubRepository parse_repository(const std::string& name, const std::string& json);

/// "org/repo" or "org/repo:quant".
struct ModelName {
  std::string repository;
  std::string quant;  ///< May be empty.
};

/// Nothing if `text` is not of that form.
[[nodiscard]] std::optional<ModelName> parse_model_name(const std::string& text);

}  // namespace kvevict
