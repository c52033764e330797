#include "archs/columns.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <optional>
#include <string>

#include "archs/keys.h"
#include "archs/layers.h"
#include "archs/packed.h"
#include "archs/pool.h"
#include "archs/reference.h"
#include "archs/scores.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "kvevict/session_file.h"

namespace kvevict::test {
namespace fs = std::filesystem;
namespace {

using ModelPtr = std::shared_ptr<const Model>;

void check_full(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  Session session(model, make_policy("full"), exact_options());
  PlainLlama plain(*model, exact_options(), kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  difference.compare(session.logits(), plain.logits(), "after the prompt");
  go_on(session, plain, std::span(text).subspan(kPrompt), kPrompt, difference, "while it goes on");
}

void check_one_shot(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  SessionOptions options = exact_options();
  options.positions = PositionMode::kAbsolute;
  Session session(model, make_policy(kScattered), options);
  PlainLlama plain(*model, options, kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  expect_count(session);
  remove_all_but(plain, report.kept.layer(0), kPrompt);
  go_on(session, plain, std::span(text).subspan(kPrompt), kPrompt, difference, "after the eviction");
}

void check_bounded(const ModelPtr& model, LargestDifference& difference) {
  check_stream(model, kScattered, PositionMode::kAbsolute, PositionMode::kAbsolute, difference);
}

void check_fork(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 16);
  const auto prompt = std::span(text).first(kPrompt);
  const auto first = std::span(text).subspan(kPrompt, 8);
  const auto second = std::span(text).subspan(kPrompt + 8, 8);
  SessionOptions options = exact_options();
  options.n_sequences = 2;
  Session session(model, make_policy("full"), options);
  session.append(prompt);
  Session fork = session.fork();
  for (const bool is_fork : {true, false}) {
    PlainLlama plain(*model, exact_options(), kCells);
    plain.decode(prompt, 0);
    go_on(is_fork ? fork : session, plain, is_fork ? second : first, kPrompt, difference,
          is_fork ? "in the fork" : "in the session that was forked");
  }
}

/// A file for this process alone, gone at the end.
class OwnFile {
 public:
  ~OwnFile() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  OwnFile() = default;
  OwnFile(const OwnFile&) = delete;
  OwnFile& operator=(const OwnFile&) = delete;
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }

 private:
  fs::path path_ = fs::temp_directory_path() / ("kvevict-architecture-" + std::to_string(getpid()));
};

/// Goes on from a file that `session` was saved to once it had seen the prompt.
void check_loaded(const ModelPtr& model, Session& session, PlainLlama& plain, LargestDifference& difference,
                  const char* when) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  const OwnFile file;
  save_session(session, file.path());
  Session again = load_session(model, file.path(), session.options()).session;
  expect_count(again);
  go_on(again, plain, std::span(text).subspan(kPrompt), kPrompt, difference, when);
}

void check_snapshot(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt);
  SessionOptions options = exact_options();
  options.positions = PositionMode::kAbsolute;
  for (const bool evicts : {false, true}) {
    PlainLlama plain(*model, options, kCells);
    plain.decode(text, 0);
    std::optional<Session> session;
    try {
      session.emplace(model, make_policy(evicts ? kScattered : "full"), options);
      session->append(text);
      if (evicts) remove_all_but(plain, session->evict().kept.layer(0), kPrompt);
    } catch (const Error& error) {
      if (!evicts || error.code() != ErrorCode::kUnsupported) throw;
      return;  // a refusal to evict is the column one_shot's to say
    }
    check_loaded(model, *session, plain, difference,
                 evicts ? "in a session saved after an eviction" : "in a saved session");
  }
}

constexpr std::array<Column, 10> kColumns{{{"full", check_full},
                                           {"one_shot", check_one_shot},
                                           {"bounded", check_bounded},
                                           {"packed", check_packed},
                                           {"ladder", check_layers},
                                           {"scores", check_scores},
                                           {"keys", check_keys},
                                           {"fork", check_fork},
                                           {"saved", check_snapshot},
                                           {"pool", check_pool}}};

}  // namespace

std::span<const Column> all_columns() noexcept {
  return kColumns;
}

double effect_of_eviction(const Model& model) {
  const std::vector<Token> text = made_up_tokens(model, kPrompt + 3);
  PlainLlama whole(model, exact_options(), kCells);
  PlainLlama evicted(model, exact_options(), kCells);
  for (PlainLlama* plain : {&whole, &evicted}) {
    plain->decode(std::span(text).first(kPrompt), 0);
    PolicyState state;
    if (plain == &evicted)
      remove_all_but(*plain, make_policy(kScattered)->plan(kPrompt, state).layer(0), kPrompt);
    plain->decode(std::span(text).subspan(kPrompt), kPrompt);
  }
  return relative_difference(evicted.logits(), whole.logits());
}

}  // namespace kvevict::test
