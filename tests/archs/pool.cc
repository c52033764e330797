#include "archs/pool.h"

#include <optional>

#include "archs/reference.h"
#include "engine/session_snapshot.h"
#include "kvevict/error.h"
#include "kvevict/session_pool.h"

namespace kvevict::test {
namespace {

/// A session of the pool, and llama.cpp alone with the same tokens.
struct Pair {
  Session session;
  PlainLlama plain;
  std::vector<Token> text;
  std::int64_t n_done = 0;

  Pair(SessionPool& pool, const std::shared_ptr<const Model>& model, const char* strategy)
      : session(pool.open(make_policy(strategy))), plain(*model, exact_options(), kCells) {}
};

/// The next `n_tokens[i]` tokens of each.
void go_on_together(std::span<Pair> pairs, const std::vector<std::int64_t>& n_tokens,
                    LargestDifference& difference, const char* when) {
  std::vector<SessionTokens> all;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Pair& pair = pairs[i];
    const auto tokens = std::span(pair.text).subspan(static_cast<std::size_t>(pair.n_done),
                                                     static_cast<std::size_t>(n_tokens[i]));
    all.push_back({&pair.session, tokens});
    if (!tokens.empty()) pair.plain.decode(tokens, pair.n_done);
    pair.n_done += n_tokens[i];
  }
  Session::append_each(all);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    if (n_tokens[i] > 0) difference.compare(pairs[i].session.logits(), pairs[i].plain.logits(), when);
  }
}

/// Evicts, if the model can, and takes the same cells away from llama.cpp alone.
void evict(Pair& pair) {
  try {
    const EvictionReport report = pair.session.evict();
    if (report.n_removed > 0) remove_all_but(pair.plain, report.kept.layer(0), pair.n_done);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnsupported) throw;  // else that is the column one_shot's to say
  }
}

}  // namespace

void check_pool(const std::shared_ptr<const Model>& model, LargestDifference& difference) {
  SessionOptions options = exact_options();
  options.positions = PositionMode::kAbsolute;
  SessionPool pool(model, options, {.n_sessions = 4, .n_cells = kCells});
  const bool can_evict = !model->info().cache_layers.empty();
  const char* const strategies[] = {"full", can_evict ? kScattered : "full", "full"};
  std::vector<Pair> pairs;
  for (const char* const strategy : strategies) {
    pairs.emplace_back(pool, model, strategy);
    pairs.back().text = made_up_tokens(*model, kPrompt + 16 + std::ssize(pairs));
    pairs.back().text.erase(pairs.back().text.begin(), pairs.back().text.begin() + std::ssize(pairs));
  }
  go_on_together(pairs, {kPrompt, kPrompt, 0}, difference, "after two prompts in one batch");
  evict(pairs[1]);
  for (int step = 0; step < 3; ++step)
    go_on_together(pairs, {1, 1, 30}, difference, "beside the prompt of another session");
  pairs[1].session = pool.restore(make_policy(strategies[1]), pairs[1].session.snapshot());
  for (int step = 0; step < 3; ++step)
    go_on_together(pairs, {1, 1, 1}, difference, "after a session went on in another place");
}

}  // namespace kvevict::test
