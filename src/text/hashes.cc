#include "text/hashes.h"

#include <openssl/evp.h>

#include <array>
#include <fstream>
#include <vector>

#include "kvevict/error.h"

namespace kvevict {
namespace {

/// A running hash of OpenSSL's.
class Digest {
 public:
  explicit Digest(const EVP_MD* algorithm) : context_(EVP_MD_CTX_new()) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), algorithm, nullptr) != 1) {
      throw Error(ErrorCode::kUnsupported, "the cryptographic library offers no SHA-256 or SHA-1");
    }
  }

  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }

  [[nodiscard]] std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int n = 0;
    EVP_DigestFinal_ex(context_.get(), digest.data(), &n);
    std::string text;
    for (unsigned int i = 0; i < n; ++i) {
      constexpr std::string_view kDigits = "0123456789abcdef";
      text += kDigits[digest[i] >> 4];
      text += kDigits[digest[i] & 15];
    }
    return text;
  }

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

void add_file(Digest& digest, const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kIo, "cannot read " + path.string());
  std::vector<char> piece(1 << 20);
  while (file.read(piece.data(), static_cast<std::streamsize>(piece.size())) || file.gcount() > 0) {
    digest.add({piece.data(), static_cast<std::size_t>(file.gcount())});
  }
  if (file.bad()) throw Error(ErrorCode::kIo, "reading " + path.string() + " failed");
}

}  // namespace

struct Sha256::Impl {
  Digest digest{EVP_sha256()};
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {}
Sha256::~Sha256() = default;
void Sha256::add(std::string_view bytes) {
  impl_->digest.add(bytes);
}
std::string Sha256::hex() {
  return impl_->digest.hex();
}

std::string sha256_hex(std::string_view text) {
  Digest digest(EVP_sha256());
  digest.add(text);
  return digest.hex();
}

std::string sha256_of_files(std::span<const std::filesystem::path> paths) {
  Digest digest(EVP_sha256());
  for (const std::filesystem::path& path : paths) add_file(digest, path);
  return digest.hex();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  return sha256_of_files({&path, 1});
}

std::string git_sha1_of_file(const std::filesystem::path& path) {
  std::error_code ignored;
  const auto n_bytes = std::filesystem::file_size(path, ignored);
  Digest digest(EVP_sha1());
  digest.add("blob " + std::to_string(n_bytes) + '\0');
  add_file(digest, path);
  return digest.hex();
}

}  // namespace kvevict
