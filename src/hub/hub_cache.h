#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/hub_repository.h"

namespace kvevict {

enum class HubKind { kModel, kDataset };

/// The folder of the hub's clients: `$HF_HOME`, else `$XDG_CACHE_HOME/huggingface`, else
/// `$HOME/.cache/huggingface`; empty if none of the variables is set. "~" is the home folder.
[[nodiscard]] std::filesystem::path hub_home();

/// `path` with the home folder for a leading "~", as the hub's other clients read their variables.
[[nodiscard]] std::filesystem::path with_home(const std::string& path);

/// A commit's files that are there in full, or linked to what is.
struct HubSnapshot {
  std::filesystem::path folder;
  std::vector<std::string> paths;  ///< Within the folder, sorted.
};

/// The hub's cache on this machine, in the layout that its other clients share: `blobs/<checksum>`,
/// `snapshots/<commit>/<path>` linking to them, `refs/main` naming the commit.
class HubCache {
 public:
  /// `$HF_HUB_CACHE`, else `$HUGGINGFACE_HUB_CACHE`, else `hub` in `hub_home()`. Errors: kNotFound if none of
  /// the variables is set.
  [[nodiscard]] static HubCache from_environment();

  explicit HubCache(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }
  [[nodiscard]] std::filesystem::path folder(HubKind kind, const std::string& repository) const;

  /// Where the content of `file` lies once it is complete, and while it is not.
  [[nodiscard]] std::filesystem::path blob(HubKind kind, const HubRepository& repository,
                                           const HubFile& file) const;
  [[nodiscard]] std::filesystem::path unfinished_blob(HubKind kind, const HubRepository& repository,
                                                      const HubFile& file) const;

  /// Where the file stands under its name.
  [[nodiscard]] std::filesystem::path snapshot(HubKind kind, const HubRepository& repository,
                                               const std::string& path) const;

  /// Links the snapshot's name to the complete blob and notes the commit as the newest. Errors: kIo.
  void link(HubKind kind, const HubRepository& repository, const HubFile& file) const;

  /// The snapshots that are there: the one that refs/main names, then the others, newest first.
  [[nodiscard]] std::vector<HubSnapshot> snapshots(HubKind kind, const std::string& repository) const;

  /// Names of the repositories that are there.
  [[nodiscard]] std::vector<std::string> repositories(HubKind kind) const;

 private:
  std::filesystem::path root_;
};

}  // namespace kvevict
