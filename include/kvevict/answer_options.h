#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kvevict/answer_format.h"
#include "kvevict/export.h"
#include "kvevict/sampling.h"
#include "kvevict/token_probability.h"

namespace KVEVICT_PUBLIC kvevict {

/// How an answer ended.
enum class AnswerEnd { kByModel, kAtLength, kStopped };

/// What came of a list of messages.
struct MessagesAnswer {
  AnswerEnd end = AnswerEnd::kByModel;
  std::string text{};         ///< As it was streamed, thoughts and calls too.
  std::int64_t n_cached = 0;  ///< Tokens of the list that were there already.
  std::int64_t n_new = 0;     ///< Tokens of the list that were decoded.
  std::int64_t n_made = 0;    ///< Tokens of the answer.
};

/// One answer, for a program whose answers differ.
struct AnswerOptions {
  std::int64_t max_new_tokens = 256;
  SamplingOptions sampling{};
  std::string grammar{};            ///< The form of the answer (`grammar.h`); empty: any.
  std::vector<std::string> stop{};  ///< Texts that end the answer where one begins; not empty.
  /// How the answer is read as a message, and kept to its form; null: it is content alone. Its grammar holds
  /// unless `grammar` is given.
  std::shared_ptr<const AnswerFormat> format{};
  /// As `GenerateOptions::on_drawn` and `n_best`: the probabilities of each token of the answer.
  std::function<void(const DrawnToken&)> on_drawn{};
  int n_best = 0;
};

}  // namespace kvevict
