#pragma once

#include <string>

namespace kvevict {

/// What a model is called: the `general.name` of its file. Two kinds of names say nothing to a reader and
/// give way to the file's stem, without the quantisation and the number of a part:
/// - none at all, or one without a letter;
/// - the label of a training run, told by a word such as "mix1", "ep2" or "step-143000", if the stem has a
/// word
///   in common with it: "Smollm2 135M 8k Lc100K Mix1 Ep2" in SmolLM2-135M-Instruct.Q8_0.gguf is
///   "SmolLM2-135M-Instruct", but in model.gguf it stays.
[[nodiscard]] std::string display_name(const std::string& general_name, const std::string& file_stem);

}  // namespace kvevict
