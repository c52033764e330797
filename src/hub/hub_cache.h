#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/hub_repository.h"

namespace kvevict {

enum class HubKind { kModel, kDataset };

/// The hub's cache on this machine, in the layout that its other clients share: `blobs/<checksum>`,
/// `snapshots/<commit>/<path>` linking to them, `refs/main` naming the commit.
class HubCache {
 public:
  /// `$HF_HUB_CACHE`, else `$HF_HOME/hub`, else `$XDG_CACHE_HOME/huggingface/hub`, else
  /// `$HOME/.cache/huggingface/hub`. Errors: kNotFound if none of the variables is set.
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

  /// Paths of the files of the newest snapshot that is there, within it; `folder` becomes the snapshot's.
  [[nodiscard]] std::vector<std::string> newest_snapshot(HubKind kind, const std::string& repository,
                                                         std::filesystem::path& folder) const;

 private:
  std::filesystem::path root_;
};

}  // namespace kvevict
