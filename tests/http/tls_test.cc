// Encrypted connections, with a certificate that is made here.
#include "http/tls.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "http/listener.h"
#include "kvevict/error.h"
#include "support/work_folder.h"

namespace kvevict::http {
namespace {

namespace fs = std::filesystem;

struct Files {
  fs::path certificate, key;
};

template <typename Write>
void write_pem(const fs::path& path, Write write) {
  std::FILE* const file = std::fopen(path.c_str(), "w");
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(write(file), 1);
  std::fclose(file);
}

/// A certificate of 127.0.0.1 that vouches for itself, and its key.
Files make_certificate(const std::string& whose = "server") {
  const fs::path folder = test::work_folder();
  const Files files{folder / (whose + "-certificate.pem"), folder / (whose + "-key.pem")};
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* const name = X509_get_subject_name(certificate);
  const auto* const host = reinterpret_cast<const unsigned char*>("127.0.0.1");
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, host, -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* const address = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, address, -1);
  EXPECT_GT(X509_sign(certificate, key, EVP_sha256()), 0);
  write_pem(files.certificate, [&](std::FILE* file) { return PEM_write_X509(file, certificate); });
  write_pem(files.key, [&](std::FILE* file) {
    return PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
  X509_EXTENSION_free(address);
  X509_free(certificate);
  EVP_PKEY_free(key);
  return files;
}

std::string refusal_of(const fs::path& certificate, const fs::path& key) {
  try {
    const Tls tls(certificate, key);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kBadData);
    return error.what();
  }
  return "nothing was refused";
}

TEST(TlsTest, FilesThatCannotBeUsedAreNamed) {
  const Files one = make_certificate("one"), other = make_certificate("other");
  EXPECT_NO_THROW(Tls(one.certificate, one.key));
  EXPECT_NE(
      refusal_of("/no/such.pem", one.key).find("the certificate /no/such.pem cannot be used: No such file"),
      std::string::npos);
  EXPECT_NE(refusal_of(one.key, one.key).find("the certificate " + one.key.string()), std::string::npos);
  EXPECT_NE(refusal_of(one.certificate, one.certificate).find("the key " + one.certificate.string()),
            std::string::npos);
  EXPECT_NE(refusal_of(one.certificate, other.key).find("the key " + other.key.string()), std::string::npos);
}

#ifdef CPPHTTPLIB_OPENSSL_SUPPORT

class TlsListenerTest : public testing::Test {
 protected:
  void listen() {
    port_ = listener_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { listener_.listen_after_bind(); });
  }
  void TearDown() override {
    listener_.close();
    listener_.cut();
    thread_.join();
  }

  [[nodiscard]] std::unique_ptr<httplib::SSLClient> client() const {
    auto client = std::make_unique<httplib::SSLClient>("127.0.0.1", port_);
    client->set_ca_cert_path(files_.certificate.c_str());
    client->enable_server_certificate_verification(true);
    client->set_read_timeout(60);
    return client;
  }

  Files files_ = make_certificate();
  Listener listener_{ConnectionLimits{}, std::make_shared<Tls>(files_.certificate, files_.key)};
  std::thread thread_;
  int port_ = 0;
};

TEST_F(TlsListenerTest, RequestsAndAnswersOfAnySizeComeThrough) {
  listener_.Post("/echo", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(request.body, "text/plain");
  });
  listen();
  const auto one = client();
  one->set_keep_alive(true);
  for (const std::size_t n_bytes : {1U, 20'000U, 3'000'000U}) {
    const std::string body(n_bytes, 'x');
    const httplib::Result result = one->Post("/echo", body, "text/plain");
    ASSERT_TRUE(result) << n_bytes << ": " << httplib::to_string(result.error());
    EXPECT_EQ(result->status, 200);
    EXPECT_TRUE(result->body == body) << n_bytes;
  }
}

TEST_F(TlsListenerTest, WhoDoesNotEncryptGetsNothingAndHoldsUpNobody) {
  listener_.Get("/", [](const httplib::Request&, httplib::Response& response) {
    response.set_content("here", "text/plain");
  });
  listen();
  EXPECT_FALSE(httplib::Client("127.0.0.1", port_).Get("/"));
  const httplib::Result result = client()->Get("/");
  ASSERT_TRUE(result) << httplib::to_string(result.error());
  EXPECT_EQ(result->body, "here");
}

TEST_F(TlsListenerTest, AClientThatLeavesIsMissed) {
  std::promise<void> is_missed;
  listener_.Get("/", [&](const httplib::Request&, httplib::Response& response) {
    const auto provide = [](std::size_t offset, httplib::DataSink& sink) {
      if (offset == 0) return sink.write("first", 5);
      std::this_thread::yield();
      return !Connection::current()->is_gone();
    };
    response.set_chunked_content_provider("text/plain", provide, [&](bool) { is_missed.set_value(); });
  });
  listen();
  EXPECT_FALSE(client()->Get("/", [](const char*, std::size_t) { return false; }));
  EXPECT_EQ(is_missed.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

#endif

}  // namespace
}  // namespace kvevict::http
