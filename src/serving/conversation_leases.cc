#include "serving/conversation_leases.h"

#include <system_error>
#include <utility>
#include <vector>

#include "base/folder.h"
#include "kvevict/error.h"

namespace kvevict::serving {
namespace {

std::filesystem::path made(std::filesystem::path folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error)
    throw Error(ErrorCode::kIo, "cannot make the folder " + folder.string() + ": " + error.message());
  return folder;
}

}  // namespace

ConversationLeases::ConversationLeases(Database& index, std::filesystem::path folder, std::string me)
    : index_(index), folder_(made(std::move(folder))), me_(std::move(me)), lock_(folder_ / me_) {
  for (const auto& entry : entries_of(folder_)) (void)is_alive(entry.path().filename().string());
  index_.run(
      "CREATE TABLE IF NOT EXISTS leases (owner TEXT NOT NULL, id TEXT NOT NULL, holder TEXT NOT NULL, "
      "PRIMARY KEY (owner, id))");
}

bool ConversationLeases::is_alive(const std::string& server) const {
  if (server == me_) return true;
  try {
    const FileLock dead(folder_ / server);  // and its file goes
    return false;
  } catch (const Error&) {  // also one that cannot be asked: then nothing is taken from it
    return true;
  }
}

std::string ConversationLeases::holder_of(const ConversationName& name) {
  Statement row = index_.prepare("SELECT holder FROM leases WHERE owner = ? AND id = ?");
  return row.bind(name.first).bind(name.second).step() ? row.text(0) : std::string();
}

bool ConversationLeases::has(const ConversationName& name) {
  return holder_of(name) == me_;
}

bool ConversationLeases::is_elsewhere(const ConversationName& name) {
  const std::string holder = holder_of(name);
  if (holder.empty() || holder == me_) return false;
  if (is_alive(holder)) return true;
  free_those_of(holder);
  return false;
}

bool ConversationLeases::take(const ConversationName& name) {
  if (is_elsewhere(name)) return false;
  index_.prepare("INSERT OR REPLACE INTO leases VALUES (?, ?, ?)")
      .bind(name.first)
      .bind(name.second)
      .bind(me_)
      .step();
  return true;
}

void ConversationLeases::give_back(const ConversationName& name) {
  index_.prepare("DELETE FROM leases WHERE owner = ? AND id = ? AND holder = ?")
      .bind(name.first)
      .bind(name.second)
      .bind(me_)
      .step();
}

void ConversationLeases::free_those_of(const std::string& server) {
  index_.prepare("DELETE FROM leases WHERE holder = ?").bind(server).step();
}

void ConversationLeases::free_those_of_the_dead() {
  std::vector<std::string> holders;
  {
    Statement rows = index_.prepare("SELECT DISTINCT holder FROM leases");
    while (rows.step()) holders.push_back(rows.text(0));
  }
  for (const std::string& holder : holders) {
    if (!is_alive(holder)) free_those_of(holder);
  }
}

}  // namespace kvevict::serving
