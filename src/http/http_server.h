#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "http/chat_call.h"
#include "serving/conversation_pool.h"
#include "serving/scheduler.h"

namespace kvevict::http {

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 8080;                  ///< 0: any that is free.
  std::vector<std::string> keys{};  ///< Empty: everybody may come.
  std::string tls_certificate{};    ///< A file in PEM; empty: connections are not encrypted.
  std::string tls_key{};            ///< Likewise, of the certificate.
  std::string cors{};               ///< The one origin whose pages may ask; empty: none.
  std::size_t n_waiting = 32;       ///< As the scheduler's: each holds a thread.
  std::size_t most_body_bytes = std::size_t{16} << 20;
};

/// What is served. The pool must outlive the server.
struct Served {
  std::shared_ptr<const Model> model;
  serving::ConversationPool* pool = nullptr;
  std::string strategy{};  ///< The server's own, for those who ask.
  AnswerDefaults answer{};
};

/// OpenAI's interface over HTTP in front of a pool of conversations. Its own threads.
class HttpServer {
 public:
  /// Listens from now on, and takes requests. Errors: kInvalidArgument for a port out of its range; kIo if it
  /// cannot listen there; those of Tls.
  HttpServer(HttpOptions options, Served served);

  /// `stop` without waiting for answers.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  [[nodiscard]] int port() const noexcept;

  /// Takes no more requests, lets answers end for at most `drain`, then stops them, and ends.
  void stop(std::chrono::seconds drain);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict::http
