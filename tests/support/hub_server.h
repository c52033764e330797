#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace kvevict {

/// tests/support/hub_server.py as a process, for as long as the object lives.
class HubServer {
 public:
  /// `folder` gets the server's log.
  explicit HubServer(const std::filesystem::path& folder);
  ~HubServer();
  HubServer(const HubServer&) = delete;
  HubServer& operator=(const HubServer&) = delete;

  [[nodiscard]] std::string endpoint() const { return "http://127.0.0.1:" + port_; }
  /// A line for each request since the last call: "GET /path range token|- address".
  [[nodiscard]] std::vector<std::string> requests();

  static constexpr const char* kToken = "hf_secret_of_the_test";

 private:
  std::filesystem::path log_;
  std::string port_;
  int pid_ = -1;
  int input_ = -1;
};

}  // namespace kvevict
