// The model's vocabulary: text to tokens and back, chat templates.
#include <limits>

#include "engine/llama_handles.h"
#include "kvevict/error.h"
#include "kvevict/model.h"
#include "kvevict/prompt_template.h"

namespace kvevict {

std::vector<Token> Model::tokenize(std::string_view text, bool add_special, bool parse_special) const {
  if (text.size() > static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max() / 2)) {
    throw Error(ErrorCode::kInvalidArgument,
                "a text of " + std::to_string(text.size()) +
                    " bytes cannot be tokenized at once: at most 1 GiB is possible");
  }
  const llama_vocab* vocab = llama_model_get_vocab(handle());
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
  return tokens;
}

std::string Model::detokenize(std::span<const Token> tokens, bool with_special) const {
  const llama_vocab* vocab = llama_model_get_vocab(handle());
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
