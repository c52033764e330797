#include "engine/growing_text.h"

#include <algorithm>
#include <utility>

#include "engine/control_tokens.h"

namespace kvevict {

std::vector<Token> GrowingText::tokens(const Model& model, std::span<const TextPart> parts) {
  std::vector<TextStretch> given = read_control_tokens(llama_model_get_vocab(model.handle()), parts);
  const auto are_the_same = [](const Stretch& a, const TextStretch& b) {
    return a.token == b.token && a.text == b.text;
  };
  const auto n_same = static_cast<std::size_t>(std::ranges::mismatch(stretches_, given, are_the_same).in1 -
                                               stretches_.begin());
  stretches_.erase(stretches_.begin() + static_cast<std::ptrdiff_t>(n_same), stretches_.end());
  tokens_.resize(n_same == 0 ? 0 : stretches_.back().n_tokens);
  for (std::size_t i = n_same; i < given.size(); ++i) {
    // Between control tokens each text is read by itself, so that none depends on what stands around it. An
    // error leaves what was read so far.
    const std::vector<Token> more = given[i].is_token() ? std::vector<Token>{given[i].token}
                                                        : model.tokenize(given[i].text, false, false);
    tokens_.insert(tokens_.end(), more.begin(), more.end());
    stretches_.push_back({std::move(given[i].text), given[i].token, tokens_.size()});
  }
  std::vector<Token> all = model.tokenize("", true, false);
  if (all.size() == 1 && !tokens_.empty() && tokens_.front() == all.front())
    all.clear();  // it brings its own
  all.insert(all.end(), tokens_.begin(), tokens_.end());
  return all;
}

}  // namespace kvevict
