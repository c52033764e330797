#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "kvevict/export.h"
#include "kvevict/session.h"
#include "kvevict/session_options.h"
#include "kvevict/session_pool.h"

namespace KVEVICT_PUBLIC kvevict {

/// What a program keeps beside the session itself.
struct SessionExtras {
  SamplingOptions sampling{};
  std::string application_data{};  ///< Anything: a chat's transcript, say.
};

struct LoadedSession {
  Session session;
  SessionExtras extras;
};

/// Writes `session` to `path` in one step: a reader, a crash or a kill finds the older file or the
/// new one, never a part. `model_sha256` is the model's checksum (`Model::sha256`); empty: it is
/// computed (a second for every GB). Errors: kIo (the older file is then as it was), kEngine.
void save_session(Session& session, const std::filesystem::path& path, const SessionExtras& extras = {},
                  std::string model_sha256 = {});

/// Reads what `save_session` wrote; nothing is half-loaded. Errors: kNotFound, kIo, kBadData (not
/// a saved session, truncated, or damaged: its checksum does not hold), kInvalidArgument (saved
/// by another version of the format or of llama.cpp, for another model file, or with another
/// element type; the sentence says which), and those of `Session::restore`.
/// The policy is the saved one, with what it remembered; `options.positions` the saved ones if they are left
/// open. `pool`: the session has a place there, with the pool's options; null: a context of its own.
[[nodiscard]] LoadedSession load_session(std::shared_ptr<const Model> model,
                                         const std::filesystem::path& path, SessionOptions options = {},
                                         std::string model_sha256 = {}, SessionPool* pool = nullptr);

/// What a saved session holds, as far as it can be told without its model.
struct SavedSession {
  std::string model;     ///< Name, architecture and sizes.
  std::string strategy;  ///< Of the session, in the grammar.
  std::string policy;    ///< Its name with the rule's version.
  PositionMode positions = PositionMode::kAbsolute;
  std::int64_t n_tokens_seen = 0;
  KeepPlan held;  ///< Original indices of the tokens in the cache.
};

/// Reads the header of a file that `save_session` wrote: O(header), whatever the size of the rows. Errors:
/// kNotFound, kIo, kBadData and kInvalidArgument as `load_session` for the file itself, a file that was cut
/// short included; the rows are not read, so that damage among them shows only when they are loaded.
[[nodiscard]] SavedSession inspect_session(const std::filesystem::path& path);

/// Whether the file begins as a saved session does.
[[nodiscard]] bool is_session_file(const std::filesystem::path& path);

}  // namespace kvevict
