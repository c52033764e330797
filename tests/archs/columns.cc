#include "archs/columns.h"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>

#include "archs/layers.h"
#include "archs/reference.h"
#include "archs/scores.h"
#include "engine/model_traits.h"
#include "kvevict/error.h"
#include "kvevict/session.h"
#include "kvevict/session_file.h"

namespace kvevict::test {
namespace fs = std::filesystem;
namespace {

using ModelPtr = std::shared_ptr<const Model>;

constexpr const char* kScattered = "sink_recent_uniform:4:20:16:block=4";
constexpr std::uint32_t kCells = 256;

void expect_count(const Session& session) {
  if (session.count_occupied_cells() == session.stats().n_tokens_held) return;
  throw WrongResult("llama.cpp holds " + std::to_string(session.count_occupied_cells()) +
                    " cells and the record says " + std::to_string(session.stats().n_tokens_held));
}

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

/// A text through a bounded session and through the same schedule of llama.cpp's own calls.
void check_stream(const ModelPtr& model, const char* strategy, PositionMode positions,
                  LargestDifference& difference) {
  const bool may_go_on = !has_learned_positions(model->handle());
  const std::vector<Token> text = made_up_tokens(*model, may_go_on ? kText : model->info().n_context_trained);
  SessionOptions options = exact_options();
  options.prefill = PrefillMode::kBounded;
  options.past_trained_context = may_go_on;
  options.positions = positions;
  const auto policy = make_policy(strategy);
  Session session(model, policy, options);
  PlainLlama plain(*model, options, kCells);
  session.append(text);
  expect_count(session);
  replay(plain, *policy, text, options);
  difference.compare(session.logits(), plain.logits(), "after the text");
}

void check_bounded(const ModelPtr& model, LargestDifference& difference) {
  check_stream(model, kScattered, PositionMode::kAbsolute, difference);
}

/// llama.cpp itself cannot move the keys of this model. If everything moves by as much, nothing changes.
void check_packed_by_distance(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  SessionOptions options = exact_options();
  options.positions = PositionMode::kPacked;
  Session session(model, make_policy("sink_recent:0:40"), options);
  PlainLlama plain(*model, options, kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  expect_count(session);
  if (session.record().front().first_position != 0) throw WrongResult("the positions were not packed");
  remove_all_but(plain, report.kept.layer(0), kPrompt);
  go_on(session, plain, std::span(text).subspan(kPrompt), kPrompt, difference, "after everything moved");
}

void check_packed(const ModelPtr& model, LargestDifference& difference) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  SessionOptions options = exact_options();
  options.positions = PositionMode::kPacked;
  Session session(model, make_policy(kScattered), options);
  session.append(std::span(text).first(kPrompt));
  PlainLlama plain(*model, options, kCells);
  if (!plain.can_shift()) {
    check_packed_by_distance(model, difference);
    return;
  }
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  expect_count(session);
  pack(plain, report.kept.layer(0), kPrompt);
  go_on(session, plain, std::span(text).subspan(kPrompt), report.kept.count(), difference,
        "after the eviction");
  check_stream(model, kScattered, PositionMode::kPacked, difference);
  check_stream(model, "streaming_llm:4:36", PositionMode::kPacked, difference);
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
  for (const char* strategy : {"full", kScattered}) {
    PlainLlama plain(*model, options, kCells);
    plain.decode(text, 0);
    if (strategy != std::string("full") && !model->info().reason_not_evictable.empty()) return;
    Session session(model, make_policy(strategy), options);
    session.append(text);
    remove_all_but(plain, session.evict().kept.layer(0), kPrompt);
    check_loaded(model, session, plain, difference, "in the session that was saved and loaded");
  }
}

constexpr std::array<Column, 8> kColumns{{{"full", check_full},
                                          {"one_shot", check_one_shot},
                                          {"bounded", check_bounded},
                                          {"packed", check_packed},
                                          {"ladder", check_layers},
                                          {"scores", check_scores},
                                          {"fork", check_fork},
                                          {"snapshot", check_snapshot}}};

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
