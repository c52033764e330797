#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "results/results.h"

namespace kvevict::eval {

/// The results of a run on the disk while it goes on, beside the file that they will be folded into. JSONL:
/// the first line is a results file (what is asked for, and what was done before), each further one an
/// answered example. A run that is killed at any point loses nothing that was appended.
///
/// Owner: holds a lock on the file, which ends with the process. Not copyable; one thread at a time.
class ResultsJournal {
 public:
  /// `<output>.journal`
  [[nodiscard]] static std::filesystem::path path_for(const std::filesystem::path& output);

  /// Opens or makes the file and locks it. Errors: kIo, also if another process holds the lock.
  explicit ResultsJournal(std::filesystem::path path);
  /// Removes a file that nothing was written to.
  ~ResultsJournal();
  ResultsJournal(const ResultsJournal&) = delete;
  ResultsJournal& operator=(const ResultsJournal&) = delete;

  /// What the file holds; nothing if it holds no whole line. A last line that was not finished is cut off.
  /// Errors: kIo, kBadData naming the line.
  [[nodiscard]] std::optional<Results> read();

  /// Forgets what the file holds. Errors: kIo.
  void clear();

  /// Makes `results` the first line. REQUIRES: `read` gave nothing.
  void start(const Results& results);

  /// Adds an example of the run named `run`, and its prompt if no line has it yet. On an error the
  /// file is as it was. Errors: kIo.
  void append(const std::string& run, const std::string& dataset, const ExampleResult& example,
              const std::string& prompt, double seconds_total);

  /// The results are elsewhere: removes the file.
  void remove();

 private:
  void write_line(const std::string& line);

  std::filesystem::path path_;
  int descriptor_ = -1;
  std::int64_t n_bytes_ = 0;
  std::map<std::string, bool> has_prompt_;
};

}  // namespace kvevict::eval
