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

std::string prefix_of(HubKind kind) {
  return kind == HubKind::kModel ? "models--" : "datasets--";
}

}  // namespace

fs::path with_home(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  const fs::path home = environment_variable("HOME");
  return home.empty() ? fs::path(path) : home / path.substr(std::min<std::size_t>(2, path.size()));
}

fs::path hub_home() {
  if (const std::string home = environment_variable("HF_HOME"); !home.empty()) return with_home(home);
  if (const fs::path xdg = environment_variable("XDG_CACHE_HOME"); xdg.is_absolute())
    return xdg / "huggingface";
  if (const fs::path home = environment_variable("HOME"); !home.empty())
    return home / ".cache" / "huggingface";
  return {};
}

HubCache HubCache::from_environment() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string hub = environment_variable(name); !hub.empty()) return HubCache(with_home(hub));
  }
  const fs::path home = hub_home();
  if (home.empty())
    throw Error(ErrorCode::kNotFound, "there is no place for downloads: set HF_HOME to a folder");
  return HubCache(home / "hub");
}

fs::path HubCache::folder(HubKind kind, const std::string& repository) const {
  std::string name = prefix_of(kind);
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

std::vector<HubSnapshot> HubCache::snapshots(HubKind kind, const std::string& repository) const {
  const fs::path repository_folder = folder(kind, repository);
  std::string main;
  std::ifstream(repository_folder / "refs" / "main") >> main;
  struct Dated {
    HubSnapshot snapshot;
    bool is_main;
    fs::file_time_type changed;
  };
  std::vector<Dated> all;
  std::error_code ignored;
  for (const fs::directory_entry& entry : entries_of(repository_folder / "snapshots")) {
    if (!entry.is_directory(ignored)) continue;
    Dated one{.snapshot = {.folder = entry.path(), .paths = {}},
              .is_main = entry.path().filename() == main,
              .changed = entry.last_write_time(ignored)};
    for (const fs::directory_entry& file : entries_of(entry.path(), true)) {
      if (fs::is_regular_file(file.path(), ignored))
        one.snapshot.paths.push_back(file.path().lexically_relative(entry.path()).string());
    }
    std::sort(one.snapshot.paths.begin(), one.snapshot.paths.end());
    all.push_back(std::move(one));
  }
  std::stable_sort(all.begin(), all.end(), [](const Dated& a, const Dated& b) {
    return a.is_main != b.is_main ? a.is_main : a.changed > b.changed;
  });
  std::vector<HubSnapshot> snapshots;
  for (Dated& one : all) snapshots.push_back(std::move(one.snapshot));
  return snapshots;
}

std::vector<std::string> HubCache::repositories(HubKind kind) const {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries_of(root_)) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix_of(kind))) continue;
    name.erase(0, prefix_of(kind).size());
    if (const std::size_t at = name.find("--"); at != std::string::npos)
      names.push_back(name.replace(at, 2, "/"));
  }
  return names;
}

}  // namespace kvevict
