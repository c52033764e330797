// check_architecture MODEL.gguf: what kvevict can do with a model, held against llama.cpp alone, as one line
// of JSON.
//
// Each column is "yes", "no: " and the library's reason, or "WRONG: " and what is wrong. Each runs in a
// process of its own, so that an assertion that fails in ggml is a result too.
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "archs/columns.h"
#include "archs/kind.h"
#include "kvevict/error.h"

namespace {

using kvevict::test::Column;
using nlohmann::json;

constexpr const char* kMark = "RESULT ";

json judged(const std::string& path, const Column& column) {
  kvevict::test::LargestDifference difference;
  std::string verdict = "yes";
  try {
    column.check(kvevict::Model::load({.path = path}), difference);
  } catch (const kvevict::Error& error) {
    const bool is_refusal = error.code() == kvevict::ErrorCode::kUnsupported;
    verdict = std::string(is_refusal ? "no: " : "WRONG: ") + error.what();
  } catch (const std::exception& error) {
    verdict = std::string("WRONG: ") + error.what();
  }
  return {{"verdict", verdict}, {"difference", difference.value()}};
}

json kind(const std::string& path) {
  try {
    const kvevict::test::KindOfModel kind = kvevict::test::kind_of_model(path);
    return {{"architecture", kind.architecture}, {"memory", kind.memory}, {"positions", kind.positions}};
  } catch (const std::exception& error) {
    return {{"verdict", std::string("WRONG: ") + error.what()}};
  }
}

json effect(const std::string& path) {
  try {
    const auto model = kvevict::Model::load({.path = path});
    return {{"effect", kvevict::test::effect_of_eviction(*model)}};
  } catch (const std::exception& error) {
    return {{"effect", nullptr}};
  }
}

/// The last line of `text` that says something.
std::string last_line(const std::string& text) {
  std::string last;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) last = text.substr(begin, end - begin);
    begin = end + 1;
  }
  return last;
}

/// What `make` gives, in a process of its own whose output goes to us; `WRONG` with its last words if it
/// dies.
template <typename Make>
json in_a_process(const Make& make) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::runtime_error("no pipe can be made");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no process can be made");
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    const std::string line = "\n" + (kMark + make().dump()) + "\n";
    std::fputs(line.c_str(), stdout);
    std::fflush(stdout);
    _exit(0);
  }
  close(ends[1]);
  std::string output;
  std::array<char, 4096> part{};
  for (ssize_t n = 0; (n = read(ends[0], part.data(), part.size())) > 0;)
    output.append(part.data(), static_cast<std::size_t>(n));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  const std::string line = last_line(output);
  if (status == 0 && line.starts_with(kMark)) return json::parse(line.substr(std::string(kMark).size()));
  return {{"verdict", "WRONG: ended by signal " + std::to_string(WTERMSIG(status)) + ": " + line}};
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::cerr << "usage: check_architecture MODEL.gguf\n";
    return 2;
  }
  setenv("GGML_NO_BACKTRACE", "1", 1);
  const std::string path = argv[1];
  json row = in_a_process([&] { return kind(path); });
  double most = 0;
  for (const Column& column : kvevict::test::all_columns()) {
    const json result = in_a_process([&] { return judged(path, column); });
    row[column.name] = result.at("verdict");
    most = std::max(most, result.value("difference", 0.0));
  }
  row["largest_difference"] = most;
  const json changed = in_a_process([&] { return effect(path); });
  row["effect"] = changed.value("effect", json());
  std::cout << row.dump() << "\n";
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
