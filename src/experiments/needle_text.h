#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "experiments/needle_kinds.h"
#include "experiments/prompt_builder.h"

namespace kvevict::eval {

/// A sentence hidden in a text.
struct Needle {
  std::int64_t depth_percent = 0;  ///< Of the text before it, counted in sentences.
  std::string subject;             ///< Empty if the kind has none.
  std::string answer;
};

/// What needles are hidden in: sentences of a text from `first` on, going on at its beginning behind its end,
/// or the passkey test's filler, again and again.
struct Haystack {
  const std::vector<std::string>* sentences = nullptr;  ///< Null: filler. Borrowed.
  std::size_t first = 0;

  [[nodiscard]] std::string sentence(std::int64_t number) const;
};

/// A prompt for each needle of a text, in the order of `needles`, that asks for it: instruction, haystack
/// with all `needles` in it (in the order of their depths), question. All have the same text, as long as the
/// longest prompt may be: at most `n_tokens` tokens and within a sentence of them. Errors: kInvalidArgument
/// if not even the frame fits, or the haystack is too short.
[[nodiscard]] std::vector<PreparedPrompt> needle_prompts(const Model& model, const NeedleKind& kind,
                                                         const Haystack& haystack,
                                                         const std::vector<Needle>& needles,
                                                         std::int64_t n_tokens, QuestionOrder order);

}  // namespace kvevict::eval
