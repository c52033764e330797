#include "experiments/perplexity_run.h"

#include <algorithm>
#include <cmath>

#include "base/atomic_file.h"
#include "base/stopwatch.h"
#include "engine/trained_context.h"
#include "kvevict/error.h"
#include "results/run_json.h"

namespace kvevict::eval {
namespace {

/// Sums log-probabilities by windows of tokens on the grid of their indices.
class WindowedPerplexity {
 public:
  WindowedPerplexity(std::int64_t n_window, PerplexityRun& run) : n_window_(n_window), run_(run) {}

  void count(double log_probability) {
    sum_ += log_probability;
    window_sum_ += log_probability;
    ++n_;
    ++n_in_window_;
    run_.perplexity = std::exp(-sum_ / static_cast<double>(n_));
  }

  void add(std::int64_t index, double log_probability) {
    count(log_probability);
    if ((index + 1) % n_window_ == 0) close(index + 1);
  }

  void close(std::int64_t n_tokens_seen) {
    if (n_in_window_ == 0) return;
    run_.windows.push_back({n_tokens_seen, std::exp(-window_sum_ / static_cast<double>(n_in_window_))});
    window_sum_ = 0;
    n_in_window_ = 0;
  }

 private:
  std::int64_t n_window_;
  PerplexityRun& run_;
  double sum_ = 0;
  double window_sum_ = 0;
  std::int64_t n_ = 0;
  std::int64_t n_in_window_ = 0;
};

/// The next `n` tokens; fewer at the text's end.
std::vector<Token> take_all(TokenStream& tokens, std::size_t n) {
  std::vector<Token> all;
  while (all.size() < n) {
    const auto part = tokens.take(n - all.size());
    if (part.empty()) break;
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

void run_perplexity(std::shared_ptr<const Model> model, const SessionOptions& options,
                    std::shared_ptr<const Policy> policy, TokenStream& tokens,
                    const PerplexitySettings& settings, PerplexityRun& run) {
  std::int64_t n_total = settings.n_total;
  const std::int64_t n_trained = context_limit(*model);
  const bool may_pass =
      !policy->keeps_all() && (options.positions != PositionMode::kAbsolute || options.past_trained_context);
  const bool is_limited = !may_pass && n_trained > 0 && n_total > n_trained;
  if (is_limited) n_total = n_trained;
  Session session(std::move(model), std::move(policy), options);
  run.positions = to_string(*session.options().positions);
  WindowedPerplexity perplexity(settings.n_window, run);
  const Stopwatch watch;
  while (run.n_tokens < n_total) {
    const auto chunk = tokens.take(
        static_cast<std::size_t>(std::min<std::int64_t>(options.n_chunk, n_total - run.n_tokens)));
    if (chunk.empty()) break;
    session.append(chunk, {.prefill = PrefillMode::kBounded,
                           .on_log_probability = [&](std::int64_t i, double p) { perplexity.add(i, p); }});
    const SessionStats stats = session.stats();
    run.n_tokens = stats.n_tokens_seen;
    run.n_tokens_held_peak = stats.n_tokens_held_peak;
    run.kv_bytes_peak = stats.kv_bytes_peak;
    run.seconds = watch.seconds();
  }
  perplexity.close(run.n_tokens);
  run.reached_trained_context = is_limited && run.n_tokens == n_total;
}

void run_one_shot_perplexity(std::shared_ptr<const Model> model, const SessionOptions& options,
                             std::shared_ptr<const Policy> policy, TokenStream& tokens,
                             const PerplexitySettings& settings, PerplexityRun& run) {
  const auto n_before = static_cast<std::size_t>(settings.n_before);
  const auto n_passage = n_before + static_cast<std::size_t>(settings.n_window);
  WindowedPerplexity perplexity(settings.n_window, run);
  const Stopwatch watch;
  while (run.n_tokens + static_cast<std::int64_t>(n_passage) <= settings.n_total) {
    const std::vector<Token> passage = take_all(tokens, n_passage);
    if (passage.size() < n_passage) break;
    const std::int64_t n_at = run.n_tokens;
    Session session(model, policy, options);
    run.positions = to_string(*session.options().positions);
    const std::span<const Token> all(passage);
    session.append(all.first(n_before - 1));
    session.evict({.n_upcoming = 1, .n_reserve = settings.n_window});
    session.append(all.subspan(n_before - 1, 1));
    session.append(all.last(passage.size() - n_before),
                   {.on_log_probability = [&](std::int64_t /*index*/, double p) { perplexity.count(p); }});
    const SessionStats stats = session.stats();
    run.n_tokens = n_at + stats.n_tokens_seen;
    perplexity.close(run.n_tokens);
    run.n_tokens_held_peak = std::max(run.n_tokens_held_peak, stats.n_tokens_held_peak);
    run.kv_bytes_peak = std::max(run.kv_bytes_peak, stats.kv_bytes_peak);
    run.seconds = watch.seconds();
  }
  if (run.windows.empty()) {
    throw Error(
        ErrorCode::kInvalidArgument,
        "the text is shorter than a passage of " + std::to_string(n_passage) +
            " tokens, those before the eviction and those that are judged: a longer text is needed, or "
            "fewer of them");
  }
}

void write_perplexity(const PerplexityText& text, const std::vector<PerplexityRun>& runs,
                      const std::filesystem::path& path) {
  nlohmann::ordered_json file = {{"schema", "kvevict-perplexity/1"},
                                 {"text", {{"name", text.name}, {"sha256", text.sha256}}},
                                 {"window", text.n_window}};
  if (text.n_before > 0) file["evict_at"] = text.n_before;
  file["runs"] = nlohmann::ordered_json::array();
  for (const PerplexityRun& run : runs) {
    nlohmann::ordered_json windows = nlohmann::ordered_json::array();
    for (const PerplexityWindow& window : run.windows) {
      windows.push_back({{"tokens_seen", window.n_tokens_seen}, {"perplexity", window.perplexity}});
    }
    file["runs"].push_back({{"run", run_json(run.info)},
                            {"positions", run.positions},
                            {"tokens", run.n_tokens},
                            {"perplexity", run.perplexity},
                            {"reached_trained_context", run.reached_trained_context},
                            {"tokens_held_peak", run.n_tokens_held_peak},
                            {"kv_bytes_peak", run.kv_bytes_peak},
                            {"seconds", run.seconds},
                            {"windows", std::move(windows)}});
  }
  write_file_atomically(path,
                        file.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace kvevict::eval
