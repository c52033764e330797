#include "runtime/stream_checkpoint.h"

#include <fmt/format.h>

#include "base/atomic_file.h"
#include "kvevict/error.h"
#include "kvevict/session_file.h"

namespace kvevict {
namespace fs = std::filesystem;

StreamCheckpoint::StreamCheckpoint(fs::path path, const std::string& text, const ModelRun& run)
    : path_(std::move(path)), run_(run) {
  std::error_code error;
  const auto n_bytes = fs::file_size(text, error);
  text_ = error ? "a pipe" : fmt::format("{} of {} bytes", fs::path(text).filename().string(), n_bytes);
  if (path_.empty()) return;
  require_writable(path_);
  model_sha256_ = run.model->sha256();
}

std::string StreamCheckpoint::description() const {
  return fmt::format("{} by {} in chunks of {}", text_, to_string(run_.policy->spec()), run_.options.n_chunk);
}

std::optional<Session> StreamCheckpoint::load() {
  std::error_code ignored;
  if (path_.empty() || !fs::exists(path_, ignored)) return std::nullopt;
  LoadedSession loaded = load_session(run_.model, path_, run_.options, model_sha256_);
  if (loaded.extras.application_data != description()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} is a checkpoint of {}, and this stream is {}: use another file, or delete it",
                            path_.string(), loaded.extras.application_data, description()));
  }
  return std::move(loaded.session);
}

void StreamCheckpoint::save(Session& session) {
  if (path_.empty()) return;
  SessionExtras extras;
  extras.application_data = description();
  save_session(session, path_, extras, model_sha256_);
}

}  // namespace kvevict
