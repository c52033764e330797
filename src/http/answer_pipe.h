#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/scheduler.h"

namespace kvevict::http {

/// From the scheduler's thread, which never waits, to that of a connection, which writes as fast as its
/// client reads. Carries one answer, or several side by side, told apart by their numbers.
class AnswerPipe {
 public:
  struct Piece {
    std::size_t index = 0;                      ///< Of the answer that it belongs to.
    std::string text{};                         ///< All that came since the last piece.
    std::vector<DrawnToken> drawn{};            ///< The same as tokens, if they are asked for.
    std::optional<serving::Outcome> outcome{};  ///< The end; nothing comes behind it.
    [[nodiscard]] bool is_empty() const { return text.empty() && !outcome; }
  };

  void put_text(std::size_t index, std::string_view text) {
    const std::lock_guard lock(mutex_);
    pieces_[index].text += text;
    changed_.notify_one();
  }
  /// Goes out with the text behind it.
  void put_drawn(std::size_t index, const DrawnToken& token) {
    const std::lock_guard lock(mutex_);
    pieces_[index].drawn.push_back(token);
  }
  void put_end(std::size_t index, const serving::Outcome& outcome) {
    const std::lock_guard lock(mutex_);
    pieces_[index].outcome = outcome;
    changed_.notify_one();
  }

  /// Where an answer of this number goes. `pipe` lives as long as that.
  [[nodiscard]] static serving::AnswerSink sink(const std::shared_ptr<AnswerPipe>& pipe, std::size_t index) {
    return {.on_text = [pipe, index](std::string_view text) { pipe->put_text(index, text); },
            .on_end = [pipe, index](const serving::Outcome& outcome) { pipe->put_end(index, outcome); }};
  }

  /// Waits for at most `most`; may be empty then. Answers take turns.
  [[nodiscard]] Piece take(std::chrono::milliseconds most) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, most, [&] { return next() != pieces_.end(); })) return {};
    const auto found = next();
    Piece piece = std::move(found->second);
    piece.index = last_ = found->first;
    pieces_.erase(found);
    return piece;
  }

 private:
  using Pieces = std::map<std::size_t, Piece>;

  /// The first that is not empty, behind the one that was taken last.
  [[nodiscard]] Pieces::iterator next() {
    const auto has_some = [](const auto& one) { return !one.second.is_empty(); };
    const auto behind = std::find_if(pieces_.upper_bound(last_), pieces_.end(), has_some);
    return behind != pieces_.end() ? behind : std::find_if(pieces_.begin(), pieces_.end(), has_some);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Pieces pieces_;
  std::size_t last_ = 0;
};

}  // namespace kvevict::http
