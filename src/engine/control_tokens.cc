// llama.cpp reads control tokens in all of a text or in none of it, and puts SentencePiece's space before
// every text that it is given. A chat needs one text of which only the template's parts are read: so the
// control tokens are found here, by llama.cpp's own rules, and it tokenizes what lies between them.
#include "engine/control_tokens.h"

#include <algorithm>
#include <string_view>

namespace kvevict {
namespace {

constexpr std::string_view kWhite = " \t\n\v\f\r";

bool has(const llama_vocab* vocab, Token token, llama_token_attr attribute) {
  return (llama_vocab_get_attr(vocab, token) & attribute) != 0;
}

/// `stretches` with every `control` in their raw text made a stretch of its own, of that many bytes.
std::vector<TextStretch> split_at(const ControlToken& control, std::vector<TextStretch> stretches) {
  std::vector<TextStretch> split;
  for (TextStretch& stretch : stretches) {
    std::string_view rest = stretch.text;
    for (std::size_t at = 0;
         !stretch.is_token() && (at = rest.find(control.text)) != std::string_view::npos;) {
      if (at > 0) split.push_back({std::string(rest.substr(0, at))});
      split.push_back({"", control.token, control.text.size()});
      rest.remove_prefix(at + control.text.size());
    }
    if (stretch.is_token() || !rest.empty())
      split.push_back({std::string(rest), stretch.token, stretch.n_bytes});
  }
  return split;
}

/// Puts stretches behind each other, with the white space taken away that a control token takes from the
/// text beside it.
class Joined {
 public:
  Joined(const llama_vocab* vocab, Token before)
      : vocab_(vocab),
        drops_white_(before != LLAMA_TOKEN_NULL && has(vocab, before, LLAMA_TOKEN_ATTR_RSTRIP)) {}

  void add(const TextStretch& stretch) {
    if (stretch.is_token()) {
      n_bytes_ += stretch.n_bytes;
      add_token(stretch.token);
    } else {
      n_bytes_ += stretch.text.size();
      add_text(stretch.text);
    }
  }

  std::vector<TextStretch> take() { return std::move(stretches_); }

 private:
  [[nodiscard]] bool ends_with_text() const { return !stretches_.empty() && !stretches_.back().is_token(); }

  void add_token(Token token) {
    if (ends_with_text() && has(vocab_, token, LLAMA_TOKEN_ATTR_LSTRIP)) {
      std::string& text = stretches_.back().text;
      text.erase(text.find_last_not_of(kWhite) + 1);
      if (text.empty()) stretches_.pop_back();
    }
    stretches_.push_back({"", token, n_bytes_});
    drops_white_ = has(vocab_, token, LLAMA_TOKEN_ATTR_RSTRIP);
  }

  void add_text(std::string_view text) {
    if (drops_white_) text.remove_prefix(std::min(text.find_first_not_of(kWhite), text.size()));
    if (text.empty()) return;
    drops_white_ = false;
    if (ends_with_text()) {
      stretches_.back().text += text;
    } else {
      stretches_.push_back({std::string(text)});
    }
  }

  const llama_vocab* vocab_;
  std::vector<TextStretch> stretches_;
  bool drops_white_;
  std::size_t n_bytes_ = 0;  // of what was added
};

/// Neighbours of one kind as one part.
std::vector<TextPart> without_seams(std::span<const TextPart> parts) {
  std::vector<TextPart> joined;
  for (const TextPart& part : parts) {
    if (joined.empty() || joined.back().parse_special != part.parse_special) {
      joined.push_back(part);
    } else {
      joined.back().text += part.text;
    }
  }
  return joined;
}

}  // namespace

std::vector<ControlToken> all_control_tokens(const llama_vocab* vocab) {
  std::vector<ControlToken> found;
  for (Token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
    if (!has(vocab, token, LLAMA_TOKEN_ATTR_CONTROL) && !has(vocab, token, LLAMA_TOKEN_ATTR_UNKNOWN))
      continue;
    const std::string_view name = llama_vocab_get_text(vocab, token);
    if (!name.empty()) found.push_back({name, token});
  }
  std::stable_sort(found.begin(), found.end(), [](const ControlToken& a, const ControlToken& b) {
    return a.text.size() > b.text.size();
  });
  return found;
}

std::vector<ControlToken> control_tokens_in(std::span<const ControlToken> tokens, std::string_view text) {
  std::vector<ControlToken> found;
  for (const ControlToken& token : tokens) {
    if (text.find(token.text) != std::string_view::npos) found.push_back(token);
  }
  return found;
}

std::vector<TextStretch> read_control_tokens(const llama_vocab* vocab, std::span<const ControlToken> all,
                                             std::span<const TextPart> parts, Token before) {
  Joined joined(vocab, before);
  for (const TextPart& part : without_seams(parts)) {
    std::vector<TextStretch> stretches = {{part.text}};
    if (part.parse_special) {
      for (const ControlToken& control : control_tokens_in(all, part.text))
        stretches = split_at(control, std::move(stretches));
    }
    for (const TextStretch& stretch : stretches) joined.add(stretch);
  }
  return joined.take();
}

}  // namespace kvevict
