#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "cli/engine_flags.h"
#include "kvevict/error.h"
#include "runtime/model_run.h"
#include "serving/conversation_places.h"

namespace kvevict::cli {

/// How a server divides what it may hold among its conversations.
class ServeMemory {
 public:
  /// `engine.kv_memory` is the limit of all `n_live` conversations, their copies of turns included; empty:
  /// none. Errors: kInvalidArgument for a limit that is none.
  ServeMemory(const EngineFlags& engine, int n_live);

  /// The flags of one conversation: its limit is what its cells may take. A strategy that keeps every token
  /// is limited by its cells alone.
  [[nodiscard]] EngineFlags engine_for(bool keeps_all) const;

  /// `error` of `engine_for`'s limit, as an error of the flag.
  [[nodiscard]] Error as_error_of_flag(const Error& error) const;

  /// Of conversations that begin as `own`. Errors: kInvalidArgument for a limit that leaves too few cells.
  [[nodiscard]] serving::PlaceOptions places_for(const ModelRun& own) const;

  /// Most bytes of a conversation's copies of turns.
  [[nodiscard]] std::int64_t copy_bytes(const ModelRun& own) const;

  /// Refuses conversations whose memory cannot be limited. `has_pool`: as it came out. Errors:
  /// kInvalidArgument.
  void require_limit(const ModelRun& own, bool has_pool) const;

  /// Lines for --dry_run behind those of one conversation.
  [[nodiscard]] std::string text(const ModelRun& own) const;

 private:
  [[nodiscard]] std::int64_t n_each() const { return *limit_ / n_live_; }
  [[nodiscard]] std::int64_t cell_bytes() const { return n_each() / 2; }
  [[nodiscard]] std::int64_t unbounded_cells(const ModelRun& own) const;

  EngineFlags engine_;
  int n_live_;
  std::optional<std::int64_t> limit_;
};

}  // namespace kvevict::cli
