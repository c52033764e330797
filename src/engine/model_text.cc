// The model's vocabulary: text to tokens and back.
#include <algorithm>
#include <limits>

#include "engine/control_tokens.h"
#include "engine/llama_handles.h"
#include "kvevict/error.h"
#include "kvevict/model.h"
#include "kvevict/prompt_template.h"

namespace kvevict {
namespace {

/// The tokens of `text` as it goes on from other text. Only SentencePiece (and Unigram) puts a space in front
/// of a text: it goes where a character stands that no token has, and both are cut off again.
std::vector<Token> tokens_going_on(const Model& model, const std::string& text) {
  const auto type = llama_vocab_type(llama_model_get_vocab(model.handle()));
  std::vector<Token> tokens = model.tokenize(text, false, false);
  if (type != LLAMA_VOCAB_TYPE_SPM && type != LLAMA_VOCAB_TYPE_UGM) return tokens;
  const std::string mark = "\xEE\x80\x80";  // U+E000, for private use
  const std::vector<Token> alone = model.tokenize(mark, false, false);
  const std::vector<Token> behind = model.tokenize(mark + text, false, false);
  if (behind.size() < alone.size() || !std::equal(alone.begin(), alone.end(), behind.begin())) return tokens;
  return {behind.begin() + static_cast<std::ptrdiff_t>(alone.size()), behind.end()};
}

void drop_second_beginning(const llama_vocab* vocab, std::vector<Token>& tokens) {
  const Token begin = llama_vocab_bos(vocab);
  if (llama_vocab_get_add_bos(vocab) && tokens.size() > 1 && tokens[0] == begin && tokens[1] == begin)
    tokens.erase(tokens.begin());
}

}  // namespace

std::vector<Token> Model::tokenize(std::string_view text, bool add_special, bool parse_special) const {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 2)) {
    throw Error(ErrorCode::kInvalidArgument,
                "a text of " + std::to_string(text.size()) +
                    " bytes cannot be tokenized at once: at most 1 GiB is possible");
  }
  const llama_vocab* vocab = llama_model_get_vocab(handle());
  if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) {  // llama.cpp would end the process
    throw Error(ErrorCode::kUnsupported,
                info().name + " has no vocabulary in its file: it takes numbers of tokens, and no text");
  }
  const auto n_text = static_cast<std::int32_t>(text.size());
  std::vector<Token> tokens(text.size() + 8);
  std::int32_t n = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    n = llama_tokenize(vocab, text.data(), n_text, tokens.data(), static_cast<std::int32_t>(tokens.size()),
                       add_special, parse_special);
    if (n >= 0) break;
    tokens.resize(static_cast<std::size_t>(-static_cast<std::int64_t>(n)));
  }
  if (n < 0)
    throw Error(ErrorCode::kEngine,
                "llama.cpp cannot tokenize a text of " + std::to_string(n_text) + " bytes");
  tokens.resize(static_cast<std::size_t>(n));
  if (!add_special) return tokens;
  // llama.cpp closes the text with an end token if the vocabulary says so, and begins it twice if the text
  // does
  if (llama_vocab_get_add_eos(vocab) && !tokens.empty() && tokens.back() == llama_vocab_eos(vocab))
    tokens.pop_back();
  drop_second_beginning(vocab, tokens);
  return tokens;
}

std::vector<Token> Model::tokenize(std::span<const TextPart> parts, bool is_beginning) const {
  const llama_vocab* vocab = llama_model_get_vocab(handle());
  std::vector<Token> tokens;
  if (is_beginning) tokens = tokenize("", true, false);
  bool follows_text = !is_beginning;
  const bool has_control = std::ranges::any_of(parts, &TextPart::parse_special);
  const std::vector<ControlToken> all = has_control ? all_control_tokens(vocab) : std::vector<ControlToken>{};
  for (const TextStretch& stretch : read_control_tokens(vocab, all, parts)) {
    if (stretch.is_token()) {
      tokens.push_back(stretch.token);
    } else {
      const std::vector<Token> more =
          follows_text ? tokens_going_on(*this, stretch.text) : tokenize(stretch.text, false, false);
      tokens.insert(tokens.end(), more.begin(), more.end());
    }
    follows_text = !stretch.is_token();
  }
  if (is_beginning) drop_second_beginning(vocab, tokens);
  return tokens;
}

std::string Model::detokenize(std::span<const Token> tokens, bool with_special) const {
  const llama_vocab* vocab = llama_model_get_vocab(handle());
  if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) return {};
  // llama.cpp drops the space that SentencePiece puts in front of a text only from the first token
  if (!with_special && !tokens.empty() && tokens.front() == llama_vocab_bos(vocab))
    tokens = tokens.subspan(1);
  std::string text(tokens.size() * 8 + 16, '\0');
  std::int32_t n = 0;
  for (int attempt = 0; attempt < 2; ++attempt) {
    n = llama_detokenize(vocab, tokens.data(), static_cast<std::int32_t>(tokens.size()), text.data(),
                         static_cast<std::int32_t>(text.size()), !with_special, with_special);
    if (n >= 0) break;
    text.resize(static_cast<std::size_t>(-static_cast<std::int64_t>(n)));
  }
  if (n < 0)
    throw Error(ErrorCode::kEngine,
                "llama.cpp cannot turn " + std::to_string(tokens.size()) + " tokens into text");
  text.resize(static_cast<std::size_t>(n));
  return text;
}

bool Model::is_end_of_generation(Token token) const {
  return llama_vocab_is_eog(llama_model_get_vocab(handle()), token);
}

std::string Model::apply_chat_template(std::span<const ChatMessage> messages) const {
  return text_of(PromptTemplate(*this).render(messages));
}

}  // namespace kvevict
