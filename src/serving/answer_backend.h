#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/error.h"
#include "serving/chat_request.h"

namespace kvevict::serving {

/// An answer under way, in steps. First its prompt goes in, chunk by chunk; then it draws token by token, and
/// each token is appended (`AnswerBackend::append`) before the next is drawn. Destroyed before `finish`, it
/// leaves its conversation as an error does. Errors of all members: those of the request, or what failed; the
/// answer is then destroyed.
class RunningAnswer {
 public:
  RunningAnswer() = default;
  RunningAnswer(const RunningAnswer&) = delete;
  RunningAnswer& operator=(const RunningAnswer&) = delete;
  virtual ~RunningAnswer() = default;

  /// Tokens of the prompt that are not in yet.
  [[nodiscard]] virtual std::int64_t n_prompt_left() const = 0;

  /// Takes one chunk in. REQUIRES: n_prompt_left() > 0.
  virtual void take_in() = 0;

  /// Draws a token and streams its text. Returns whether it must be appended; else the answer has ended.
  /// REQUIRES: n_prompt_left() == 0.
  [[nodiscard]] virtual bool draw() = 0;

  /// Tokens that were drawn so far, without one that only ends the answer.
  [[nodiscard]] virtual std::int64_t n_drawn() const = 0;

  /// The end; of an answer that goes on still, one that was stopped.
  [[nodiscard]] virtual ChatResult finish() = 0;
};

/// What makes the answers that a `Scheduler` hands out. One thread at a time, for all of its answers, too.
class AnswerBackend {
 public:
  using OnText = std::function<void(std::string_view)>;

  AnswerBackend() = default;
  AnswerBackend(const AnswerBackend&) = delete;
  AnswerBackend& operator=(const AnswerBackend&) = delete;
  virtual ~AnswerBackend() = default;

  /// Begins an answer that streams to `on_text`; null if its conversation is being answered: then its time is
  /// when an answer has ended. Errors: kInvalidArgument, kBadData and kUnsupported for a request that can
  /// never be answered, or not by this server now; others for what failed.
  [[nodiscard]] virtual std::unique_ptr<RunningAnswer> begin(const ChatRequest& request, OnText on_text) = 0;

  /// Begins another answer, to the same prompt as that of `first`, which is in, and of which nothing was
  /// drawn. Null if it can only begin by itself.
  [[nodiscard]] virtual std::unique_ptr<RunningAnswer> branch(RunningAnswer& first,
                                                              const ChatRequest& request, OnText on_text) = 0;

  /// Appends the token that each of `answers` has drawn, in one batch. Returns why one of them failed, for
  /// each; one that fails leaves the others alone.
  [[nodiscard]] virtual std::vector<std::optional<Error>> append(std::span<RunningAnswer* const> answers) = 0;
};

/// Runs `work` and returns its error, whatever it is.
template <typename Work>
[[nodiscard]] std::optional<Error> error_of(const Work& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::kOutOfMemory, "there is not enough memory for this answer");
  } catch (const std::exception& error) {
    return Error(ErrorCode::kEngine, std::string("unexpected error: ") + error.what());
  }
}

}  // namespace kvevict::serving
