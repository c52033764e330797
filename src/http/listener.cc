#include "http/listener.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "http/connection_threads.h"

namespace kvevict::http {
namespace {

thread_local Connection* the_current = nullptr;

void read_address(socket_t socket, int (*ask)(int, sockaddr*, socklen_t*), std::string& ip, int& port) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  auto* const plain = reinterpret_cast<sockaddr*>(&address);
  if (ask(socket, plain, &size) != 0) return;
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (getnameinfo(plain, size, host.data(), host.size(), service.data(), service.size(),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return;
  ip = host.data();
  port = std::atoi(service.data());
}

}  // namespace

Connection* Connection::current() noexcept {
  return the_current;
}

bool Connection::wait(short events, Clock::time_point until) const {
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return false;
    pollfd one{.fd = socket_, .events = events, .revents = 0};
    const int n = poll(&one, 1, static_cast<int>(left));
    if (n > 0) return true;
    if (n == 0 || errno != EINTR) return false;
  }
}

/// Runs a step of OpenSSL's until it is done: its result, 0 at the end of what the client sends, -1 for a
/// connection that is broken or too slow.
template <typename Step>
ssize_t Connection::encrypted(Clock::time_point until, Step step) {
  while (!is_broken_) {
    ERR_clear_error();
    const int n = step();
    if (n > 0) return n;
    const int why = SSL_get_error(tls_.get(), n);
    if (why == SSL_ERROR_ZERO_RETURN) return 0;
    is_broken_ = why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE;
    if (!is_broken_ && !wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) return -1;
  }
  return -1;
}

bool Connection::encrypt(const Tls& tls) {
  const int flags = fcntl(socket_, F_GETFL);
  if (flags < 0 || fcntl(socket_, F_SETFL, flags | O_NONBLOCK) < 0) return false;
  tls_ = tls.open(socket_);
  return tls_ && encrypted(Clock::now() + limits_.request, [&] { return SSL_accept(tls_.get()); }) > 0;
}

void Connection::say_end() noexcept {
  if (tls_ && !is_broken_) (void)SSL_shutdown(tls_.get());
}

/// Whether bytes are here that the socket no longer has.
bool Connection::has_read_ahead() const {
  return n_taken_ < buffer_.size() || (tls_ && SSL_pending(tls_.get()) > 0);
}

bool Connection::wait_for_request() {
  const bool is_there = has_read_ahead() || wait(POLLIN, Clock::now() + limits_.keep_alive);
  deadline_ = Clock::now() + limits_.request;
  return is_there && !is_gone();
}

/// An encrypted connection's last bytes say that it ends, so that there is always something to read.
bool Connection::is_gone() const {
  if (tls_) {
    pollfd one{.fd = socket_, .events = POLLRDHUP, .revents = 0};
    return is_broken_ || poll(&one, 1, 0) > 0;
  }
  char byte = 0;
  const ssize_t n = recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool Connection::is_readable() const {
  return has_read_ahead() || wait(POLLIN, deadline_);
}

bool Connection::is_writable() const {
  return !is_gone() && wait(POLLOUT, Clock::now() + limits_.write);
}

/// Into `data`, as much as there is: 0 at the end, less for an error.
ssize_t Connection::receive(char* data, std::size_t n_bytes) {
  if (tls_)
    return encrypted(deadline_, [&] { return SSL_read(tls_.get(), data, static_cast<int>(n_bytes)); });
  ssize_t n = -1;
  while (wait(POLLIN, deadline_)) {
    n = recv(socket_, data, n_bytes, MSG_DONTWAIT);
    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return n;
}

ssize_t Connection::read(char* data, size_t n_bytes) {
  if (n_taken_ == buffer_.size()) {
    constexpr std::size_t kBlock = 16384;
    buffer_.resize(kBlock);
    n_taken_ = 0;
    const ssize_t n = receive(buffer_.data(), buffer_.size());
    buffer_.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n <= 0) return n;
  }
  const std::size_t n_given = std::min(n_bytes, buffer_.size() - n_taken_);
  std::memcpy(data, buffer_.data() + n_taken_, n_given);
  n_taken_ += n_given;
  return static_cast<ssize_t>(n_given);
}

/// What the client takes of `data` now; less than 0 for an error.
ssize_t Connection::send_some(const char* data, std::size_t n_bytes, Clock::time_point until) {
  constexpr std::size_t kMost = std::size_t{1} << 30;  // OpenSSL counts in ints
  if (tls_)
    return encrypted(until,
                     [&] { return SSL_write(tls_.get(), data, static_cast<int>(std::min(n_bytes, kMost))); });
  if (!wait(POLLOUT, until)) return -1;
  const ssize_t n = send(socket_, data, n_bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n;
}

ssize_t Connection::write(const char* data, size_t n_bytes) {
  const Clock::time_point until = Clock::now() + limits_.write;
  std::size_t n_done = 0;
  while (n_done < n_bytes) {
    const ssize_t n = send_some(data + n_done, n_bytes - n_done, until);
    if (n < 0 || (n == 0 && tls_)) return -1;
    n_done += static_cast<std::size_t>(n);
  }
  return static_cast<ssize_t>(n_done);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
  read_address(socket_, getpeername, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
  read_address(socket_, getsockname, ip, port);
}

Listener::Listener(const ConnectionLimits& limits, std::shared_ptr<const Tls> tls)
    : limits_(limits), tls_(std::move(tls)) {
  new_task_queue = [this] { return new ConnectionThreads(limits_.n_threads); };
  set_keep_alive_max_count(limits_.n_requests);
  set_keep_alive_timeout(static_cast<time_t>(limits_.keep_alive.count()));
  set_tcp_nodelay(true);
  set_socket_options([](socket_t socket) {  // not SO_REUSEPORT, by which two servers share a port
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
}

void Listener::let_many_wait() {
  (void)::listen(svr_sock_, static_cast<int>(limits_.n_threads));  // where this fails, it is as before
}

void Listener::close() {
  {
    const std::lock_guard lock(mutex_);
    is_closed_ = true;
    for (const socket_t socket : idle_) ::shutdown(socket, SHUT_RDWR);
  }
  // Accepting fails from now on, which ends the library's loop. Its own `stop` ends answers half way, too.
  ::shutdown(svr_sock_, SHUT_RDWR);
}

void Listener::cut() {
  const std::lock_guard lock(mutex_);
  for (const socket_t socket : open_) ::shutdown(socket, SHUT_RDWR);
}

bool Listener::set_idle(socket_t socket, bool is_idle) {
  const std::lock_guard lock(mutex_);
  if (is_idle) {
    idle_.insert(socket);
  } else {
    idle_.erase(socket);
  }
  return !is_closed_;
}

void Listener::serve(Connection& connection) {
  for (std::size_t n = 1; n <= limits_.n_requests; ++n) {
    const bool is_awaited = set_idle(connection.socket(), true) && connection.wait_for_request();
    const bool is_open = set_idle(connection.socket(), false);
    if (!is_awaited) return;
    bool is_closed_by_request = false;
    const bool is_last = n == limits_.n_requests || !is_open;
    bool is_read = false;  // else nobody knows where the next request begins
    const auto note = [&](httplib::Request&) { is_read = true; };
    if (!process_request(connection, is_last, is_closed_by_request, note) || !is_read) return;
    if (is_last || is_closed_by_request || connection.is_last()) return;
  }
}

bool Listener::process_and_close_socket(socket_t socket) {
  Connection connection(socket, limits_);
  {
    const std::lock_guard lock(mutex_);
    open_.insert(socket);
  }
  the_current = &connection;
  try {
    if (!tls_ || connection.encrypt(*tls_)) serve(connection);
  } catch (...) {  // NOLINT(bugprone-empty-catch): nobody is there who could be told
  }
  the_current = nullptr;
  connection.say_end();
  {
    const std::lock_guard lock(mutex_);
    open_.erase(socket);
  }
  ::shutdown(socket, SHUT_RDWR);
  ::close(socket);
  return true;
}

}  // namespace kvevict::http
