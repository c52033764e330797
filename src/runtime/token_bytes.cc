#include "runtime/token_bytes.h"

#include <cstring>

#include "kvevict/error.h"

namespace kvevict {

void add_tokens(std::string& data, const std::vector<Token>& tokens) {
  data.append(reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(Token));
}

std::vector<Token> take_tokens(std::string_view& data, std::size_t n) {
  if (n > data.size() / sizeof(Token)) throw Error(ErrorCode::kBadData, "it has fewer tokens than it says");
  std::vector<Token> tokens(n);
  if (n > 0) std::memcpy(tokens.data(), data.data(), n * sizeof(Token));
  data.remove_prefix(n * sizeof(Token));
  return tokens;
}

}  // namespace kvevict
