#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file_lock.h"
#include "runtime/recorded_message.h"
#include "serving/chat_request.h"
#include "serving/conversation_leases.h"
#include "serving/sqlite.h"

namespace kvevict::serving {

/// A conversation at rest, as the index of a store knows it.
struct StoredConversation {
  std::string owner{};
  std::string id{};
  bool is_named = false;
  std::string strategy{};
  std::vector<RecordedMessage> messages{};  ///< Without their `n_tokens`, which the file has.
  std::string revision{};                   ///< Another one behind each `put`, and never the same again.
};

struct StoreOptions {
  std::filesystem::path folder;
  std::int64_t n_most_bytes = 0;  ///< Of the files of states, all together.
  std::string model_sha256;       ///< Conversations belong to one model.
  bool is_shared = false;         ///< With other processes, each of which must say so.
};

/// Conversations on a disk: a file for the state of each, and an index of all. A file is whole before the
/// index names it, and is removed once the index no longer does: whenever the process or the machine stops,
/// each conversation is there as it was after its last `put` that returned.
///
/// A folder has one store at a time, of all processes, or any number of stores that are shared. In a shared
/// one a conversation is answered by who has its lease, from `lease` to `put` or `release`. `put` without it
/// is refused: whoever was taken for dead, and was not, changes nothing.
///
/// Thread safety: one thread at a time.
/// Errors of all members: kIo.
class ConversationStore {
 public:
  using Name = ConversationName;

  /// Makes the folder; removes what no index names and nobody who is alive has made. Errors: kIo also if
  /// another process has the folder; kBadData for a folder of another model or of another version of kvevict
  /// or llama.cpp, and for a damaged index.
  explicit ConversationStore(StoreOptions options);

  [[nodiscard]] bool is_shared() const noexcept { return options_.is_shared; }

  /// All of them, the one that was used longest ago first.
  [[nodiscard]] std::vector<StoredConversation> all();

  /// Nothing if it is not there.
  [[nodiscard]] std::optional<StoredConversation> find(const Name& name);

  /// Names and revisions of all, as above, if another process has changed something since the last call.
  [[nodiscard]] std::optional<std::vector<std::pair<Name, std::string>>> revisions_if_changed();

  enum class Lease {
    kTaken,
    kElsewhere,  ///< Another server answers it right now.
    kChanged,    ///< Its revision is another one: what the caller has of it is not what is stored.
  };

  /// Takes the lease of a conversation whose revision is `revision`; empty: it is not stored.
  /// REQUIRES: is_shared().
  [[nodiscard]] Lease lease(const Name& name, const std::string& revision);

  /// Gives the lease back; if that fails, with the next one that is taken. REQUIRES: is_shared().
  void release(const Name& name);

  struct Kept {
    std::string revision{};
    std::vector<Name> gone{};  ///< Those that had to go for it, the one that was used longest ago first.
  };

  /// Keeps a conversation in place of what was there of it, and gives its lease back: `write` makes the file
  /// of its state. It itself is `gone` if it alone is too large. What `write` throws leaves everything as it
  /// was. The first `n_same` messages are not written again: they are those of the revision
  /// `conversation.revision`. Errors: also kInvalidArgument (field kElsewhereField) if the lease is no longer
  /// this store's.
  Kept put(const StoredConversation& conversation,
           const std::function<void(const std::filesystem::path&)>& write, std::size_t n_same = 0);

  /// The file of its state; nothing if it is not there.
  [[nodiscard]] std::optional<std::filesystem::path> file_of(const std::string& owner, const std::string& id);

  /// Nothing happens if it is not there; false if another server answers it, and it stays.
  bool remove(const std::string& owner, const std::string& id);

  /// Of the files of states, all together.
  [[nodiscard]] std::int64_t n_bytes();

 private:
  void lock();
  void make_tables();
  void require_mine();
  void remove_orphans();
  [[nodiscard]] std::filesystem::path path_of(const std::string& file) const;
  [[nodiscard]] std::string revision_of(const Name& name);
  [[nodiscard]] StoredConversation conversation_of(const Statement& row);
  void insert(const StoredConversation& conversation, const std::string& file, std::size_t n_same);
  void erase(const Name& name);
  [[nodiscard]] std::optional<Name> remove_oldest();

  StoreOptions options_;
  std::string me_;  // begins the names of the files that this store makes
  std::int64_t n_made_ = 0;
  std::optional<FileLock> lock_;
  bool is_alone_ = true;  // nobody had the lock before
  std::optional<Database> index_;
  std::optional<ConversationLeases> leases_;  // of a shared store
  std::set<Name> owed_;                       // leases that could not be given back yet
  std::int64_t seen_version_ = -1;            // of the index, as other processes changed it
};

}  // namespace kvevict::serving
