#include "http/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

namespace kvevict::http {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds = {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300};
const prometheus::Histogram::BucketBoundaries kTokenSeconds = {0.003, 0.01, 0.03, 0.1, 0.3, 1, 3};

/// A counter that somebody else counts.
void raise(prometheus::Counter& counter, std::uint64_t count) {
  counter.Increment(static_cast<double>(count) - counter.Value());  // what is below 0 is left out
}

}  // namespace

struct Metrics::Impl {
  std::mutex mutex{};  // of what is set as it is asked for
  prometheus::Registry registry{};
  prometheus::Family<prometheus::Counter>& requests = prometheus::BuildCounter()
                                                          .Name("kvevict_requests_total")
                                                          .Help("Requests by their status")
                                                          .Register(registry);
  prometheus::Family<prometheus::Counter>& prompt_tokens =
      prometheus::BuildCounter()
          .Name("kvevict_prompt_tokens_total")
          .Help("Tokens of prompts: decoded, or seen before")
          .Register(registry);
  prometheus::Counter& n_cached = prompt_tokens.Add({{"from", "cache"}});
  prometheus::Counter& n_decoded = prompt_tokens.Add({{"from", "decoding"}});
  prometheus::Counter& n_made = prometheus::BuildCounter()
                                    .Name("kvevict_answer_tokens_total")
                                    .Help("Tokens of answers")
                                    .Register(registry)
                                    .Add({});
  prometheus::Counter& n_dropped =
      counter("kvevict_evictions_total", "Tokens that were evicted while answers were made");
  prometheus::Histogram& seconds_first = prometheus::BuildHistogram()
                                             .Name("kvevict_first_text_seconds")
                                             .Help("From a request to the first text of its answer")
                                             .Register(registry)
                                             .Add({}, kSeconds);
  prometheus::Histogram& seconds = prometheus::BuildHistogram()
                                       .Name("kvevict_answer_seconds")
                                       .Help("From a request to the end of its answer")
                                       .Register(registry)
                                       .Add({}, kSeconds);
  prometheus::Histogram& seconds_token = prometheus::BuildHistogram()
                                             .Name("kvevict_token_seconds")
                                             .Help("Between two tokens of an answer, each time")
                                             .Register(registry)
                                             .Add({}, kTokenSeconds);
  prometheus::Counter& n_steps = counter("kvevict_steps_total", "Batches of tokens of answers");
  prometheus::Counter& n_step_tokens =
      counter("kvevict_step_tokens_total", "Tokens in those batches, one of each answer under way");
  prometheus::Counter& n_chunks = counter("kvevict_prompt_chunks_total", "Chunks of prompts, between them");
  prometheus::Gauge& waiting = gauge("kvevict_requests_waiting", "Requests in the queue");
  prometheus::Gauge& running = gauge("kvevict_requests_running", "Requests that are answered");
  prometheus::Gauge& live = gauge("kvevict_conversations_live", "Conversations in memory");
  prometheus::Gauge& resting = gauge("kvevict_conversations_resting", "Conversations in the store alone");
  prometheus::Gauge& kept = gauge("kvevict_tokens_kept", "Tokens in the caches of live conversations");
  prometheus::Gauge& evicted = gauge("kvevict_tokens_evicted", "Tokens that live conversations dropped");
  prometheus::Gauge& cells = gauge("kvevict_kv_cells", "Cells of the caches of live conversations, a layer");
  prometheus::Gauge& bytes = gauge("kvevict_kv_bytes", "Bytes of K and V of live conversations");

  prometheus::Counter& counter(const char* name, const char* help) {
    return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add({});
  }
  prometheus::Gauge& gauge(const char* name, const char* help) {
    return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add({});
  }
};

Metrics::Metrics() : impl_(std::make_unique<Impl>()) {}
Metrics::~Metrics() = default;

void Metrics::count_request(int status) {
  impl_->requests.Add({{"status", std::to_string(status)}}).Increment();
}

void Metrics::count_answer(const serving::ChatResult& result, double seconds_first, double seconds) {
  const MessagesAnswer& answer = result.answer;
  impl_->n_cached.Increment(static_cast<double>(answer.n_cached));
  impl_->n_decoded.Increment(static_cast<double>(answer.n_new));
  impl_->n_made.Increment(static_cast<double>(answer.n_made));
  impl_->n_dropped.Increment(static_cast<double>(result.n_evicted));
  impl_->seconds_first.Observe(seconds_first);
  impl_->seconds.Observe(seconds);
}

void Metrics::count_gap(double seconds) {
  impl_->seconds_token.Observe(seconds);
}

std::string Metrics::text(const serving::SchedulerFigures& queue,
                          const std::vector<serving::ConversationFigures>& conversations) {
  double n_live = 0, n_kept = 0, n_evicted = 0, n_cells = 0, n_bytes = 0;
  for (const serving::ConversationFigures& one : conversations) {
    n_live += one.is_live ? 1 : 0;
    n_kept += static_cast<double>(one.n_kept);
    n_evicted += static_cast<double>(one.n_evicted);
    n_cells += static_cast<double>(one.n_cells);
    n_bytes += static_cast<double>(one.kv_bytes);
  }
  const std::lock_guard lock(impl_->mutex);
  impl_->waiting.Set(static_cast<double>(queue.n_waiting));
  impl_->running.Set(static_cast<double>(queue.n_running));
  raise(impl_->n_steps, queue.n_steps);
  raise(impl_->n_step_tokens, queue.n_step_tokens);
  raise(impl_->n_chunks, queue.n_chunks);
  impl_->live.Set(n_live);
  impl_->resting.Set(static_cast<double>(conversations.size()) - n_live);
  impl_->kept.Set(n_kept);
  impl_->evicted.Set(n_evicted);
  impl_->cells.Set(n_cells);
  impl_->bytes.Set(n_bytes);
  return prometheus::TextSerializer().Serialize(impl_->registry.Collect());
}

}  // namespace kvevict::http
