#pragma once

#include <filesystem>
#include <memory>

struct ssl_ctx_st;
struct ssl_st;

namespace kvevict::http {

struct TlsDelete {
  void operator()(ssl_ctx_st* context) const noexcept;
  void operator()(ssl_st* connection) const noexcept;
};

/// The server's end of an encrypted connection, as OpenSSL has it.
using TlsConnection = std::unique_ptr<ssl_st, TlsDelete>;

/// A server's certificate and its key, by which connections are encrypted: TLS 1.2 or newer. Thread safety:
/// const after construction.
class Tls {
 public:
  /// Files in PEM; of the certificate with those that vouch for it behind it. Errors: kBadData for one that
  /// cannot be read, for a key that asks for a password, and for one that is not the certificate's.
  Tls(const std::filesystem::path& certificate, const std::filesystem::path& key);

  /// Of a socket that never waits; nothing was said yet. Null if there is no memory.
  [[nodiscard]] TlsConnection open(int socket) const;

 private:
  std::unique_ptr<ssl_ctx_st, TlsDelete> context_;
};

}  // namespace kvevict::http
