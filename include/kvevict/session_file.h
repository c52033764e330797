#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "kvevict/sampling.h"
#include "kvevict/session.h"

namespace kvevict {

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
/// new one, never a part. `model_sha256` is the checksum of the model's file; empty: it is
/// computed (a second for every GB). Errors: kIo (the older file is then as it was), kEngine.
void save_session(Session& session, const std::filesystem::path& path, const SessionExtras& extras = {},
                  std::string model_sha256 = {});

/// Reads what `save_session` wrote; nothing is half-loaded. Errors: kNotFound, kIo, kBadData (not
/// a saved session, truncated, or damaged: its checksum does not hold), kInvalidArgument (saved
/// by another version of the format or of llama.cpp, for another model file, or with another
/// element type; the sentence says which), and those of `Session::restore`.
[[nodiscard]] LoadedSession load_session(std::shared_ptr<const Model> model, const SessionOptions& options,
                                         const std::filesystem::path& path, std::string model_sha256 = {});

/// What a saved session holds, as far as it can be told without its model.
struct SavedSession {
  std::string model;   ///< Name, architecture and sizes.
  std::string policy;  ///< Version and values of the policy that evicted last; empty where none did.
  PositionMode positions = PositionMode::kAbsolute;
  std::int64_t n_tokens_seen = 0;
  KeepPlan held;  ///< Original indices of the tokens in the cache.
};

/// Reads that much of a file that `save_session` wrote. Errors: kNotFound, kIo, kBadData and kInvalidArgument
/// as `load_session` for the file itself.
[[nodiscard]] SavedSession inspect_session(const std::filesystem::path& path);

/// Whether the file begins as a saved session does.
[[nodiscard]] bool is_session_file(const std::filesystem::path& path);

}  // namespace kvevict
