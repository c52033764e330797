#pragma once

#include <string>

#include "base/stopwatch.h"

namespace kvevict::cli {

/// What a long run is at, on stderr. On a terminal one line that is drawn over itself and wiped out at the
/// end; elsewhere a line every few seconds at most, so that a log says that the run goes on and is not full
/// of it.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine() { clear(); }
  StatusLine(const StatusLine&) = delete;
  StatusLine& operator=(const StatusLine&) = delete;

  void show(const std::string& what);

  /// Wipes the line out, before something else is printed.
  void clear();

 private:
  bool is_terminal_;
  bool is_drawn_ = false;
  Stopwatch since_last_;
};

}  // namespace kvevict::cli
