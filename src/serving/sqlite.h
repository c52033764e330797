#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/scope_guard.h"
#include "kvevict/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kvevict::serving {

/// A statement of SQLite, run once. Borrows the database. Errors of all members: as Database's.
class Statement {
 public:
  Statement(sqlite3* database, std::string_view text);

  /// The next parameter, from the first on.
  Statement& bind(std::string_view text);
  Statement& bind(std::int64_t number);

  /// Goes to the next row; false behind the last one.
  bool step();

  /// Of the row, columns from 0 on.
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] std::int64_t number(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };

  sqlite3* database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int n_bound_ = 0;
};

/// A file of SQLite's. Thread safety: one thread at a time.
/// Errors: kBadData for a file that is none, or is damaged; kIo for what else SQLite says.
class Database {
 public:
  /// Opens the file, or makes it. What is committed is on the disk. One that `is_shared` is written by
  /// several processes, perhaps of several machines: it has a rollback journal, since SQLite's write-ahead
  /// log needs memory that all of them see, and a statement waits for the others', for ten seconds at most.
  explicit Database(const std::filesystem::path& path, bool is_shared = false);

  [[nodiscard]] Statement prepare(std::string_view text) { return {handle_.get(), text}; }

  /// A statement without parameters and rows.
  void run(std::string_view text) { prepare(text).step(); }

  /// Runs `work` in one transaction, which no other process writes in. What it throws undoes all of it.
  template <typename Work>
  void in_one_step(Work work) {
    run("BEGIN IMMEDIATE");
    const OnFailure undo([&] { run("ROLLBACK"); });  // which fails if SQLite has rolled back by itself
    work();
    run("COMMIT");
  }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };

  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace kvevict::serving
