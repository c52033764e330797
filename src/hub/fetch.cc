#include "hub/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "base/environment.h"
#include "base/file_lock.h"
#include "hub/gguf_choice.h"
#include "hub/unzip.h"
#include "kvevict/error.h"
#include "text/hashes.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

constexpr const char* kDefaultEndpoint = "https://huggingface.co";
constexpr const char* kLongBenchRepository = "THUDM/LongBench";
constexpr const char* kLongBenchArchive = "data.zip";

/// Bytes of a path of a URL.
std::string escaped(const std::string& path) {
  std::string text;
  for (const char c : path) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                          std::string_view("-._~/").find(c) != std::string_view::npos;
    text += is_plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return text;
}

class Fetcher {
 public:
  Fetcher(const HubAccess& access, const HubCache& cache, HubKind kind, const FetchProgress& progress)
      : access_(access), cache_(cache), kind_(kind), progress_(progress), http_(access.http) {}

  HubRepository repository(const std::string& name) {
    const char* const group = kind_ == HubKind::kModel ? "models" : "datasets";
    const std::string url =
        fmt::format("{}/api/{}/{}/revision/main?blobs=true", access_.endpoint, group, name);
    return parse_repository(name, http_.get(url));
  }

  /// The file's place in the cache, complete and checked.
  fs::path file(const HubRepository& repository, const HubFile& file) {
    const fs::path blob = cache_.blob(kind_, repository, file);
    if (blob.filename().empty())
      throw Error(ErrorCode::kBadData, "the hub gives no checksum for " + file.path);
    std::error_code error;
    fs::create_directories(blob.parent_path(), error);
    if (error)
      throw Error(ErrorCode::kIo, "cannot make " + blob.parent_path().string() + ": " + error.message());
    const fs::path name = cache_.snapshot(kind_, repository, file.path);
    // a copy in place of a link, as clients make it where a disk has no links
    if (!fs::is_symlink(name, error) && fs::exists(name, error) && is_right(name, file)) return name;
    const FileLock lock(blob.string() + ".lock");
    if (fs::exists(blob, error) && !is_right(blob, file)) set_aside(repository, file, blob);
    if (!fs::exists(blob, error)) transfer(repository, file, blob);
    cache_.link(kind_, repository, file);
    return name;
  }

 private:
  static std::string checksum_of(const fs::path& path, const HubFile& file) {
    return file.sha256.empty() ? git_sha1_of_file(path) : sha256_of_file(path);
  }

  static bool is_right(const fs::path& path, const HubFile& file) {
    std::error_code error;
    return fs::file_size(path, error) == static_cast<std::uintmax_t>(file.n_bytes) && !error &&
           checksum_of(path, file) == (file.sha256.empty() ? file.git_sha1 : file.sha256);
  }

  /// A blob that is not what the hub says: if it was cut off, its beginning can be used.
  void set_aside(const HubRepository& repository, const HubFile& file, const fs::path& blob) const {
    const fs::path unfinished = cache_.unfinished_blob(kind_, repository, file);
    std::error_code error;
    const auto n_bytes = fs::file_size(blob, error);
    const bool is_cut = !error && n_bytes < static_cast<std::uintmax_t>(file.n_bytes);
    if (is_cut && !fs::exists(unfinished, error))
      fs::rename(blob, unfinished, error);
    else
      fs::remove(blob, error);
    if (error) throw Error(ErrorCode::kIo, "cannot replace " + blob.string() + ": " + error.message());
  }

  void transfer(const HubRepository& repository, const HubFile& file, const fs::path& blob) {
    const fs::path unfinished = cache_.unfinished_blob(kind_, repository, file);
    const std::string url =
        fmt::format("{}/{}{}/resolve/{}/{}", access_.endpoint, kind_ == HubKind::kModel ? "" : "datasets/",
                    repository.name, repository.commit, escaped(file.path));
    http_.download(url, unfinished, file.n_bytes, [&](std::int64_t n_done, std::int64_t n_total) {
      if (progress_) progress_(file.path, n_done, n_total);
    });
    const std::string sum = checksum_of(unfinished, file);
    const std::string& right = file.sha256.empty() ? file.git_sha1 : file.sha256;
    std::error_code error;
    if (sum != right) {
      fs::remove(unfinished, error);
      throw Error(ErrorCode::kBadData,
                  fmt::format("the checksum of {} is {}, the hub says {}: it was removed, try again",
                              file.path, sum, right));
    }
    fs::rename(unfinished, blob, error);
    if (error) throw Error(ErrorCode::kIo, "cannot write " + blob.string() + ": " + error.message());
  }

