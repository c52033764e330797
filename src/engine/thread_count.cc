#include "engine/thread_count.h"

#include <dlfcn.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

#include "base/environment.h"
#include "base/processors.h"

namespace kvevict {
namespace {

/// How much of a thread's processor other programs may use before the thread is given up. Alone,
/// two threads decode about 1.6 times as fast as one (docs/benchmarks.md), so that they may be held up for
/// about a third of the time before one is better.
constexpr double kShareLost = 0.3;

/// The number that the user gave to every program with OpenMP, the first of a list; 0: none.
int openmp_threads() {
  const std::string text = environment_variable("OMP_NUM_THREADS");
  int n = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  const bool is_number = error == std::errc() && (stop == text.data() + text.size() || *stop == ',');
  return is_number && n > 0 ? std::min(n, GGML_MAX_N_THREADS) : 0;
}

/// llama.cpp's threads are OpenMP's if the process has it: GNU's, or LLVM's with GNU's names.
bool has_openmp() {
  return dlsym(RTLD_DEFAULT, "GOMP_parallel") != nullptr;
}

}  // namespace

int threads_for(std::optional<double> free_processors, int n_most) {
  if (!free_processors) return n_most;
  return std::clamp(static_cast<int>(std::floor(*free_processors + kShareLost)), 1, std::max(1, n_most));
}

int crowded_batch_threads(int n_few, int n_cores, int n_processors, bool has_openmp) {
  return has_openmp && n_processors == n_cores ? std::min(n_cores + 1, GGML_MAX_N_THREADS) : n_few;
}

ThreadCount::ThreadCount(const SessionOptions& options)
    : n_most_(std::min(usable_cores(), GGML_MAX_N_THREADS)),
      n_processors_(static_cast<int>(allowed_processors().size())),
      has_openmp_(has_openmp()) {
  const int n_asked = options.n_threads > 0 ? options.n_threads : openmp_threads();
  follows_decode_ = n_asked == 0;
  follows_batch_ = follows_decode_ && options.n_threads_batch == 0;
  n_decode_ = follows_decode_ ? n_most_ : n_asked;
  n_batch_ = options.n_threads_batch > 0 ? options.n_threads_batch : n_decode_;
}

void ThreadCount::apply(llama_context* context, std::optional<double> free_processors) {
  const int n_few = threads_for(free_processors, n_most_);
  const bool is_crowded = n_few < n_most_;
  if (follows_decode_) n_decode_ = n_few;
  if (follows_batch_)
    n_batch_ = is_crowded ? crowded_batch_threads(n_few, n_most_, n_processors_, has_openmp_) : n_most_;
  if (llama_n_threads(context) != n_decode_ || llama_n_threads_batch(context) != n_batch_)
    llama_set_n_threads(context, n_decode_, n_batch_);
}

}  // namespace kvevict
