#pragma once

#include "kvevict/error.h"
#include "kvevict/session.h"
#include "serving/answer_backend.h"

namespace kvevict::serving {

/// An answer whose tokens go into a session.
class SessionAnswer : public RunningAnswer {
 public:
  /// What the last `draw` drew. REQUIRES: it must be appended.
  [[nodiscard]] virtual const SessionTokens& token() const = 0;

  /// Its token could not be appended.
  virtual void note(const Error& error) = 0;
};

}  // namespace kvevict::serving
