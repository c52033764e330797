#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "kvevict/session.h"
#include "runtime/model_run.h"

namespace kvevict {

/// Where a stream was when it was last written to a file, so that a run that was ended goes on from there.
class StreamCheckpoint {
 public:
  /// `path` empty: nothing is ever written. `text` names the streamed file ("-" has no name).
  StreamCheckpoint(std::filesystem::path path, const std::string& text, const ModelRun& run);

  /// The session that the file holds, or nothing if there is no file. Errors: those of load_session;
  /// kInvalidArgument if the file belongs to another text or strategy.
  [[nodiscard]] std::optional<Session> load();

  /// Writes the session in one step. Does nothing without a path.
  void save(Session& session);

 private:
  [[nodiscard]] std::string description() const;

  std::filesystem::path path_;
  std::string text_;
  const ModelRun& run_;
  std::string model_sha256_;
};

}  // namespace kvevict
