#pragma once

#include <exception>
#include <utility>

namespace kvevict {

/// Runs `undo` at the end of the scope if an exception of any type leaves it. An exception of `undo` itself
/// is dropped: the one under way says what went wrong.
template <typename Undo>
class OnFailure {
 public:
  explicit OnFailure(Undo undo) : undo_(std::move(undo)), n_before_(std::uncaught_exceptions()) {}
  ~OnFailure() {
    if (std::uncaught_exceptions() <= n_before_) return;
    try {
      undo_();
    } catch (...) {  // NOLINT(bugprone-empty-catch)
    }
  }
  OnFailure(const OnFailure&) = delete;
  OnFailure& operator=(const OnFailure&) = delete;

 private:
  Undo undo_;
  int n_before_;
};

/// Runs `action` at the end of the scope, however it ends. REQUIRES: `action` does not throw.
template <typename Action>
class OnExit {
 public:
  explicit OnExit(Action action) : action_(std::move(action)) {}
  ~OnExit() { action_(); }
  OnExit(const OnExit&) = delete;
  OnExit& operator=(const OnExit&) = delete;

 private:
  Action action_;
};

}  // namespace kvevict
