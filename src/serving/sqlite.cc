#include "serving/sqlite.h"

#include <sqlite3.h>

#include "kvevict/error.h"

namespace kvevict::serving {
namespace {

constexpr int kMostBusyMilliseconds = 10'000;  // that other processes may take

[[noreturn]] void fail(sqlite3* database) {
  const int code = database == nullptr ? SQLITE_NOMEM : sqlite3_errcode(database);
  const bool is_damaged = code == SQLITE_NOTADB || code == SQLITE_CORRUPT;
  const char* const file = database == nullptr ? nullptr : sqlite3_db_filename(database, "main");
  const char* const why = database == nullptr ? "no memory" : sqlite3_errmsg(database);
  throw Error(is_damaged ? ErrorCode::kBadData : ErrorCode::kIo,
              std::string("the index ") + (file == nullptr ? "" : file) + ": " + why);
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

Statement::Statement(sqlite3* database, std::string_view text) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  const int code =
      sqlite3_prepare_v2(database, text.data(), static_cast<int>(text.size()), &statement, nullptr);
  statement_.reset(statement);
  if (code != SQLITE_OK) fail(database_);
}

Statement& Statement::bind(std::string_view text) {
  if (sqlite3_bind_text64(statement_.get(), ++n_bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                          SQLITE_UTF8) != SQLITE_OK)
    fail(database_);
  return *this;
}

Statement& Statement::bind(std::int64_t number) {
  if (sqlite3_bind_int64(statement_.get(), ++n_bound_, number) != SQLITE_OK) fail(database_);
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code != SQLITE_ROW && code != SQLITE_DONE) fail(database_);
  return code == SQLITE_ROW;
}

std::string Statement::text(int column) const {
  const auto* const bytes = sqlite3_column_blob(statement_.get(), column);
  const int n_bytes = sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string()
                          : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(n_bytes));
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

void Database::Close::operator()(sqlite3* handle) const noexcept {
  sqlite3_close_v2(handle);
}

Database::Database(const std::filesystem::path& path, bool is_shared) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_FULLMUTEX, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) fail(handle);
  if (is_shared) sqlite3_busy_timeout(handle, kMostBusyMilliseconds);
  run(is_shared ? "PRAGMA journal_mode = DELETE" : "PRAGMA journal_mode = WAL");
  run("PRAGMA synchronous = FULL");
}

}  // namespace kvevict::serving
