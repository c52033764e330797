#include "support/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <stdexcept>

#include "support/test_models.h"

namespace kvevict::test {
namespace fs = std::filesystem;
namespace {

int memory_file(const std::string& content) {
  const int file = memfd_create("kvevict-test", MFD_CLOEXEC);
  if (file < 0) throw std::runtime_error("no file in memory");
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t n = write(file, content.data() + done, content.size() - done);
    if (n <= 0) throw std::runtime_error("cannot write a file in memory");
    done += static_cast<std::size_t>(n);
  }
  lseek(file, 0, SEEK_SET);
  return file;
}

std::string whole_file(int file) {
  lseek(file, 0, SEEK_SET);
  std::string text;
  std::array<char, 65536> buffer{};
  for (ssize_t n = 0; (n = read(file, buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  return text;
}

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& arguments,
                         const ProgramOptions& options, const std::string& model, int in, int out, int err) {
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (!options.folder.empty() && chdir(options.folder.c_str()) != 0) _exit(126);
  setenv("KVEVICT_MODEL", model.c_str(), 1);
  for (const std::string& setting : options.environment) {
    const std::size_t equals = setting.find('=');
    setenv(setting.substr(0, equals).c_str(), setting.substr(equals + 1).c_str(), 1);
  }
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  execv(program.c_str(), argv.data());
  _exit(127);
}

}  // namespace

Program::Program(const std::vector<std::string>& arguments, const ProgramOptions& options,
                 const std::string& program) {
  const std::string path = program.empty() ? KVEVICT_TEST_BINARY : program;
  const std::string model = shallow_model_path();
  const int in = memory_file(options.input);
  out_ = memory_file("");
  std::array<int, 2> pipe_ends{};
  if (pipe2(pipe_ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = fork();
  if (pid_ == 0) become(path, arguments, options, model, in, out_, pipe_ends[1]);
  close(in);
  close(pipe_ends[1]);
  err_ = pipe_ends[0];
}

Program::~Program() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(out_);
  close(err_);
}

bool Program::read_more() {
  std::array<char, 4096> buffer{};
  const ssize_t n = read(err_, buffer.data(), buffer.size());
  if (n <= 0) return false;
  err_text_.append(buffer.data(), static_cast<std::size_t>(n));
  return true;
}

bool Program::wait_for_stderr(const std::string& text) {
  while (err_text_.find(text) == std::string::npos) {
    if (!read_more()) return false;
  }
  return true;
}

void Program::send_signal(int number) const {
  kill(pid_, number);
}

ProgramResult Program::wait() {
  while (read_more()) {
  }
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {.exit_code = code, .out = whole_file(out_), .err = err_text_};
}

ProgramResult run_kvevict(const std::vector<std::string>& arguments, const ProgramOptions& options) {
  return Program(arguments, options).wait();
}

}  // namespace kvevict::test
