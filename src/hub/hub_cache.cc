#include "hub/hub_cache.h"

#include <algorithm>
#include <fstream>

#include "base/environment.h"
#include "base/folder.h"
#include "kvevict/error.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void throw_io(const fs::path& path, const std::string& why) {
  throw Error(ErrorCode::kIo, "cannot write " + path.string() + ": " + why);
}

void make_folders(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw_io(folder, error.message());
}

/// The commit that refs/main names, else the snapshot that was changed last; empty if there is none.
fs::path newest_folder(const fs::path& repository) {
  std::string commit;
  std::ifstream(repository / "refs" / "main") >> commit;
  std::error_code ignored;
  if (!commit.empty() && fs::is_directory(repository / "snapshots" / commit, ignored))
    return repository / "snapshots" / commit;
  fs::path newest;
  for (const fs::directory_entry& entry : entries_of(repository / "snapshots")) {
    if (newest.empty() || entry.last_write_time(ignored) > fs::last_write_time(newest, ignored))
      newest = entry.path();
  }
  return newest;
}

}  // namespace

HubCache HubCache::from_environment() {
  if (const fs::path hub = environment_variable("HF_HUB_CACHE"); !hub.empty()) return HubCache(hub);
  if (const fs::path home = environment_variable("HF_HOME"); !home.empty()) return HubCache(home / "hub");
  if (const fs::path xdg = environment_variable("XDG_CACHE_HOME"); xdg.is_absolute())
    return HubCache(xdg / "huggingface" / "hub");
  if (const fs::path home = environment_variable("HOME"); !home.empty())
    return HubCache(home / ".cache" / "huggingface" / "hub");
  throw Error(ErrorCode::kNotFound, "there is no place for downloads: set HF_HOME to a folder");
}

fs::path HubCache::folder(HubKind kind, const std::string& repository) const {
  std::string name = kind == HubKind::kModel ? "models--" : "datasets--";
  for (const char c : repository) name += c == '/' ? "--" : std::string(1, c);
  return root_ / name;
}

fs::path HubCache::blob(HubKind kind, const HubRepository& repository, const HubFile& file) const {
  return folder(kind, repository.name) / "blobs" / (file.sha256.empty() ? file.git_sha1 : file.sha256);
}

fs::path HubCache::unfinished_blob(HubKind kind, const HubRepository& repository, const HubFile& file) const {
  return blob(kind, repository, file).string() + ".incomplete";
}

fs::path HubCache::snapshot(HubKind kind, const HubRepository& repository, const std::string& path) const {
  return folder(kind, repository.name) / "snapshots" / repository.commit / path;
}

void HubCache::link(HubKind kind, const HubRepository& repository, const HubFile& file) const {
  const fs::path name = snapshot(kind, repository, file.path);
  make_folders(name.parent_path());
  std::error_code error;
  fs::remove(name, error);
  fs::create_symlink(fs::relative(blob(kind, repository, file), name.parent_path(), error), name, error);
  if (error) throw_io(name, error.message());
  const fs::path ref = folder(kind, repository.name) / "refs" / "main";
  make_folders(ref.parent_path());
  std::ofstream(ref, std::ios::trunc) << repository.commit;
}

std::vector<std::string> HubCache::newest_snapshot(HubKind kind, const std::string& repository,
                                                   fs::path& folder) const {
  std::vector<std::string> paths;
  folder = newest_folder(this->folder(kind, repository));
  if (folder.empty()) return paths;
  std::error_code ignored;
  for (const fs::directory_entry& entry : entries_of(folder, true)) {
    if (fs::exists(entry.path(), ignored) && !entry.is_directory(ignored)) {
      paths.push_back(entry.path().lexically_relative(folder).string());
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace kvevict
