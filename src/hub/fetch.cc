#include "hub/fetch.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/environment.h"
#include "base/file_lock.h"
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
    if (!fs::exists(blob, error)) {
      const FileLock lock(blob.string() + ".lock");
      transfer(repository, file, blob);
    }
    cache_.link(kind_, repository, file);
    return cache_.snapshot(kind_, repository, file.path);
  }

 private:
  void transfer(const HubRepository& repository, const HubFile& file, const fs::path& blob) {
    const fs::path unfinished = cache_.unfinished_blob(kind_, repository, file);
    const std::string url =
        fmt::format("{}/{}{}/resolve/{}/{}", access_.endpoint, kind_ == HubKind::kModel ? "" : "datasets/",
                    repository.name, repository.commit, escaped(file.path));
    http_.download(url, unfinished, file.n_bytes, [&](std::int64_t n_done, std::int64_t n_total) {
      if (progress_) progress_(file.path, n_done, n_total);
    });
    const bool is_large = !file.sha256.empty();
    const std::string sum = is_large ? sha256_of_file(unfinished) : git_sha1_of_file(unfinished);
    std::error_code error;
    if (sum != (is_large ? file.sha256 : file.git_sha1)) {
      fs::remove(unfinished, error);
      throw Error(ErrorCode::kBadData,
                  fmt::format("the checksum of {} is {}, the hub says {}: it was removed, try again",
                              file.path, sum, is_large ? file.sha256 : file.git_sha1));
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

}  // namespace

HubAccess HubAccess::from_environment() {
  HubAccess access{.endpoint = environment_variable("HF_ENDPOINT"), .http = {}};
  if (access.endpoint.empty()) access.endpoint = kDefaultEndpoint;
  while (access.endpoint.ends_with('/')) access.endpoint.pop_back();
  access.http.token = environment_variable("HF_TOKEN");
  return access;
}

fs::path fetch_model(const HubAccess& access, const HubCache& cache, const ModelName& name,
                     const FetchProgress& progress) {
  Fetcher fetcher(access, cache, HubKind::kModel, progress);
  const HubRepository repository = fetcher.repository(name.repository);
  std::vector<std::string> paths;
  for (const HubFile& file : repository.files) paths.push_back(file.path);
  const std::vector<std::string> chosen = choose_gguf(paths, name.quant);
  if (chosen.empty()) throw Error(ErrorCode::kUnsupported, no_gguf_sentence(name, paths));
  fs::path first;
  for (const std::string& path : chosen) {
    const fs::path there = fetcher.file(repository, find_file(repository, path));
    if (first.empty()) first = there;
  }
  return first;
}

std::vector<std::string> fetch_longbench(const HubAccess& access, const HubCache& cache,
                                         const fs::path& folder, const FetchProgress& progress) {
  Fetcher fetcher(access, cache, HubKind::kDataset, progress);
  const HubRepository repository = fetcher.repository(kLongBenchRepository);
  const fs::path archive = fetcher.file(repository, find_file(repository, kLongBenchArchive));
  std::vector<std::string> names = unzip_files(archive, ".jsonl", folder);
  if (names.empty()) throw Error(ErrorCode::kBadData, archive.string() + " holds no .jsonl file");
  return names;
}

}  // namespace kvevict
