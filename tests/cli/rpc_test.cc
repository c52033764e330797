// Two workers on loopback give the tokens that this machine gives by itself.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/program.h"

namespace kvevict::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A port of 127.0.0.1 that nobody listens on.
std::string free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  const bool is_bound = bind(socket, reinterpret_cast<sockaddr*>(&address), length) == 0 &&
                        getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) == 0;
  close(socket);
  EXPECT_TRUE(is_bound);
  return std::to_string(ntohs(address.sin_port));
}

std::vector<std::string> ask(const fs::path& folder, const std::string& output,
                             const std::vector<std::string>& more) {
  std::vector<std::string> words = {"longbench", "--data_dir",   folder,
                                    "--dataset", "qasper",       "--max_new_tokens",
                                    "8",         "--strategies", "full,sink_recent:4:24",
                                    "--output",  folder / output};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string predictions(const fs::path& file) {
  std::string text;
  for (const Json& run : Json::parse(std::ifstream(file)).at("runs")) {
    for (const Json& example : run.at("datasets")[0].at("examples"))
      text += example.at("prediction").get<std::string>() + "\n";
  }
  return text;
}

TEST(Rpc, TwoWorkersGiveTheSameTokens) {
  const fs::path folder = make_work_folder();
  std::ofstream(folder / "qasper.jsonl")
      << R"({"_id": "a", "input": "What colour is the box?", "context": "The box is red. It stands on a table.", "answers": ["red"]})";
  ASSERT_EQ(run_kvevict(ask(folder, "local.json", {})).exit_code, 0);
  const std::string ports[] = {free_port(), free_port()};
  Program first({"rpc-worker", "--port", ports[0], "--threads", "1"});
  Program second({"rpc-worker", "--port", ports[1], "--threads", "1"});
  ASSERT_TRUE(first.wait_for_stderr("listening") && second.wait_for_stderr("listening"));
  ProgramResult result;
  for (int attempt = 0; attempt < 50 && result.exit_code != 0;
       ++attempt) {  // a worker says so just before it listens
    result = run_kvevict(ask(folder, "remote.json",
                             {"--rpc", "127.0.0.1:" + ports[0] + ",127.0.0.1:" + ports[1], "--restart"}));
  }
  EXPECT_EQ(result.exit_code, 0) << result.err;
  if (result.exit_code == 0) {
    EXPECT_EQ(predictions(folder / "remote.json"), predictions(folder / "local.json"));
  }
  for (const Program* worker : {&first, &second}) worker->send_signal(SIGKILL);
  first.wait();
  second.wait();
}

TEST(Rpc, AWorkerThatDoesNotAnswerIsNamed) {
  const fs::path folder = make_work_folder();
  std::ofstream(folder / "qasper.jsonl") << R"({"_id": "a", "input": "?", "context": "x", "answers": ["y"]})";
  const std::string nobody = "127.0.0.1:" + free_port();
  const ProgramResult result = run_kvevict(ask(folder, "x.json", {"--rpc", nobody}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.err.find(nobody), std::string::npos) << result.err;
  for (const char* bad : {"host", "host:", ":1", "host:99999", "host:1x"}) {
    EXPECT_EQ(run_kvevict(ask(folder, "x.json", {"--rpc", bad})).exit_code, 2) << bad;
  }
}

}  // namespace
}  // namespace kvevict::test
