#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "kvevict/session.h"
#include "kvevict/token_stream.h"
#include "results/results.h"

namespace kvevict::eval {

/// A window of a text and how surprising its tokens were.
struct PerplexityWindow {
  std::int64_t n_tokens_seen = 0;  ///< At the window's end.
  double perplexity = 0;           ///< exp of the mean negative log-probability of the window's tokens.
};

/// One strategy's way through a text.
struct PerplexityRun {
  RunInfo info;
  std::string positions;
  std::int64_t n_tokens = 0;
  double perplexity = 0;  ///< Of all tokens.
  std::vector<PerplexityWindow> windows;
  std::int64_t n_tokens_held_peak = 0;
  std::int64_t kv_bytes_peak = 0;
  double seconds = 0;
  bool reached_trained_context =
      false;  ///< Stopped there: nothing may be evicted, or positions would pass it.
};

struct PerplexitySettings {
  std::int64_t n_window = 1024;
  std::int64_t n_total = 0;   ///< Most tokens of the text.
  std::int64_t n_before = 0;  ///< `run_one_shot_perplexity`: tokens before each eviction; 2 or more.
};

/// Streams `tokens` through a fresh session in chunks, each token's probability given what the cache then
/// holds, and fills all but `info` of `run`. A policy that never evicts stops at the trained context. What is
/// done stays in `run` when an error is thrown. Errors: those of Session and TokenStream.
void run_perplexity(std::shared_ptr<const Model> model, const SessionOptions& options,
                    std::shared_ptr<const Policy> policy, TokenStream& tokens,
                    const PerplexitySettings& settings, PerplexityRun& run);

/// Cuts `tokens` into passages of `n_before` + `n_window` tokens, each for a fresh cache: the first ones are
/// held in full and evicted once (the last of them is decoded after that, so that every judged token sees
/// what was kept), then the window goes in, of which nothing is evicted. The perplexities are those of the
/// windows; a last passage that is too short is left out. As above for `run` and errors; kInvalidArgument for
/// a text that is shorter than one passage.
void run_one_shot_perplexity(std::shared_ptr<const Model> model, const SessionOptions& options,
                             std::shared_ptr<const Policy> policy, TokenStream& tokens,
                             const PerplexitySettings& settings, PerplexityRun& run);

/// What the runs share: the text and how it was cut.
struct PerplexityText {
  std::string name;
  std::string sha256;
  std::int64_t n_window = 0;
  std::int64_t n_before = 0;  ///< Tokens before each eviction; 0: streamed.
};

/// Replaces the file in one step. Errors: kIo.
void write_perplexity(const PerplexityText& text, const std::vector<PerplexityRun>& runs,
                      const std::filesystem::path& path);

}  // namespace kvevict::eval
