#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/file_lock.h"
#include "runtime/recorded_message.h"
#include "serving/sqlite.h"

namespace kvevict::serving {

/// A conversation at rest, as the index of a store knows it.
struct StoredConversation {
  std::string owner{};
  std::string id{};
  bool is_named = false;
  std::string strategy{};
  std::vector<RecordedMessage> messages{};  ///< Without their `n_tokens`, which the file has.
};

struct StoreOptions {
  std::filesystem::path folder;
  std::int64_t n_most_bytes = 0;  ///< Of the files of states, all together.
  std::string model_sha256;       ///< Conversations belong to one model.
};

/// Conversations on a disk: a file for the state of each, and an index of all. A file is whole before the
/// index names it, and is removed once the index no longer does: whenever the process or the machine stops,
/// each conversation is there as it was after its last `put` that returned.
///
/// Thread safety: one thread at a time. A folder has one store at a time, of all processes.
/// Errors of all members: kIo.
class ConversationStore {
 public:
  using Name = std::pair<std::string, std::string>;  ///< Owner and id.

  /// Makes the folder; removes what no index names. Errors: kIo also if another process has the folder;
  /// kBadData for a folder of another model or of another version of kvevict or llama.cpp, and for a damaged
  /// index.
  explicit ConversationStore(StoreOptions options);

  /// All of them, the one that was used longest ago first.
  [[nodiscard]] std::vector<StoredConversation> all();

  /// Keeps a conversation in place of what was there of it: `write` makes the file of its state. Returns
  /// those that had to go for it, the one that was used longest ago first; it itself if it alone is too
  /// large. What `write` throws leaves everything as it was.
  std::vector<Name> put(const StoredConversation& conversation,
                        const std::function<void(const std::filesystem::path&)>& write);

  /// The file of its state; nothing if it is not there.
  [[nodiscard]] std::optional<std::filesystem::path> file_of(const std::string& owner, const std::string& id);

  /// Nothing happens if it is not there.
  void remove(const std::string& owner, const std::string& id);

  /// Of the files of states, all together.
  [[nodiscard]] std::int64_t n_bytes();

 private:
  void require_mine();
  void remove_orphans();
  [[nodiscard]] std::filesystem::path path_of(const std::string& file) const;
  std::vector<Name> shrink();

  StoreOptions options_;
  std::optional<FileLock> lock_;
  std::optional<Database> index_;
  std::int64_t n_uses_ = 0;  // numbers the files, and says which was used last
};

}  // namespace kvevict::serving
