#include "serving/conversation_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/folder.h"
#include "base/scope_guard.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "runtime/message_json.h"

namespace kvevict::serving {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSchema = "kvevict-store/1";

/// Runs `work` in one transaction of the index.
template <typename Work>
void in_one_step(Database& index, Work work) {
  index.run("BEGIN IMMEDIATE");
  const OnFailure undo([&] {
    try {
      index.run("ROLLBACK");
    } catch (const Error&) {  // SQLite has rolled back by itself
    }
  });
  work();
  index.run("COMMIT");
}

std::string text_of(const std::vector<RecordedMessage>& messages) {
  nlohmann::json all = nlohmann::json::array();
  for (const RecordedMessage& one : messages) all.push_back(message_json(one.message));
  return all.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::vector<RecordedMessage> messages_from(const std::string& text) {
  try {
    std::vector<RecordedMessage> messages;
    for (const nlohmann::json& one : nlohmann::json::parse(text))
      messages.push_back({message_from_json(one)});
    return messages;
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData,
                std::string("the index of the store holds messages that cannot be read: ") + error.what());
  }
}

void remove_quietly(const fs::path& path) noexcept {
  std::error_code ignored;  // what stays is an orphan, which the next start removes
  fs::remove(path, ignored);
}

}  // namespace

ConversationStore::ConversationStore(StoreOptions options) : options_(std::move(options)) {
  std::error_code error;
  fs::create_directories(options_.folder / "states", error);
  if (error)
    throw Error(ErrorCode::kIo,
                "cannot make the folder " + options_.folder.string() + ": " + error.message());
  try {
    lock_.emplace(options_.folder / "lock");
  } catch (const Error&) {
    throw Error(ErrorCode::kIo, "the store " + options_.folder.string() +
                                    " cannot be locked: another process uses it, or it cannot be written");
  }
  index_.emplace(options_.folder / "index.sqlite");
  index_->run("CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)");
  index_->run(
      "CREATE TABLE IF NOT EXISTS conversations (owner TEXT NOT NULL, id TEXT NOT NULL, is_named INTEGER NOT "
      "NULL, strategy TEXT NOT NULL, messages TEXT NOT NULL, file TEXT NOT NULL, n_bytes INTEGER NOT NULL, "
      "last_use INTEGER NOT NULL, PRIMARY KEY (owner, id))");
  require_mine();
  remove_orphans();
  Statement last = index_->prepare("SELECT coalesce(max(last_use), 0) FROM conversations");
  last.step();
  n_uses_ = last.number(0);
}

void ConversationStore::require_mine() {
  const std::pair<const char*, std::string> facts[] = {
      {"schema", kSchema}, {"engine", engine_version()}, {"model", options_.model_sha256}};
  in_one_step(*index_, [&] {
    for (const auto& [name, value] : facts) {
      index_->prepare("INSERT OR IGNORE INTO about VALUES (?, ?)").bind(name).bind(value).step();
      Statement stored = index_->prepare("SELECT value FROM about WHERE name = ?");
      stored.bind(name).step();
      if (stored.text(0) == value) continue;
      const bool is_model = std::string_view(name) == "model";
      throw Error(ErrorCode::kBadData,
                  "the store " + options_.folder.string() + " holds conversations of another " +
                      (is_model ? "model" : "version (" + stored.text(0) + ", this is " + value + ")") +
                      ": take another folder, or remove this one");
    }
  });
}

/// Files that no row names, of a process that was killed; and rows whose file is gone.
void ConversationStore::remove_orphans() {
  std::set<std::string> named;
  std::vector<Name> lost;
  Statement rows = index_->prepare("SELECT owner, id, file FROM conversations");
  while (rows.step()) {
    if (fs::exists(path_of(rows.text(2)))) {
      named.insert(rows.text(2));
    } else {
      lost.emplace_back(rows.text(0), rows.text(1));
    }
  }
  for (const fs::directory_entry& entry : entries_of(options_.folder / "states")) {
    if (!named.contains(entry.path().filename().string())) remove_quietly(entry.path());
  }
  for (const auto& [owner, id] : lost) remove(owner, id);
}

fs::path ConversationStore::path_of(const std::string& file) const {
  return options_.folder / "states" / file;
}

std::vector<StoredConversation> ConversationStore::all() {
  std::vector<StoredConversation> all;
  Statement rows =
      index_->prepare("SELECT owner, id, is_named, strategy, messages FROM conversations ORDER BY last_use");
  while (rows.step()) {
    all.push_back({.owner = rows.text(0),
                   .id = rows.text(1),
                   .is_named = rows.number(2) != 0,
                   .strategy = rows.text(3),
                   .messages = messages_from(rows.text(4))});
  }
  return all;
}

std::vector<ConversationStore::Name> ConversationStore::put(
    const StoredConversation& conversation, const std::function<void(const fs::path&)>& write) {
  const std::optional<fs::path> before = file_of(conversation.owner, conversation.id);
  const std::int64_t number = n_uses_ + 1;
  const std::string file = std::to_string(number) + ".kv";
  {
    const OnFailure undo([&] { remove_quietly(path_of(file)); });
    write(path_of(file));
    index_->prepare("INSERT OR REPLACE INTO conversations VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        .bind(conversation.owner)
        .bind(conversation.id)
        .bind(std::int64_t{conversation.is_named})
        .bind(conversation.strategy)
        .bind(text_of(conversation.messages))
        .bind(file)
        .bind(static_cast<std::int64_t>(fs::file_size(path_of(file))))
        .bind(number)
        .step();
  }
  n_uses_ = number;
  if (before) remove_quietly(*before);
  return shrink();
}

/// Removes those that were used longest ago until the rest is within the limit.
std::vector<ConversationStore::Name> ConversationStore::shrink() {
  std::vector<Name> gone;
  std::int64_t n_left = n_bytes();
  while (n_left > options_.n_most_bytes) {
    Name name;
    {
      Statement oldest =
          index_->prepare("SELECT owner, id, n_bytes FROM conversations ORDER BY last_use LIMIT 1");
      if (!oldest.step()) break;
      name = {oldest.text(0), oldest.text(1)};
      n_left -= oldest.number(2);
    }
    remove(name.first, name.second);
    gone.push_back(std::move(name));
  }
  return gone;
}

std::optional<fs::path> ConversationStore::file_of(const std::string& owner, const std::string& id) {
  Statement row = index_->prepare("SELECT file FROM conversations WHERE owner = ? AND id = ?");
  return row.bind(owner).bind(id).step() ? std::optional(path_of(row.text(0))) : std::nullopt;
}

void ConversationStore::remove(const std::string& owner, const std::string& id) {
  const std::optional<fs::path> file = file_of(owner, id);
  if (!file) return;
  index_->prepare("DELETE FROM conversations WHERE owner = ? AND id = ?").bind(owner).bind(id).step();
  remove_quietly(*file);
}

std::int64_t ConversationStore::n_bytes() {
  Statement sum = index_->prepare("SELECT coalesce(sum(n_bytes), 0) FROM conversations");
  sum.step();
  return sum.number(0);
}

}  // namespace kvevict::serving
