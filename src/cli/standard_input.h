#pragma once

#include <array>
#include <atomic>
#include <streambuf>

namespace kvevict::cli {

/// Standard input as it comes: hands out what is there instead of waiting for a full buffer, and ends when
/// the flag is raised while it waits. Throws std::ios_base::failure if it cannot be read.
class StandardInput final : public std::streambuf {
 public:
  /// Borrows the flag.
  explicit StandardInput(const std::atomic<bool>* is_interrupted) : is_interrupted_(is_interrupted) {}

 protected:
  int_type underflow() override;

  /// 1 if reading would not wait, else 0.
  std::streamsize showmanyc() override;

 private:
  const std::atomic<bool>* is_interrupted_;
  std::array<char, 32768> buffer_{};
};

}  // namespace kvevict::cli
