#pragma once

#include <memory>
#include <string>

#include "serving/conversation_pool.h"
#include "serving/scheduler.h"

namespace kvevict::http {

/// What the server has done, in Prometheus' text format. Thread safety: any number of threads.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void count_request(int status);

  /// Between two tokens of an answer.
  void count_gap(double seconds);

  /// An answer that ended; `seconds_first` from its request to its first text, `seconds` to its end.
  void count_answer(const serving::ChatResult& result, double seconds_first, double seconds);

  [[nodiscard]] std::string text(const serving::SchedulerFigures& queue,
                                 const std::vector<serving::ConversationFigures>& conversations);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict::http
