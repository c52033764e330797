#include "http/tls.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "kvevict/error.h"

namespace kvevict::http {
namespace {

namespace fs = std::filesystem;

/// What OpenSSL said last, in its own words.
std::string openssl_reason() {
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason == nullptr ? "no reason is given" : reason;
}

[[noreturn]] void refuse(const char* what, const fs::path& file, const std::string& why) {
  throw Error(ErrorCode::kBadData, fmt::format("the {} {} cannot be used: {}", what, file.string(), why));
}

void require_readable(const char* what, const fs::path& file) {
  errno = 0;
  if (!std::ifstream(file).is_open()) refuse(what, file, std::strerror(errno));
}

/// A key with a password: nobody is there who could be asked.
int no_password(char* /*buffer*/, int /*size*/, int /*writes*/, void* /*data*/) {
  return -1;
}

}  // namespace

void TlsDelete::operator()(ssl_ctx_st* context) const noexcept {
  SSL_CTX_free(context);
}
void TlsDelete::operator()(ssl_st* connection) const noexcept {
  SSL_free(connection);
}

Tls::Tls(const fs::path& certificate, const fs::path& key) : context_(SSL_CTX_new(TLS_server_method())) {
  if (!context_) throw Error(ErrorCode::kOutOfMemory, "there is no memory for TLS");
  SSL_CTX* const context = context_.get();
  ERR_clear_error();
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  require_readable("certificate", certificate);
  require_readable("key", key);
  // A write that is tried again may come from another place, and with what was taken left out.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_default_passwd_cb(context, no_password);
  if (SSL_CTX_use_certificate_chain_file(context, certificate.c_str()) != 1)
    refuse("certificate", certificate, openssl_reason());
  if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1)
    refuse("key", key, openssl_reason());
  if (SSL_CTX_check_private_key(context) != 1)
    refuse("key", key, "it is not that of the certificate " + certificate.string());
}

TlsConnection Tls::open(int socket) const {
  TlsConnection connection(SSL_new(context_.get()));
  if (connection && SSL_set_fd(connection.get(), socket) != 1) connection.reset();
  return connection;
}

}  // namespace kvevict::http
