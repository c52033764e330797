#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "kvevict/conversation.h"
#include "kvevict/error.h"
#include "kvevict/session_pool.h"
#include "runtime/model_run.h"

namespace kvevict::serving {

struct PlaceOptions {
  SessionOptions session{};  ///< Of all places: as it was asked for, positions not chosen yet.
  std::int64_t n_cells = 0;  ///< Of each place; 0: there is no pool.
  bool is_limited = false;   ///< No conversation has cells beside the pool's, if there is one.
};

/// A session, and whether it is in the pool.
struct PlacedSession {
  Session session;
  bool is_in_pool = false;
};

/// Cells that conversations of `run` need for a prompt and an answer of any length; if nothing bounds them,
/// the trained context; 0 if that is not known either.
[[nodiscard]] std::int64_t cells_of_place(const ModelRun& run);

/// Where conversations, and texts outside of them, have their cells: each in a place of one pool, so that
/// their answers are decoded in one batch; or, if their strategy or its options cannot be in there, in a
/// context of their own.
///
/// Thread safety: one thread at a time, with all conversations and sessions.
class ConversationPlaces {
 public:
  /// Makes the pool, of `n_places`. Errors: those of SessionPool, but kUnsupported: then there is none.
  ConversationPlaces(std::shared_ptr<const Model> model, const PlaceOptions& options, std::size_t n_places);

  /// A conversation that begins. Of `options`, `session` and `pool` are set here. Errors: those of
  /// Conversation and `require_place`.
  [[nodiscard]] std::unique_ptr<Conversation> begin(const ModelRun& run, ConversationOptions options) const;

  /// One that goes on from `file`; `run` is what it would begin with. Errors: as above, and those of
  /// `Conversation::load`.
  [[nodiscard]] std::unique_ptr<Conversation> load(const ModelRun& run, const ConversationOptions& options,
                                                   const std::filesystem::path& file) const;

  /// An empty session, for a text. Errors: those of Session and `require_place`.
  [[nodiscard]] PlacedSession open(const ModelRun& run) const;

  /// Refuses a run that would need a context of its own where there is a limit. Errors: kInvalidArgument
  /// (field "strategy").
  void require_place(const ModelRun& run) const;

  /// The pool; null if there is none.
  [[nodiscard]] const SessionPool* pool() const noexcept { return pool_.get(); }

  /// Why there is no pool although one was asked for.
  [[nodiscard]] const std::optional<Error>& refusal() const noexcept { return refusal_; }

 private:
  [[nodiscard]] bool fits(const ModelRun& run) const;
  [[nodiscard]] std::unique_ptr<Conversation> make(const ModelRun& run, ConversationOptions options,
                                                   std::shared_ptr<SessionPool> pool) const;

  std::shared_ptr<const Model> model_;
  PlaceOptions options_;
  std::shared_ptr<SessionPool> pool_;
  std::optional<Error> refusal_;
};

}  // namespace kvevict::serving
