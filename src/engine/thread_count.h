#pragma once

#include <optional>

#include "engine/llama_handles.h"
#include "kvevict/session_options.h"

namespace kvevict {

/// Threads for computing on the CPU, at most `n_most`, when other programs leave `free_processors` free
/// (nothing: not known). ggml's threads wait for each other at every operation of a step: one that shares its
/// processor with another program keeps all of them waiting, and two threads then decode slower than one.
[[nodiscard]] int threads_for(std::optional<double> free_processors, int n_most);

/// Threads for batches while other programs use some of `n_cores` processors: one more than there are. A
/// batch has long operations whose parts go to whichever thread is free, so that every thread wins time; and
/// GNU's OpenMP lets waiting threads sleep soon where there are more of them than processors. `n_few`, those
/// that `threads_for` gives, where threads are not OpenMP's or `n_processors` are more than the cores.
[[nodiscard]] int crowded_batch_threads(int n_few, int n_cores, int n_processors, bool has_openmp);

/// How many threads a llama.cpp context computes with: those that were asked for, or those for which other
/// programs leave processors, measured anew as time goes by.
class ThreadCount {
 public:
  /// `options`: `n_threads` and `n_threads_batch`, 0 where they follow the machine; `n_threads` 0 is
  /// $OMP_NUM_THREADS if that is a number.
  explicit ThreadCount(const SessionOptions& options);

  /// Threads for a token at a time and for batches, before anything is known of other programs.
  [[nodiscard]] int n_decode() const noexcept { return n_decode_; }
  [[nodiscard]] int n_batch() const noexcept { return n_batch_; }

  /// Sets what the next decode of `context` computes with, given what other programs leave free.
  void apply(llama_context* context, std::optional<double> free_processors);

  /// Whether any of the two follows the machine.
  [[nodiscard]] bool follows() const noexcept { return follows_decode_ || follows_batch_; }

 private:
  int n_most_ = 1;
  int n_processors_ = 1;
  bool has_openmp_ = false;
  int n_decode_ = 1;
  int n_batch_ = 1;
  bool follows_decode_ = true;
  bool follows_batch_ = true;
};

}  // namespace kvevict
