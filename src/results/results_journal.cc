#include "results/results_journal.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kvevict/error.h"
#include "results/results_json.h"

namespace kvevict::eval {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void throw_io(const fs::path& path, const char* what, const std::string& why) {
  throw Error(ErrorCode::kIo, std::string("cannot ") + what + " " + path.string() + ": " + why);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json parse_line(const std::string& line, const std::string& place) {
  try {
    return Json::parse(line);
  } catch (const Json::parse_error&) {
    throw Error(ErrorCode::kBadData,
                place + " is not valid JSON: the journal was changed by hand; remove it to start anew");
  }
}

/// Puts an example where it belongs among what was read so far.
void add_example(Results& results, const JsonReader& line) {
  const std::string name = line.member("run").text();
  const auto run = std::find_if(results.runs.begin(), results.runs.end(),
                                [&](const auto& r) { return r.info.name == name; });
  if (run == results.runs.end()) line.refuse("the run " + name + " is not one of the first line's");
  const std::string dataset_name = line.member("dataset").text();
  auto dataset = std::find_if(run->datasets.begin(), run->datasets.end(),
                              [&](const auto& d) { return d.name == dataset_name; });
  if (dataset == run->datasets.end()) {
    dataset = run->datasets.insert(run->datasets.end(), DatasetResult{.name = dataset_name, .examples = {}});
  }
  dataset->examples.push_back(example_from(line.member("example")));
  run->info.seconds_total = line.member("seconds_total").number();
  if (line.has("prompt"))
    results.prompts[dataset->examples.back().prompt_sha256] = line.member("prompt").text();
}

}  // namespace

fs::path ResultsJournal::path_for(const fs::path& output) {
  return output.string() + ".journal";
}

ResultsJournal::ResultsJournal(fs::path path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) throw_io(path_, "write", std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    const int error = errno;
    ::close(descriptor_);
    throw_io(path_, "write", error == EWOULDBLOCK ? "another run is writing it" : std::strerror(error));
  }
  struct stat status {};
  if (::fstat(descriptor_, &status) == 0) n_bytes_ = status.st_size;
}

ResultsJournal::~ResultsJournal() {
  if (descriptor_ < 0) return;
  if (n_bytes_ == 0) ::unlink(path_.c_str());
  ::close(descriptor_);
}

std::optional<Results> ResultsJournal::read() {
  std::string text(static_cast<std::size_t>(n_bytes_), '\0');
  for (std::size_t at = 0; at < text.size();) {
    const ssize_t n = ::pread(descriptor_, text.data() + at, text.size() - at, static_cast<off_t>(at));
    if (n <= 0) throw_io(path_, "read", n == 0 ? "it became shorter" : std::strerror(errno));
    at += static_cast<std::size_t>(n);
  }
  const std::size_t last = text.rfind('\n');
  text.resize(last == std::string::npos ? 0 : last + 1);
  n_bytes_ = static_cast<std::int64_t>(text.size());
  if (::ftruncate(descriptor_, n_bytes_) != 0) throw_io(path_, "write", std::strerror(errno));
  std::optional<Results> results;
  std::int64_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t stop = text.find('\n', at);
    const std::string place = path_.string() + ", line " + std::to_string(++number);
    const Json json = parse_line(text.substr(at, stop - at), place);
    if (results) {
      add_example(*results, JsonReader(json, place));
    } else {
      results = results_from(JsonReader(json, place));
    }
    at = stop + 1;
  }
  if (results) {
    for (const auto& prompt : results->prompts) has_prompt_[prompt.first] = true;
  }
  return results;
}

void ResultsJournal::clear() {
  if (::ftruncate(descriptor_, 0) != 0) throw_io(path_, "write", std::strerror(errno));
  n_bytes_ = 0;
}

void ResultsJournal::start(const Results& results) {
  write_line(dump(results_json(results)));
  for (const auto& prompt : results.prompts) has_prompt_[prompt.first] = true;
}

void ResultsJournal::append(const std::string& run, const std::string& dataset, const ExampleResult& example,
                            const std::string& prompt, double seconds_total) {
  Json line = {{"run", run},
               {"dataset", dataset},
               {"seconds_total", seconds_total},
               {"example", example_json(example)}};
  if (!has_prompt_[example.prompt_sha256]) line["prompt"] = prompt;
  write_line(dump(line));
  has_prompt_[example.prompt_sha256] = true;
}

void ResultsJournal::remove() {
  ::unlink(path_.c_str());
  ::close(descriptor_);
  descriptor_ = -1;
}

void ResultsJournal::write_line(const std::string& line) {
  for (std::size_t at = 0; at < line.size();) {
    const auto offset = static_cast<off_t>(n_bytes_ + static_cast<std::int64_t>(at));
    const ssize_t n = ::pwrite(descriptor_, line.data() + at, line.size() - at, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const std::string why = std::strerror(errno);
      static_cast<void>(::ftruncate(descriptor_, n_bytes_) ==
                        0);  // a torn line would be cut off later all the same
      throw_io(path_, "write", why);
    }
    at += static_cast<std::size_t>(n);
  }
  n_bytes_ += static_cast<std::int64_t>(line.size());
  if (::fdatasync(descriptor_) != 0) throw_io(path_, "write", std::strerror(errno));
}

}  // namespace kvevict::eval
