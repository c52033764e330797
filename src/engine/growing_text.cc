#include "engine/growing_text.h"

#include "engine/control_tokens.h"

namespace kvevict {

std::vector<Token> GrowingText::tokens(const Model& model, std::span<const TextPart> parts) {
  const MarkedText given(parts);
  const std::size_t n_same = MarkedText::same_beginning(text_, given);
  return tokens_with_end(model, n_same, given.parts_from(n_same));
}

/// To a control token that stands in front of `n_same`, and would whatever comes behind: no longer one that
/// it is a part of can reach beyond.
void GrowingText::go_back(std::size_t n_same) {
  const std::size_t n_longest = controls_.empty() ? 0 : controls_.front().text.size();
  while (!borders_.empty() && borders_.back().n_bytes + n_longest > n_same) borders_.pop_back();
  tokens_.resize(borders_.empty() ? 0 : borders_.back().n_tokens);
}

std::vector<Token> GrowingText::tokens_with_end(const Model& model, std::size_t n_same,
                                                std::span<const TextPart> end) {
  const llama_vocab* const vocab = llama_model_get_vocab(model.handle());
  if (controls_.empty()) controls_ = all_control_tokens(vocab);
  go_back(n_same);
  text_.cut(n_same);
  text_.add(end);
  const std::size_t begin = borders_.empty() ? 0 : borders_.back().n_bytes;
  const Token before = borders_.empty() ? LLAMA_TOKEN_NULL : borders_.back().token;
  for (const TextStretch& stretch : read_control_tokens(vocab, controls_, text_.parts_from(begin), before)) {
    // Between control tokens each text is read by itself, so that none depends on what stands around it. An
    // error leaves what was read so far.
    if (stretch.is_token()) {
      tokens_.push_back(stretch.token);
      borders_.push_back({stretch.token, begin + stretch.n_bytes, tokens_.size()});
    } else {
      const std::vector<Token> more = model.tokenize(stretch.text, false, false);
      tokens_.insert(tokens_.end(), more.begin(), more.end());
    }
  }
  n_bytes_read_ += static_cast<std::int64_t>(text_.size() - begin);
  std::vector<Token> all = model.tokenize("", true, false);
  if (all.size() == 1 && !tokens_.empty() && tokens_.front() == all.front())
    all.clear();  // it brings its own
  all.insert(all.end(), tokens_.begin(), tokens_.end());
  return all;
}

}  // namespace kvevict
