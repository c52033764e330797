#include "serving/conversation_store.h"

#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/folder.h"
#include "base/scope_guard.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "runtime/message_json.h"
#include "serving/random_name.h"

namespace kvevict::serving {
namespace fs = std::filesystem;
namespace {

constexpr const char* kSchema = "kvevict-store/2";
constexpr const char* kColumns = "SELECT number, owner, id, is_named, strategy, file FROM conversations";

std::string text_of(const ChatMessage& message) {
  return message_json(message).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

ChatMessage message_from(const std::string& text) {
  try {
    return message_from_json(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kBadData,
                std::string("the index of the store holds a message that cannot be read: ") + error.what());
  }
}

void remove_quietly(const fs::path& path) noexcept {
  std::error_code ignored;  // what stays is an orphan, which the next start removes
  fs::remove(path, ignored);
}

}  // namespace

ConversationStore::ConversationStore(StoreOptions options)
    : options_(std::move(options)), me_(random_name()) {
  std::error_code error;
  fs::create_directories(options_.folder / "states", error);
  if (error)
    throw Error(ErrorCode::kIo,
                "cannot make the folder " + options_.folder.string() + ": " + error.message());
  std::optional<FileLock> starting;  // one at a time of those that share it
  if (is_shared()) starting.emplace(options_.folder / "starting", FileLock::Kind::kWhenFree);
  lock();
  index_.emplace(options_.folder / "index.sqlite", is_shared());
  make_tables();
  require_mine();
  if (is_shared()) {
    leases_.emplace(*index_, options_.folder / "servers", me_);
    index_->in_one_step([&] { leases_->free_those_of_the_dead(); });
  }
  remove_orphans();
  if (is_shared() && is_alone_) lock_->share();
}

/// Alone, if nobody is there: the form of the index can be changed then.
void ConversationStore::lock() {
  try {
    lock_.emplace(options_.folder / "lock");
    return;
  } catch (const Error&) {
    is_alone_ = false;
  }
  try {
    if (is_shared()) return void(lock_.emplace(options_.folder / "lock", FileLock::Kind::kShared));
  } catch (const Error&) {  // said below
  }
  throw Error(ErrorCode::kIo,
              "the store " + options_.folder.string() +
                  " cannot be locked: another process uses it and does not share it, or it cannot be written "
                  "(servers that share a store all need --store_shared)");
}

void ConversationStore::make_tables() {
  index_->run("PRAGMA foreign_keys = ON");  // a conversation takes its messages with it
  index_->run("CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL)");
  index_->run(R"(
      CREATE TABLE IF NOT EXISTS conversations (
        number INTEGER PRIMARY KEY, owner TEXT NOT NULL, id TEXT NOT NULL, is_named INTEGER NOT NULL,
        strategy TEXT NOT NULL, file TEXT NOT NULL, n_bytes INTEGER NOT NULL, last_use INTEGER NOT NULL,
        UNIQUE (owner, id)))");
  // A row each, so that a turn writes what it said and not all that was said before.
  index_->run(
      "CREATE TABLE IF NOT EXISTS messages (conversation INTEGER NOT NULL REFERENCES conversations ON DELETE "
      "CASCADE, n INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (conversation, n)) WITHOUT ROWID");
  index_->run(
      "CREATE INDEX IF NOT EXISTS conversations_by_use ON conversations (last_use, owner, id, file, "
      "n_bytes)");
}

void ConversationStore::require_mine() {
  const std::pair<const char*, std::string> facts[] = {
      {"schema", kSchema}, {"engine", engine_version()}, {"model", options_.model_sha256}};
  index_->in_one_step([&] {
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
  // Who is alive is asked first: what a server named that ended since then is named in the rows.
  std::map<std::string, bool> is_alive;
  std::vector<fs::path> left;
  for (const fs::directory_entry& entry : entries_of(options_.folder / "states")) {
    const std::string file = entry.path().filename().string();
    const std::string server = file.substr(0, file.find('-'));
    const auto [one, is_new] = is_alive.try_emplace(server, false);
    if (is_new && leases_) one->second = leases_->is_alive(server);
    if (!one->second) left.push_back(entry.path());
  }
  std::set<std::string> named;
  std::vector<std::string> lost;
  {
    Statement rows = index_->prepare("SELECT file FROM conversations");
    while (rows.step()) {
      named.insert(rows.text(0));
      if (!fs::exists(path_of(rows.text(0)))) lost.push_back(rows.text(0));
    }
  }
  for (const fs::path& path : left) {
    if (!named.contains(path.filename().string())) remove_quietly(path);
  }
  for (const std::string& file : lost)  // by the file: another server may have put another one in its place
    index_->prepare("DELETE FROM conversations WHERE file = ?").bind(file).step();
}

fs::path ConversationStore::path_of(const std::string& file) const {
  return options_.folder / "states" / file;
}

/// Of a row of `kColumns`.
StoredConversation ConversationStore::conversation_of(const Statement& row) {
  StoredConversation conversation{.owner = row.text(1),
                                  .id = row.text(2),
                                  .is_named = row.number(3) != 0,
                                  .strategy = row.text(4),
                                  .revision = row.text(5)};
  Statement messages = index_->prepare("SELECT text FROM messages WHERE conversation = ? ORDER BY n");
  messages.bind(row.number(0));
  while (messages.step()) conversation.messages.push_back({message_from(messages.text(0))});
  return conversation;
}

std::vector<StoredConversation> ConversationStore::all() {
  std::vector<StoredConversation> all;
  Statement rows = index_->prepare(std::string(kColumns) + " ORDER BY last_use");
  while (rows.step()) all.push_back(conversation_of(rows));
  return all;
}

std::optional<StoredConversation> ConversationStore::find(const Name& name) {
  Statement row = index_->prepare(std::string(kColumns) + " WHERE owner = ? AND id = ?");
  if (!row.bind(name.first).bind(name.second).step()) return std::nullopt;
  return conversation_of(row);
}

std::optional<std::vector<std::pair<ConversationStore::Name, std::string>>>
ConversationStore::revisions_if_changed() {
  {
    Statement version = index_->prepare("PRAGMA data_version");
    version.step();
    if (std::exchange(seen_version_, version.number(0)) == version.number(0)) return std::nullopt;
  }
  std::vector<std::pair<Name, std::string>> all;
  Statement rows = index_->prepare("SELECT owner, id, file FROM conversations ORDER BY last_use");
  while (rows.step()) all.emplace_back(Name{rows.text(0), rows.text(1)}, rows.text(2));
  return all;
}

/// The name of its file, since each has a new one; empty if it is not there.
std::string ConversationStore::revision_of(const Name& name) {
  Statement row = index_->prepare("SELECT file FROM conversations WHERE owner = ? AND id = ?");
  return row.bind(name.first).bind(name.second).step() ? row.text(0) : std::string();
}

ConversationStore::Lease ConversationStore::lease(const Name& name, const std::string& revision) {
  Lease lease = Lease::kTaken;
  index_->in_one_step([&] {
    for (const Name& owed : owed_) leases_->give_back(owed);
    if (!leases_->take(name)) {
      lease = Lease::kElsewhere;
    } else if (revision_of(name) != revision) {
      leases_->give_back(name);
      lease = Lease::kChanged;
    }
  });
  owed_.clear();
  return lease;
}

void ConversationStore::release(const Name& name) {
  owed_.insert(name);
  index_->in_one_step([&] {
    for (const Name& owed : owed_) leases_->give_back(owed);
  });
  owed_.clear();
}

ConversationStore::Kept ConversationStore::put(const StoredConversation& conversation,
                                               const std::function<void(const fs::path&)>& write,
                                               std::size_t n_same) {
  const Name name{conversation.owner, conversation.id};
  Kept kept{.revision = me_ + "-" + std::to_string(++n_made_) + ".kv"};
  std::string before;
  {
    const OnFailure undo([&] { remove_quietly(path_of(kept.revision)); });
    write(path_of(kept.revision));
    index_->in_one_step([&] {
      if (leases_ && !leases_->has(name))
        throw Error(ErrorCode::kInvalidArgument,
                    "the conversation \"" + name.second + "\" went on at another server: ask again",
                    kElsewhereField);
      before = revision_of(name);
      insert(conversation, kept.revision, before == conversation.revision ? n_same : 0);
      if (leases_) leases_->give_back(name);
    });
  }
  if (!before.empty()) remove_quietly(path_of(before));
  while (auto oldest = remove_oldest()) kept.gone.push_back(std::move(*oldest));
  return kept;
}

/// REQUIRES: within one step.
void ConversationStore::insert(const StoredConversation& conversation, const std::string& file,
                               std::size_t n_same) {
  index_
      ->prepare(
          R"(
      INSERT INTO conversations (owner, id, is_named, strategy, file, n_bytes, last_use)
      VALUES (?, ?, ?, ?, ?, ?, (SELECT coalesce(max(last_use), 0) + 1 FROM conversations))
      ON CONFLICT (owner, id) DO UPDATE SET is_named = excluded.is_named, strategy = excluded.strategy,
        file = excluded.file, n_bytes = excluded.n_bytes, last_use = excluded.last_use)")
      .bind(conversation.owner)
      .bind(conversation.id)
      .bind(std::int64_t{conversation.is_named})
      .bind(conversation.strategy)
      .bind(file)
      .bind(static_cast<std::int64_t>(fs::file_size(path_of(file))))
      .step();
  Statement row = index_->prepare("SELECT number FROM conversations WHERE owner = ? AND id = ?");
  row.bind(conversation.owner).bind(conversation.id).step();
  const std::int64_t number = row.number(0);
  index_->prepare("DELETE FROM messages WHERE conversation = ? AND n >= ?")
      .bind(number)
      .bind(static_cast<std::int64_t>(n_same))
      .step();
  for (std::size_t i = n_same; i < conversation.messages.size(); ++i) {
    index_->prepare("INSERT INTO messages VALUES (?, ?, ?)")
        .bind(number)
        .bind(static_cast<std::int64_t>(i))
        .bind(text_of(conversation.messages[i].message))
        .step();
  }
}

/// Of those that no other server answers, if all of them are beyond the limit.
std::optional<ConversationStore::Name> ConversationStore::remove_oldest() {
  if (n_bytes() <= options_.n_most_bytes) return std::nullopt;
  std::optional<Name> name;
  std::string file;
  index_->in_one_step([&] {
    Statement rows = index_->prepare("SELECT owner, id, file FROM conversations ORDER BY last_use");
    while (!name && rows.step()) {
      Name one{rows.text(0), rows.text(1)};
      if (leases_ && leases_->is_elsewhere(one)) continue;
      file = rows.text(2);
      name = std::move(one);
    }
    if (name) erase(*name);
  });
  if (name) remove_quietly(path_of(file));
  return name;
}

std::optional<fs::path> ConversationStore::file_of(const std::string& owner, const std::string& id) {
  const std::string file = revision_of({owner, id});
  return file.empty() ? std::nullopt : std::optional(path_of(file));
}

void ConversationStore::erase(const Name& name) {
  index_->prepare("DELETE FROM conversations WHERE owner = ? AND id = ?")
      .bind(name.first)
      .bind(name.second)
      .step();
}

bool ConversationStore::remove(const std::string& owner, const std::string& id) {
  const Name name{owner, id};
  std::string file;
  bool is_elsewhere = false;
  index_->in_one_step([&] {
    is_elsewhere = leases_ && leases_->is_elsewhere(name);
    if (is_elsewhere) return;
    file = revision_of(name);
    erase(name);
  });
  if (!file.empty()) remove_quietly(path_of(file));
  return !is_elsewhere;
}

std::int64_t ConversationStore::n_bytes() {
  Statement sum = index_->prepare("SELECT coalesce(sum(n_bytes), 0) FROM conversations");
  sum.step();
  return sum.number(0);
}

}  // namespace kvevict::serving
