#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvevict::eval {

/// What is hidden in a text and how it is asked for. A text holds as many needles as there are `depths`, each
/// of another subject, if the kind has subjects; else one.
struct NeedleKind {
  std::string_view name;         ///< "codes"
  std::string_view instruction;  ///< In front of the text; says nothing of what will be asked.
  std::string (*fact)(const std::string& subject, const std::string& answer);  ///< One needle.
  std::string (*question)(const std::string& subject);
  std::string (*answer_beginning)(const std::string& subject);  ///< Given with the question.
  std::span<const std::string_view> subjects;
  std::span<const std::string_view> answers;  ///< Empty: numbers of five digits.
  std::vector<std::int64_t> depths;  ///< Where needles stand if nothing is said: percent of the text.
  std::int64_t n_answer_tokens = 0;  ///< Too few to name a second answer.

  /// Needles that stand in a text at the same time, at `n_depths` depths.
  [[nodiscard]] std::size_t needles_in_text(std::size_t n_depths) const {
    return subjects.empty() ? 1 : n_depths;
  }
};

/// passkey, codes, birthplaces.
[[nodiscard]] const std::vector<NeedleKind>& needle_kinds();

/// Errors: kInvalidArgument, naming the known ones.
[[nodiscard]] const NeedleKind& needle_kind(std::string_view name);

}  // namespace kvevict::eval
