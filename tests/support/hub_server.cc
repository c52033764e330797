#include "support/hub_server.h"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <stdexcept>

namespace kvevict {

HubServer::HubServer(const std::filesystem::path& folder) : log_(folder / "requests.log") {
  std::filesystem::create_directories(folder);
  std::filesystem::remove(log_);
  std::array<int, 2> to_server{}, from_server{};
  if (pipe(to_server.data()) != 0 || pipe(from_server.data()) != 0) throw std::runtime_error("no pipe");
  pid_ = fork();
  if (pid_ == 0) {
    dup2(to_server[0], STDIN_FILENO);
    dup2(from_server[1], STDOUT_FILENO);
    for (const int end : {to_server[0], to_server[1], from_server[0], from_server[1]}) close(end);
    execlp("python3", "python3", KVEVICT_SOURCE_DIR "/tests/support/hub_server.py", folder.c_str(), nullptr);
    _exit(127);
  }
  close(to_server[0]);
  close(from_server[1]);
  input_ = to_server[1];
  for (char c = 0; read(from_server[0], &c, 1) == 1 && c != '\n';) port_ += c;
  close(from_server[0]);
  if (port_.empty()) throw std::runtime_error("the hub server did not start");
}

HubServer::~HubServer() {
  close(input_);  // ends the server
  waitpid(pid_, nullptr, 0);
}

std::vector<std::string> HubServer::requests() {
  std::vector<std::string> lines;
  std::ifstream file(log_);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  std::filesystem::remove(log_);
  return lines;
}

}  // namespace kvevict
