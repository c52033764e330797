// kvevict serve: bytes that nobody should send, over the socket. scripts/long/serve_faults.py sends many
// more.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <random>

#include "support/served.h"

namespace kvevict::test {
namespace {

/// A connection to the server; -1 if there is none.
int connect_to(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return socket;
  ::close(socket);
  return -1;
}

/// All that comes back before the server closes the connection; our side is closed once all is sent.
std::string answer_to(int port, const std::string& bytes, bool is_left) {
  const int socket = connect_to(port);
  std::string answer;
  (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (is_left) ::shutdown(socket, SHUT_WR);
  char piece[4096];
  for (ssize_t n = 0; (n = ::recv(socket, piece, sizeof piece, 0)) > 0;)
    answer.append(piece, static_cast<std::size_t>(n));
  ::close(socket);
  return answer;
}

/// What is wrong with an answer; empty: nothing.
std::string wrong_in(std::string answer) {
  if (answer.starts_with("HTTP/1.1 100 ")) answer.erase(0, answer.find("\r\n\r\n") + 4);
  if (!answer.starts_with("HTTP/1.1 ")) return "no answer: " + answer.substr(0, 80);
  const int status = std::atoi(answer.c_str() + 9);
  if (status == 500 || status < 200 || status > 505) return "status " + std::to_string(status);
  const std::size_t end = answer.find("\r\n\r\n");
  if (status < 400 || end == std::string::npos || end + 4 == answer.size()) return "";
  const Json json = Json::parse(answer.substr(end + 4), nullptr, false);
  const bool has_form = json.is_object() && json.contains("error") && json["error"].contains("message") &&
                        json["error"].contains("type") && json["error"].contains("param") &&
                        json["error"].contains("code");
  return has_form ? "" : "no error in OpenAI's form: " + answer;
}

class Hostile {
 public:
  struct Request {
    std::string bytes;
    bool is_left = false;  // may end without an answer
  };

  Request next() {
    switch (draw(5)) {
      case 0:
        return {noise(1 + draw(300)) + (draw(2) == 0 ? "\r\n\r\n" : ""), true};
      case 1: {
        std::string body = kBody;
        for (std::size_t n = 1 + draw(4); n > 0; --n) body[draw(body.size())] = static_cast<char>(draw(256));
        return {post(body)};
      }
      case 2: {
        const std::string whole = post(kBody);
        return {whole.substr(0, 1 + draw(whole.size() - 1)), true};
      }
      case 3: {
        constexpr const char* kHeaders[] = {"Content-Length: -1",
                                            "Content-Length: 99999999999999999999",
                                            "Transfer-Encoding: chunked",
                                            "Content-Encoding: gzip",
                                            "no colon at all",
                                            "Range: bytes=5-1",
                                            "Expect: 100-continue",
                                            "Content-Type: multipart/form-data"};
        return {post(kBody, std::string(kHeaders[draw(std::size(kHeaders))]) + "\r\n"), true};
      }
      default: {
        const std::size_t depth = std::size_t{1} << draw(16);
        return {post(R"({"messages":)" + std::string(depth, '[') + std::string(depth, ']') + "}")};
      }
    }
  }

 private:
  static constexpr const char* kBody =
      R"({"messages":[{"role":"user","content":"hi"}],"max_tokens":1,"temperature":0.5,"stop":["a"]})";

  std::size_t draw(std::size_t n) { return random_() % n; }
  std::string noise(std::size_t n) {
    std::string bytes;
    for (; n > 0; --n) bytes += static_cast<char>(draw(256));
    return bytes;
  }
  static std::string post(const std::string& body, const std::string& headers = "") {
    return "POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }

  std::mt19937 random_{5};
};

TEST(ServeHostile, WhateverIsSentIsAnsweredAsOpenAIDoes) {
  Served server({"--strategy", "sink_recent:16:112", "--chunk", "64"});
  Hostile hostile;
  for (int i = 0; i < 400; ++i) {
    const Hostile::Request request = hostile.next();
    const std::string answer = answer_to(server.port(), request.bytes, request.is_left);
    if (request.is_left && answer.empty()) continue;
    ASSERT_EQ(wrong_in(answer), "") << i << ": " << request.bytes;
  }
  Json messages = Json::array();
  say(messages, "Are you there?");
  EXPECT_EQ(server.chat({{"messages", messages}, {"max_tokens", 2}}).status, 200);
  server.program().send_signal(SIGTERM);
  EXPECT_EQ(server.program().wait().exit_code, 0);
}

TEST(ServeHostile, ManyThatAreSlowToSendKeepNobodyWaiting) {
  const Served server({"--strategy", "sink_recent:16:112"});
  std::vector<int> sockets;
  for (int i = 0; i < 200; ++i) sockets.push_back(connect_to(server.port()));
  for (const int socket : sockets) EXPECT_EQ(::send(socket, "POST /v1", 8, MSG_NOSIGNAL), 8);
  EXPECT_EQ(server.get("/health").status, 200);
  int n_open = 0;
  for (const int socket : sockets) {
    char byte = 0;
    n_open += ::recv(socket, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN ? 1 : 0;
    ::close(socket);
  }
  EXPECT_EQ(n_open, 200) << "it was answered before they had to end";
}

}  // namespace
}  // namespace kvevict::test
