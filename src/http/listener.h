#pragma once

#include <httplib.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "http/tls.h"

namespace kvevict::http {

struct ConnectionLimits {
  std::chrono::seconds request{30};    ///< For a client to send one request, from its first byte to its last.
  std::chrono::seconds write{30};      ///< For a client to take what was written.
  std::chrono::seconds keep_alive{5};  ///< Between two requests.
  std::size_t n_requests = 1000;       ///< Of one connection.
  std::size_t n_threads = 1024;        ///< Connections at the same time; others wait.
};

/// A connection as the library reads and writes it, with a deadline for each request, so that a client that
/// sends a byte now and then holds a thread no longer than any other.
class Connection final : public httplib::Stream {
 public:
  Connection(socket_t socket, const ConnectionLimits& limits) : socket_(socket), limits_(limits) {}

  /// Encrypts what is read and written from now on; returns whether the client did its part in time.
  [[nodiscard]] bool encrypt(const Tls& tls);

  /// Says that nothing more is written, if it is encrypted.
  void say_end() noexcept;

  /// The connection that this thread serves; null outside of `Listener`'s threads.
  [[nodiscard]] static Connection* current() noexcept;

  /// Waits for the first byte of the next request, until the client or the server leaves.
  [[nodiscard]] bool wait_for_request();

  /// Whether the client has closed it.
  [[nodiscard]] bool is_gone() const;

  /// No further request is read from it: what is left of this one cannot be told from the next.
  void close_after_answer() noexcept { is_last_ = true; }
  [[nodiscard]] bool is_last() const noexcept { return is_last_; }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, size_t n_bytes) override;
  ssize_t write(const char* data, size_t n_bytes) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_; }

 private:
  friend class Listener;
  using Clock = std::chrono::steady_clock;

  [[nodiscard]] bool wait(short events, Clock::time_point until) const;
  [[nodiscard]] bool has_read_ahead() const;
  [[nodiscard]] ssize_t receive(char* data, std::size_t n_bytes);
  [[nodiscard]] ssize_t send_some(const char* data, std::size_t n_bytes, Clock::time_point until);
  template <typename Step>
  [[nodiscard]] ssize_t encrypted(Clock::time_point until, Step step);

  socket_t socket_;
  const ConnectionLimits& limits_;
  TlsConnection tls_{};     // null: nothing is encrypted
  bool is_broken_ = false;  // OpenSSL takes no further step
  Clock::time_point deadline_{};
  std::string buffer_{};
  std::size_t n_taken_ = 0;  // of the buffer
  bool is_last_ = false;
};

/// The library's server with connections of our own.
class Listener final : public httplib::Server {
 public:
  /// `tls`: null: connections are not encrypted.
  explicit Listener(const ConnectionLimits& limits, std::shared_ptr<const Tls> tls = nullptr);

  /// Once it is bound: as many connections may wait until they are accepted as may be open. The library lets
  /// five wait, and clients that come at once would be turned away.
  void let_many_wait();

  /// Takes no more connections and closes those between two requests. `listen_after_bind` returns when the
  /// others have ended.
  void close();

  /// Ends all connections, whatever they are at.
  void cut();

 private:
  bool process_and_close_socket(socket_t socket) override;
  void serve(Connection& connection);
  [[nodiscard]] bool set_idle(socket_t socket, bool is_idle);

  ConnectionLimits limits_;
  std::shared_ptr<const Tls> tls_;
  std::mutex mutex_;
  std::set<socket_t> open_;
  std::set<socket_t> idle_;  // of them, those between two requests
  bool is_closed_ = false;
};

}  // namespace kvevict::http
