#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/longbench_runner.h"

namespace kvevict::eval {

/// A passkey hidden in filler text, for every length, depth and strategy.
struct NeedleJob {
  std::shared_ptr<const Model> model;
  std::vector<RunStrategy> strategies;
  SessionOptions session;
  std::vector<std::int64_t> lengths;  ///< Tokens of the whole prompt; the filler is as long as fits.
  std::vector<std::int64_t> depths;   ///< Percent of the filler before the passkey, 0 … 100.
  std::int64_t n_keys = 1;            ///< Passkeys for each length and depth.
  std::uint64_t seed = 1;
};

/// `strategy`, `length` and `depth` are indices into the map's lists.
struct NeedleAnswer {
  std::size_t strategy = 0, length = 0, depth = 0;
  std::int64_t n_prompt_tokens = 0;
  std::int64_t n_kept_tokens = 0;
  std::string key;
  std::string prediction;
  bool is_found = false;  ///< Whether the prediction holds the key.
};

struct NeedleMap {
  std::vector<std::string> strategies;
  std::vector<std::int64_t> lengths, depths;
  std::vector<NeedleAnswer> answers;

  /// The share of the keys that were found, 0 … 1.
  [[nodiscard]] double found(std::size_t strategy, std::size_t length, std::size_t depth) const;
};

/// The prompt: the instruction, filler with the passkey at `depth_percent` of it, the question; at most
/// `n_tokens` tokens and within a filler sentence of them. Errors: kInvalidArgument if not even the frame
/// fits.
[[nodiscard]] PreparedPrompt needle_prompt(const Model& model, std::int64_t n_tokens,
                                           std::int64_t depth_percent, const std::string& key);

/// Strategies of full prefill share one prefill for each prompt; bounded ones run by themselves. Errors:
/// those of Session, and kInvalidArgument for a length beyond the trained context.
[[nodiscard]] NeedleMap run_needle(
    const NeedleJob& job, const std::function<void(std::int64_t length, std::int64_t depth)>& on_done);

}  // namespace kvevict::eval
