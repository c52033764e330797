#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "experiments/longbench_runner.h"
#include "experiments/needle_kinds.h"

namespace kvevict::eval {

/// Needles hidden in texts, for every length, depth and strategy.
struct NeedleJob {
  std::shared_ptr<const Model> model;
  std::vector<RunStrategy> strategies;
  SessionOptions session;
  const NeedleKind* kind = nullptr;
  QuestionOrder question = QuestionOrder::kBefore;
  /// What they are hidden in: the sentences of each text (`read_prose`), of which each case takes its own
  /// passage. None: filler.
  std::vector<std::vector<std::string>> texts;
  std::vector<std::int64_t> lengths;  ///< Tokens of the whole prompt; the text is as long as fits.
  std::vector<std::int64_t> depths;   ///< Percent of the text before a needle, 0 … 100.
  /// Texts for each length; of a kind with one needle, for each length and depth.
  std::int64_t n_keys = 1;
  std::uint64_t seed = 1;

  /// Answers of each strategy.
  [[nodiscard]] std::int64_t n_cases() const {
    return static_cast<std::int64_t>(lengths.size() * depths.size()) * n_keys;
  }
};

/// `strategy`, `length` and `depth` are indices into the map's lists; the depth is that of the needle which
/// is asked for.
struct NeedleAnswer {
  std::size_t strategy = 0, length = 0, depth = 0;
  std::int64_t n_prompt_tokens = 0;
  std::int64_t n_kept_tokens = 0;  ///< Of the prompt; with the question, if that is held back.
  std::string subject;             ///< Of the needle, if its kind has any.
  std::string key;
  std::string prediction;
  bool is_found = false;  ///< Whether the prediction holds the key.
};

struct NeedleMap {
  std::vector<std::string> strategies;
  std::vector<std::int64_t> lengths, depths;
  std::vector<NeedleAnswer> answers;

  /// The share of the needles that were found, 0 … 1.
  [[nodiscard]] double found(std::size_t strategy, std::size_t length, std::size_t depth) const;
};

/// Strategies of full prefill share one prefill for each text; bounded ones, and those that need
/// the attention of every query, run by themselves. A question that is held back needs no other prefill than
/// the first of its text. Errors: those of Session and `needle_prompts`, and kInvalidArgument for a length
/// beyond the trained context, and for more depths than a kind of several needles has subjects.
[[nodiscard]] NeedleMap run_needle(
    const NeedleJob& job, const std::function<void(std::int64_t length, std::int64_t depth)>& on_done);

}  // namespace kvevict::eval
