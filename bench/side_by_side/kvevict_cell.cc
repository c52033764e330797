// One cell of the comparison with other engines: llama.cpp alone, or kvevict, for one prompt. Prints one JSON
// object: wall and processor seconds of prefill and decode, and the most memory that was resident meanwhile.
//
//   side_by_side_cell ids MODEL TEXT N                                      the first N tokens of the text
//   side_by_side_cell plain MODEL TEXT N N_NEW THREADS                      llama.cpp's own calls
//   side_by_side_cell full|bounded MODEL TEXT N N_NEW THREADS STRATEGY      kvevict, by --prefill
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "base/process_info.h"
#include "base/stopwatch.h"
#include "engine/plain_llama.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "kvevict/session.h"
#include "runtime/prompt_prefill.h"

namespace {

using kvevict::Error;
using kvevict::ErrorCode;
using kvevict::Model;
using kvevict::Session;
using kvevict::SessionOptions;
using kvevict::Token;

struct Spent {
  double wall = 0;
  double processor = 0;
};

/// Time since it was made or last asked.
class Meter {
 public:
  Spent lap() {
    const double processor = kvevict::cpu_seconds();
    const Spent spent{watch_.seconds(), processor - processor_};
    watch_.restart();
    processor_ = processor;
    return spent;
  }

 private:
  kvevict::Stopwatch watch_;
  double processor_ = kvevict::cpu_seconds();
};

/// Ends the process when the cell's seconds are over, if it has a limit.
void set_limit() {
  if (const char* const seconds = std::getenv("SIDE_BY_SIDE_LIMIT"); seconds != nullptr) {
    alarm(static_cast<unsigned>(std::stoul(seconds)));
  }
}

/// Lets the peak of resident memory begin anew: what loading took is not counted.
void forget_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

/// Since then. getrusage would count what the process was before it became this program.
std::int64_t peak_bytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmHWM:")) return std::stol(line.substr(6)) * 1024;
  }
  return 0;
}

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kIo, "cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Token> first_tokens(const Model& model, const std::string& path, std::size_t n) {
  std::vector<Token> tokens = model.tokenize(text_of(path), true, false);
  if (tokens.size() < n) {
    throw Error(ErrorCode::kInvalidArgument,
                path + " has " + std::to_string(tokens.size()) + " tokens, fewer than " + std::to_string(n));
  }
  tokens.resize(n);
  return tokens;
}

void print_ids(const std::vector<Token>& tokens) {
  const char* separator = "[";
  for (const Token token : tokens) {
    std::printf("%s%d", separator, token);
    separator = ", ";
  }
  std::printf("]\n");
}

struct Cell {
  Spent prefill, decode;
  std::int64_t n_held = 0;  ///< When decoding begins.
  std::int64_t bytes_loaded = 0;
};

void run_plain(Cell& cell, const std::shared_ptr<const Model>& model, const SessionOptions& options,
               const std::vector<Token>& prompt, std::int64_t n_new) {
  Meter meter;
  static_cast<void>(time_plain_llama(model, options, prompt, n_new, [&] { cell.prefill = meter.lap(); }));
  cell.decode = meter.lap();
  cell.n_held = static_cast<std::int64_t>(prompt.size());
}

void run_kvevict(Cell& cell, const std::shared_ptr<const Model>& model, const SessionOptions& options,
                 const std::vector<Token>& prompt, std::int64_t n_new, const std::string& strategy) {
  const auto policy = kvevict::make_policy(strategy);
  Meter meter;
  Session session(model, policy, options);
  static_cast<void>(prefill_prompt(session, prompt, {.n_new_tokens = n_new, .is_last = true}));
  cell.prefill = meter.lap();
  cell.n_held = session.stats().n_tokens_held;
  // The last token that `generate` returns is not decoded.
  static_cast<void>(session.generate({.max_new_tokens = n_new + 1, .stop_at_end_of_generation = false}));
  cell.decode = meter.lap();
}

void print_spent(const char* name, const Spent& spent) {
  std::printf("\"%s\": {\"wall\": %.4f, \"processor\": %.4f}, ", name, spent.wall, spent.processor);
}

int run(const std::vector<std::string>& arguments) {
  const std::string& mode = arguments.at(1);
  const auto model = Model::load({.path = arguments.at(2)});
  const std::vector<Token> prompt = first_tokens(*model, arguments.at(3), std::stoul(arguments.at(4)));
  if (mode == "ids") {
    print_ids(prompt);
    return 0;
  }
  const std::int64_t n_new = std::stol(arguments.at(5));
  SessionOptions options{.n_threads = std::stoi(arguments.at(6))};
  if (mode == "bounded") options.prefill = kvevict::PrefillMode::kBounded;
  Cell cell;
  set_limit();
  forget_peak();
  cell.bytes_loaded = kvevict::resident_bytes();
  if (mode == "plain") {
    run_plain(cell, model, options, prompt, n_new);
  } else {
    run_kvevict(cell, model, options, prompt, n_new, arguments.at(7));
  }
  std::printf("{");
  print_spent("prefill", cell.prefill);
  print_spent("decode", cell.decode);
  std::printf("\"held\": %ld, \"loaded_bytes\": %ld, \"peak_bytes\": %ld}\n", static_cast<long>(cell.n_held),
              static_cast<long>(cell.bytes_loaded), static_cast<long>(peak_bytes()));
  return 0;
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<std::string> arguments(argv, argv + argc);
  return run(arguments);
} catch (const std::out_of_range&) {
  std::cerr << "side_by_side_cell: an argument is missing\n";
  return 2;
} catch (const std::exception& error) {
  std::cerr << "side_by_side_cell: " << error.what() << "\n";
  return 1;
}
