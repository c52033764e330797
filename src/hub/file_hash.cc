#include "hub/file_hash.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <fstream>
#include <memory>
#include <vector>

#include "kvevict/error.h"

namespace kvevict {
namespace {

struct DigestFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

std::string hash_file(const std::filesystem::path& path, const EVP_MD* algorithm, const std::string& prefix) {
  const std::unique_ptr<EVP_MD_CTX, DigestFree> context(EVP_MD_CTX_new());
  std::ifstream file(path, std::ios::binary);
  if (!context || !file || EVP_DigestInit_ex(context.get(), algorithm, nullptr) != 1) {
    throw Error(ErrorCode::kIo, "cannot read " + path.string());
  }
  EVP_DigestUpdate(context.get(), prefix.data(), prefix.size());
  std::vector<char> buffer(1U << 20U);
  while (file.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) || file.gcount() > 0) {
    EVP_DigestUpdate(context.get(), buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) throw Error(ErrorCode::kIo, "reading " + path.string() + " failed");
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context.get(), digest, &length);
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace

std::string file_sha256(const std::filesystem::path& path) {
  return hash_file(path, EVP_sha256(), "");
}

std::string file_git_sha1(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto n_bytes = std::filesystem::file_size(path, ignored);
  return hash_file(path, EVP_sha1(), fmt::format("blob {}", n_bytes) + '\0');
}

}  // namespace kvevict
