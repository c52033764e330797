#include "experiments/needle_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

constexpr const char* kFiller =
    "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ";

class NeedleText {
 public:
  NeedleText(const NeedleKind& kind, const Haystack& haystack, const std::vector<Needle>& needles)
      : kind_(kind), haystack_(haystack), needles_(needles) {}

  /// All but the question, with `n` sentences of the haystack.
  [[nodiscard]] std::string context(std::int64_t n) const {
    std::string text(kind_.instruction);
    for (std::int64_t i = 0; i <= n; ++i) {
      for (const Needle& needle : needles_) {
        if (n * needle.depth_percent / 100 == i) text += kind_.fact(needle.subject, needle.answer) + " ";
      }
      if (i < n) text += haystack_.sentence(i);
    }
    return text;
  }

  [[nodiscard]] std::string question(const Needle& asked) const {
    return "\n" + kind_.question(asked.subject) + kind_.answer_beginning(asked.subject);
  }

  /// Tokens of the longest of the prompts.
  [[nodiscard]] std::int64_t longest(const Model& model, std::int64_t n) const {
    const std::string text = context(n);
    std::int64_t longest = 0;
    for (const Needle& asked : needles_) {
      const auto n_tokens =
          static_cast<std::int64_t>(model.tokenize(text + question(asked), true, true).size());
      longest = std::max(longest, n_tokens);
    }
    return longest;
  }

 private:
  const NeedleKind& kind_;
  const Haystack& haystack_;
  const std::vector<Needle>& needles_;
};

/// The most sentences with which no prompt has more than `n_tokens` tokens.
std::int64_t sentences_within(const Model& model, const NeedleText& text, const Haystack& haystack,
                              std::int64_t n_tokens) {
  if (const std::int64_t n_frame = text.longest(model, 0); n_frame > n_tokens) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a needle prompt of {} tokens is not possible: {} are needed without a text "
                            "around the needles",
                            n_tokens, n_frame));
  }
  const std::int64_t n_all = haystack.sentences != nullptr
                                 ? static_cast<std::int64_t>(haystack.sentences->size())
                                 : std::numeric_limits<std::int64_t>::max();
  std::int64_t n_fitting = 0;
  std::int64_t n_beyond = 1;
  while (text.longest(model, std::min(n_beyond, n_all)) <= n_tokens) {
    if (n_beyond >= n_all) {
      throw Error(
          ErrorCode::kInvalidArgument,
          fmt::format("a text has {} sentences of prose, which make a prompt of no more than {} tokens: "
                      "for {} a longer text is needed, or a shorter prompt",
                      n_all, text.longest(model, n_all), n_tokens),
          "text");
    }
    n_fitting = n_beyond;
    n_beyond *= 2;
  }
  while (n_beyond - n_fitting > 1) {
    const std::int64_t n = n_fitting + (n_beyond - n_fitting) / 2;
    (text.longest(model, n) <= n_tokens ? n_fitting : n_beyond) = n;
  }
  return n_fitting;
}

}  // namespace

std::string Haystack::sentence(std::int64_t number) const {
  if (sentences == nullptr) return kFiller;
  return (*sentences)[(first + static_cast<std::size_t>(number)) % sentences->size()];
}

std::vector<PreparedPrompt> needle_prompts(const Model& model, const NeedleKind& kind,
                                           const Haystack& haystack, const std::vector<Needle>& needles,
                                           std::int64_t n_tokens, QuestionOrder order) {
  const NeedleText text(kind, haystack, needles);
  const std::string context = text.context(sentences_within(model, text, haystack, n_tokens));
  std::vector<PreparedPrompt> prompts;
  for (const Needle& asked : needles) {
    PreparedPrompt prompt;
    prompt.text = context + text.question(asked);
    prompt.tokens = model.tokenize(prompt.text, true, true);
    prompt.n_tokens_before_cut = static_cast<std::int64_t>(prompt.tokens.size());
    if (order == QuestionOrder::kAfter)
      prompt.n_question_tokens = count_question_tokens(model, prompt.tokens, context);
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace kvevict::eval
