#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "support/work_folder.h"

namespace kvevict::test {

struct ProgramResult {
  int exit_code = -1;  ///< 128 + the signal's number if a signal ended it.
  std::string out;
  std::string err;
};

struct ProgramOptions {
  std::vector<std::string> environment{};  ///< "NAME=value", over the test's own environment.
  std::string folder{};                    ///< Working folder; empty: the test's own.
  std::string input{};                     ///< Standard input.
};

/// A run of the real kvevict binary (or of `program`, if it is given). Its default model is the shallow one
/// of test_models.h, unless the environment in `options` names another.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments, const ProgramOptions& options = {},
                   const std::string& program = "");
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  /// Blocks until stderr has said `text`, or ended. Returns whether it did.
  bool wait_for_stderr(const std::string& text);

  /// What stderr has said so far, as far as it was waited for.
  [[nodiscard]] const std::string& stderr_text() const noexcept { return err_text_; }

  void send_signal(int number) const;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Blocks until the program has ended.
  ProgramResult wait();

 private:
  bool read_more();

  pid_t pid_ = -1;
  int out_ = -1;  // a file in memory
  int err_ = -1;  // a pipe
  std::string err_text_;
};

/// Runs the binary to its end.
[[nodiscard]] ProgramResult run_kvevict(const std::vector<std::string>& arguments,
                                        const ProgramOptions& options = {});

}  // namespace kvevict::test
