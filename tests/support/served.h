#pragma once

#include <gtest/gtest.h>
#include <httplib.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/program.h"
#include "support/test_models.h"

namespace kvevict::test {

using Json = nlohmann::json;

/// The real kvevict serve on a free port of this machine, with the shallow model unless `arguments` name
/// another.
class Served {
 public:
  explicit Served(const std::vector<std::string>& arguments = {}, const ProgramOptions& options = {})
      : program_(words(arguments), options) {
    const std::string said = "listening on http://127.0.0.1:";
    EXPECT_TRUE(program_.wait_for_stderr(said)) << program_.stderr_text();
    EXPECT_TRUE(program_.wait_for_stderr("\n"));
    const std::size_t at = program_.stderr_text().find(said);
    port_ = at == std::string::npos ? 1 : std::stoi(program_.stderr_text().substr(at + said.size()));
  }

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] Program& program() { return program_; }
  [[nodiscard]] const Program& program() const { return program_; }

  [[nodiscard]] httplib::Client client(const std::string& key = "") const {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(120);
    if (!key.empty()) client.set_bearer_token_auth(key);
    return client;
  }

  struct Reply {
    int status = 0;
    Json json{};
    httplib::Headers headers{};
  };

  [[nodiscard]] static Reply reply_of(const httplib::Result& result) {
    if (!result) return {};
    return {result->status, Json::parse(result->body, nullptr, false), result->headers};
  }
  [[nodiscard]] Reply post(const std::string& path, const std::string& body,
                           const std::string& key = "") const {
    return reply_of(client(key).Post(path, body, "application/json"));
  }
  [[nodiscard]] Reply get(const std::string& path, const std::string& key = "") const {
    return reply_of(client(key).Get(path));
  }
  [[nodiscard]] Reply chat(const Json& body, const std::string& key = "") const {
    return post("/v1/chat/completions", body.dump(), key);
  }

  /// The lines "data: …" of a stream, until `goes_on` says no to one of them, which closes the connection.
  template <typename GoesOn>
  std::vector<std::string> stream(Json body, GoesOn goes_on) const {
    body["stream"] = true;
    httplib::Request request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.body = body.dump();
    request.set_header("Content-Type", "application/json");
    std::string text;
    std::vector<std::string> events;
    request.content_receiver = [&](const char* data, std::size_t n, std::uint64_t, std::uint64_t) {
      text.append(data, n);
      for (std::size_t end = 0; (end = text.find("\n\n")) != std::string::npos; text.erase(0, end + 2)) {
        events.push_back(text.substr(0, end));
        if (!goes_on(events.back())) return false;
      }
      return true;
    };
    (void)client().send(request);
    return events;
  }
  [[nodiscard]] std::vector<std::string> stream(const Json& body) const {
    return stream(body, [](const std::string&) { return true; });
  }

 private:
  static std::vector<std::string> words(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"serve", "--port", "0"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }

  Program program_;
  int port_ = 0;
};

/// A user's message behind what was said.
inline void say(Json& messages, const std::string& text) {
  messages.push_back({{"role", "user"}, {"content", text}});
}

/// The content of a whole answer, also added to the messages.
inline std::string take_answer(Json& messages, const Served::Reply& reply) {
  if (reply.status != 200) return "HTTP " + std::to_string(reply.status) + " " + reply.json.dump();
  const Json message = reply.json["choices"][0]["message"];
  messages.push_back({{"role", "assistant"}, {"content", message["content"]}});
  return message["content"];
}

/// Says `text` behind what was said, to the conversation of that name if there is one, and takes in the
/// answer.
inline Served::Reply turn(const Served& server, Json& messages, const std::string& text,
                          const std::string& conversation = "") {
  say(messages, text);
  Json body = {{"messages", messages}, {"max_tokens", 8}};
  if (!conversation.empty()) body["kvevict"] = {{"conversation", conversation}};
  Served::Reply reply = server.chat(body);
  EXPECT_EQ(reply.status, 200) << reply.json;
  take_answer(messages, reply);
  return reply;
}

/// Tokens of the list that were not decoded for this answer.
inline int cached(const Served::Reply& reply) {
  return reply.json["usage"]["prompt_tokens_details"]["cached_tokens"];
}

}  // namespace kvevict::test