  const HubAccess& access_;
  const HubCache& cache_;
  HubKind kind_;
  const FetchProgress& progress_;
  HttpClient http_;
};

const HubFile& find_file(const HubRepository& repository, const std::string& path) {
  const auto found = std::find_if(repository.files.begin(), repository.files.end(),
                                  [&](const HubFile& f) { return f.path == path; });
  if (found == repository.files.end())
    throw Error(ErrorCode::kNotFound, repository.name + " holds no file " + path);
  return *found;
}

/// As the hub's other clients read a switch.
bool is_on(std::string value) {
  for (char& c : value) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return value == "1" || value == "ON" || value == "YES" || value == "TRUE";
}

std::string token_from_environment() {
  if (std::string token = environment_variable("HF_TOKEN"); !token.empty()) return token;
  fs::path file = with_home(environment_variable("HF_TOKEN_PATH"));
  if (file.empty()) file = hub_home() / "token";
  std::string token;
  std::ifstream(file) >> token;
  return token;
}

/// The model that `name` chooses at the hub, with all its parts.
fs::path transfer_model(Fetcher& fetcher, const ModelName& name) {
  const HubRepository repository = fetcher.repository(name.repository);
  std::vector<std::string> paths;
  for (const HubFile& file : repository.files) paths.push_back(file.path);
  const std::vector<GgufModel> chosen = choose_gguf(paths, name.quant);
  if (chosen.size() != 1 || !chosen.front().missing_parts.empty())
    throw Error(ErrorCode::kUnsupported, no_gguf_sentence(name, paths));
  fs::path first;
  for (const std::string& path : chosen.front().parts) {
    const fs::path there = fetcher.file(repository, find_file(repository, path));
    if (first.empty()) first = there;
  }
  return first;
}

std::string text_of(const ModelName& name) {
  return name.repository + (name.quant.empty() ? "" : ":" + name.quant);
}

}  // namespace

HubAccess HubAccess::from_environment() {
  HubAccess access{.endpoint = environment_variable("HF_ENDPOINT"), .http = {}};
  if (access.endpoint.empty()) access.endpoint = kDefaultEndpoint;
  while (access.endpoint.ends_with('/')) access.endpoint.pop_back();
  access.http.token = token_from_environment();
  for (const char* name : {"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"}) {
    if (is_on(environment_variable(name))) access.is_offline = true;
  }
  return access;
}

FetchedModel fetch_model(const HubAccess& access, const HubCache& cache, const ModelName& name,
                         const FetchProgress& progress) {
  const std::vector<fs::path> cached = find_cached_model(cache, name);
  if (access.is_offline) {
    if (!cached.empty()) return {cached.front(), "offline"};
    throw Error(ErrorCode::kNotFound,
                fmt::format("{} is not in {}, and the hub is not asked for it (HF_HUB_OFFLINE)",
                            text_of(name), cache.root().string()));
  }
  Fetcher fetcher(access, cache, HubKind::kModel, progress);
  try {
    return {transfer_model(fetcher, name), {}};
  } catch (const Error& error) {
    // what was cut off was set aside for the transfer that failed, and is no model
    std::error_code ignored;
    const bool is_there = !cached.empty() && std::all_of(cached.begin(), cached.end(), [&](const auto& f) {
      return fs::exists(f, ignored);
    });
    if (error.code() != ErrorCode::kIo || !is_there) throw;
    return {cached.front(), error.what()};
  }
}

std::vector<std::string> fetch_longbench(const HubAccess& access, const HubCache& cache,
                                         const fs::path& folder, const FetchProgress& progress) {
  if (access.is_offline) {
    throw Error(ErrorCode::kNotFound,
                "LongBench is not fetched: the hub is not asked for anything (HF_HUB_OFFLINE)");
  }
  Fetcher fetcher(access, cache, HubKind::kDataset, progress);
  const HubRepository repository = fetcher.repository(kLongBenchRepository);
  const fs::path archive = fetcher.file(repository, find_file(repository, kLongBenchArchive));
  std::vector<std::string> names = unzip_files(archive, ".jsonl", folder);
  if (names.empty()) throw Error(ErrorCode::kBadData, archive.string() + " holds no .jsonl file");
  return names;
}

}  // namespace kvevict
