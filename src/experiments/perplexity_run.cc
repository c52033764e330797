#include "experiments/perplexity_run.h"

#include <algorithm>
#include <cmath>

#include "base/atomic_file.h"
#include "base/stopwatch.h"
#include "engine/trained_context.h"
#include "results/run_json.h"

namespace kvevict::eval {
namespace {

/// Sums log-probabilities by windows of tokens on the grid of their indices.
class WindowedPerplexity {
 public:
  WindowedPerplexity(std::int64_t n_window, PerplexityRun& run) : n_window_(n_window), run_(run) {}

  void add(std::int64_t index, double log_probability) {
    sum_ += log_probability;
    window_sum_ += log_probability;
    ++n_;
    ++n_in_window_;
    run_.perplexity = std::exp(-sum_ / static_cast<double>(n_));
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

void write_perplexity(const PerplexityText& text, const std::vector<PerplexityRun>& runs,
                      const std::filesystem::path& path) {
  nlohmann::ordered_json file = {{"schema", "kvevict-perplexity/1"},
                                 {"text", {{"name", text.name}, {"sha256", text.sha256}}},
                                 {"window", text.n_window},
                                 {"runs", nlohmann::ordered_json::array()}};
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
