#include "engine/display_name.h"

#include <algorithm>
#include <cctype>
#include <regex>
#include <string_view>
#include <vector>

namespace kvevict {
namespace {

/// Least digits of a number of steps: "Step 3" is a model, "step 143000" a moment of a training run.
constexpr std::size_t kLeastStepDigits = 4;

/// The words of a name in small letters: what stands between characters that are neither letters nor digits.
std::vector<std::string> words_of(const std::string& name) {
  std::vector<std::string> words(1);
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) == 0) {
      words.emplace_back();
    } else {
      words.back() += static_cast<char>(std::tolower(byte));
    }
  }
  std::erase(words, "");
  return words;
}

bool is_number(std::string_view text, std::size_t n_least_digits) {
  return text.size() >= n_least_digits &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Whether `word`, or it and the `next` one, are those of a training run: a mixture, an epoch, a step.
bool is_of_training(std::string_view word, std::string_view next) {
  for (const std::string_view beginning : {"mix", "ep", "epoch"}) {
    if (word.starts_with(beginning) && is_number(word.substr(beginning.size()), 1)) return true;
    if (word == beginning && beginning != "ep" && is_number(next, 1)) return true;
  }
  for (const std::string_view beginning : {"step", "steps", "iter", "checkpoint", "ckpt"}) {
    if (!word.starts_with(beginning)) continue;
    const std::string_view number = word == beginning ? next : word.substr(beginning.size());
    if (is_number(number, kLeastStepDigits)) return true;
  }
  return false;
}

bool is_training_label(const std::vector<std::string>& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (is_of_training(words[i], i + 1 < words.size() ? words[i + 1] : "")) return true;
  }
  return false;
}

bool has_letter(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || std::isalpha(byte) != 0;
  });
}

/// The stem without what says how the file is stored: "-00001-of-00003", ".Q8_0", "-q4_k_m", ".IQ2_XXS",
/// "-f16".
std::string without_storage(const std::string& stem) {
  static const std::regex part("-[0-9]{5}-of-[0-9]{5}$");
  static const std::regex type("[-_.](i?q[1-9](_[0-9a-z]+)*|t?q[12]_0|b?f16|f32|mxfp4(_moe)?)$",
                               std::regex::icase);
  const std::string name = std::regex_replace(std::regex_replace(stem, part, ""), type, "");
  return name.empty() ? stem : name;
}

}  // namespace

std::string display_name(const std::string& general_name, const std::string& file_stem) {
  if (!has_letter(general_name)) return without_storage(file_stem);
  const std::vector<std::string> words = words_of(general_name);
  if (!is_training_label(words)) return general_name;
  const std::string name = without_storage(file_stem);
  for (const std::string& word : words_of(name)) {
    if (std::find(words.begin(), words.end(), word) != words.end()) return name;
  }
  return general_name;
}

}  // namespace kvevict
