#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "cli/generation_flags.h"
#include "cli/prompt_flags.h"
#include "cli/strategy_flags.h"
#include "serving/conversation_store.h"

namespace kvevict::cli {

struct ServeFlags {
  EngineFlags engine;
  StrategyFlags strategy;
  GenerationFlags generation;
  PromptFlags messages;
  std::string keep_reasoning = "off";
  std::string host = "127.0.0.1";
  int port = 8080;
  int n_live = 4;
  int n_waiting = 32;
  std::string store;        ///< Folder; empty: none.
  std::string store_limit;  ///< Empty: 20GiB.
  bool is_store_shared = false;
  std::string key_file;
  std::string tls_certificate, tls_key;  ///< Files; empty: connections are not encrypted.
  std::string cors;
  int drain_seconds = 30;

  void add_to(CLI::App& app);

  /// Errors: kInvalidArgument.
  void validate() const;

  /// Of the file and of $KVEVICT_API_KEY; empty if there is neither. Errors: of read_text; kInvalidArgument
  /// for a file without a key.
  [[nodiscard]] std::vector<std::string> keys() const;

  /// The most that the store may hold. Errors: kInvalidArgument.
  [[nodiscard]] std::int64_t store_bytes() const;

  /// The store that was asked for; null if none was. Errors: those of ConversationStore.
  [[nodiscard]] std::shared_ptr<serving::ConversationStore> open_store(const Model& model) const;

  /// Whether only this machine can reach the host.
  [[nodiscard]] bool is_local() const;

  /// Where the server is found.
  [[nodiscard]] std::string url(int actual_port) const;
};

}  // namespace kvevict::cli
