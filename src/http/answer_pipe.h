#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/scheduler.h"

namespace kvevict::http {

/// From the scheduler's thread, which never waits, to that of a connection, which writes as fast as its
/// client reads.
class AnswerPipe {
 public:
  struct Piece {
    std::string text{};                         ///< All that came since the last piece.
    std::vector<DrawnToken> drawn{};            ///< The same as tokens, if they are asked for.
    std::optional<serving::Outcome> outcome{};  ///< The end; nothing comes behind it.
    [[nodiscard]] bool is_empty() const { return text.empty() && !outcome; }
  };

  void put_text(std::string_view text) {
    const std::lock_guard lock(mutex_);
    piece_.text += text;
    changed_.notify_one();
  }
  /// Goes out with the text behind it.
  void put_drawn(const DrawnToken& token) {
    const std::lock_guard lock(mutex_);
    piece_.drawn.push_back(token);
  }
  void put_end(const serving::Outcome& outcome) {
    const std::lock_guard lock(mutex_);
    piece_.outcome = outcome;
    changed_.notify_one();
  }

  /// Waits for at most `most`; may be empty then.
  [[nodiscard]] Piece take(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, most, [&] { return !piece_.is_empty(); })) return {};
    return std::exchange(piece_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  Piece piece_;
};

}  // namespace kvevict::http
