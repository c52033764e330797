#pragma once

#include <filesystem>
#include <string>

#include "base/file_lock.h"
#include "serving/chat_request.h"
#include "serving/sqlite.h"

namespace kvevict::serving {

/// Which of the servers that share a store answers which conversation. A lease is a row of the index; who
/// holds one is alive as long as it has the lock of its file in the folder `servers`. So nothing goes by
/// clocks, which differ between machines, and the leases of a server that was killed are free at once.
///
/// All members but the constructor belong into a transaction of the index.
/// Thread safety: one thread at a time. Errors: those of Database.
class ConversationLeases {
 public:
  /// Makes the table, and a lock for the server `me`, whose name is nobody else's. Removes the locks of
  /// servers that have ended. `index` must outlive it. REQUIRES: no other server makes one meanwhile.
  /// Errors: also kIo for a lock that cannot be made.
  ConversationLeases(Database& index, std::filesystem::path folder, std::string me);

  /// Takes the lease for this server; false if another one has it that is alive.
  [[nodiscard]] bool take(const ConversationName& name);

  /// Whether this server has the lease.
  [[nodiscard]] bool has(const ConversationName& name);

  /// Whether another server that is alive has it.
  [[nodiscard]] bool is_elsewhere(const ConversationName& name);

  /// Nothing happens if it is not this server's.
  void give_back(const ConversationName& name);

  /// Frees the leases of servers that have ended.
  void free_those_of_the_dead();

  /// Whether the server of this name is there.
  [[nodiscard]] bool is_alive(const std::string& server) const;

 private:
  [[nodiscard]] std::string holder_of(const ConversationName& name);
  void free_those_of(const std::string& server);

  Database& index_;
  std::filesystem::path folder_;
  std::string me_;
  FileLock lock_;
};

}  // namespace kvevict::serving
