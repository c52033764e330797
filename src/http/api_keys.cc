#include "http/api_keys.h"

#include <openssl/crypto.h>

#include "text/hashes.h"

namespace kvevict::http {

ApiKeys::ApiKeys(const std::vector<std::string>& keys) {
  for (const std::string& key : keys) digests_.push_back(sha256_hex(key));
}

std::optional<std::string> ApiKeys::owner_of(std::string_view authorization) const {
  if (!are_needed()) return std::string();
  constexpr std::string_view kScheme = "Bearer ";
  if (!authorization.starts_with(kScheme)) return std::nullopt;
  const std::string digest = sha256_hex(authorization.substr(kScheme.size()));
  bool is_known = false;
  for (const std::string& one : digests_) {
    const bool is_same = CRYPTO_memcmp(one.data(), digest.data(), digest.size()) == 0;
    is_known = is_known || is_same;
  }
  return is_known ? std::optional(digest) : std::nullopt;
}

}  // namespace kvevict::http
