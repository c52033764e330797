#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace kvevict::eval {

// The pass key test's wording (Mohtashami and Jaggi 2023, "Landmark Attention", section 4.2).

inline constexpr std::int64_t kAnswerTokens = 12;
inline constexpr const char* kPassKeyInstruction =
    "There is an important info hidden inside a lot of irrelevant text. Find it and memorize it. I will quiz "
    "you about the important information there.\n";
inline constexpr const char* kPassKeyQuestion = "What is the pass key?";
inline constexpr const char* kPassKeyAnswer = " The pass key is";  ///< How the answer begins.

/// "The pass key is 71432."
[[nodiscard]] inline std::string pass_key_fact(const std::string& key) {
  return fmt::format("The pass key is {}.", key);
}

/// The fact, said twice.
[[nodiscard]] inline std::string pass_key_sentences(const std::string& key) {
  return fmt::format("{} Remember it. {} is the pass key.", pass_key_fact(key), key);
}

}  // namespace kvevict::eval
