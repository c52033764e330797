// pool_bench MODEL.gguf [THREADS [SESSIONS HELD]]: what a step of several answers costs in each way to hold
// their caches.
//
// N sequences of H held tokens each get a token: by a SessionPool (one batch, cells of their own), by
// sessions that share the cells of one context (one batch, as forks are), and by sessions with contexts of
// their own (N calls). Milliseconds of a step: the least and the median. f16 K and V, nothing is evicted.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "kvevict/session_pool.h"

namespace {

using kvevict::Session;
using kvevict::SessionOptions;
using kvevict::Token;

constexpr std::int64_t kSteps = 15;

struct Times {
  double least = 0;
  double median = 0;
};

Token token_at(std::int64_t i, const kvevict::Model& model) {
  return static_cast<Token>((i * 7919 + 13) % model.info().n_vocab);
}

void prefill(std::vector<Session>& sessions, std::int64_t n_held) {
  for (std::size_t s = 0; s < sessions.size(); ++s) {
    std::vector<Token> tokens;
    for (std::int64_t i = 0; i < n_held - kSteps; ++i)
      tokens.push_back(token_at(i + static_cast<std::int64_t>(1000 * s), sessions[s].model()));
    sessions[s].append(tokens);
  }
}

template <typename Step>
Times timed(const Step& step) {
  std::vector<double> ms;
  for (std::int64_t i = 0; i < kSteps; ++i) {
    const kvevict::Stopwatch watch;
    step(i);
    ms.push_back(1000 * watch.seconds());
  }
  std::sort(ms.begin(), ms.end());
  return {ms.front(), ms[ms.size() / 2]};
}

Times in_one_batch(std::vector<Session> sessions, std::int64_t n_held) {
  prefill(sessions, n_held);
  std::vector<Session*> pointers;
  for (Session& session : sessions) pointers.push_back(&session);
  return timed([&](std::int64_t i) {
    Session::append_each(pointers, std::vector<Token>(pointers.size(), token_at(i, sessions[0].model())));
  });
}

Times one_by_one(std::vector<Session> sessions, std::int64_t n_held) {
  prefill(sessions, n_held);
  return timed([&](std::int64_t i) {
    const Token token = token_at(i, sessions[0].model());
    for (Session& session : sessions) session.append({&token, 1});
  });
}

/// A strategy under which a session of `n_held` tokens drops 100 at the next token.
std::string packing(std::int64_t n_held) {
  return "streaming_llm:4:" + std::to_string(n_held - kSteps - 104);
}

std::vector<Session> alone(const std::shared_ptr<const kvevict::Model>& model, const SessionOptions& options,
                           int n, std::int64_t n_held, const std::string& strategy = "full") {
  std::vector<Session> sessions;
  for (int i = 0; i < n; ++i) {
    sessions.emplace_back(model, kvevict::make_policy(strategy), options);
    sessions.back().reserve(n_held);
  }
  return sessions;
}

/// A step before which one session evicts and packs its positions; the keys are turned within the step.
double packing_step(std::vector<Session> sessions, std::int64_t n_held, bool is_pooled) {
  prefill(sessions, n_held);
  std::vector<double> ms;
  for (Session& packed : sessions) {
    std::vector<Session*> pointers;
    for (Session& session : sessions) pointers.push_back(&session);
    const kvevict::Stopwatch watch;
    packed.make_room();
    if (is_pooled) {
      Session::append_each(pointers, std::vector<Token>(pointers.size(), 1));
    } else {
      const Token token = 1;
      for (Session& session : sessions) session.append({&token, 1});
    }
    ms.push_back(1000 * watch.seconds());
  }
  std::sort(ms.begin(), ms.end());
  return ms[ms.size() / 2];
}

/// Sessions of one context whose cells are for all of them: forks that have nothing in common.
std::vector<Session> sharing(const std::shared_ptr<const kvevict::Model>& model, SessionOptions options,
                             int n, std::int64_t n_held) {
  options.n_sequences = n;
  std::vector<Session> sessions = alone(model, options, 1, n * n_held);
  for (int i = 1; i < n; ++i) sessions.push_back(sessions.front().fork());
  return sessions;
}

/// In `pool`, which outlives them.
std::vector<Session> opened(kvevict::SessionPool& pool, const std::string& strategy) {
  std::vector<Session> sessions;
  for (int i = 0; i < pool.n_sessions(); ++i) sessions.push_back(pool.open(kvevict::make_policy(strategy)));
  return sessions;
}

void print_row(const std::shared_ptr<const kvevict::Model>& model, const SessionOptions& options, int n,
               std::int64_t n_held) {
  Times pooled;
  double pooled_packing = 0;
  {
    kvevict::SessionPool pool(model, options, {.n_sessions = n, .n_cells = n_held});
    pooled = in_one_batch(opened(pool, "full"), n_held);
    pooled_packing = packing_step(opened(pool, packing(n_held)), n_held, true);
  }
  const Times shared = in_one_batch(sharing(model, options, n, n_held), n_held);
  const Times separate = one_by_one(alone(model, options, n, n_held), n_held);
  const double separate_packing =
      packing_step(alone(model, options, n, n_held, packing(n_held)), n_held, false);
  std::printf("| %d | %4lld | %6.1f / %6.1f | %6.1f / %6.1f | %6.1f / %6.1f | %6.1f | %6.1f |\n", n,
              static_cast<long long>(n_held), pooled.least, pooled.median, shared.least, shared.median,
              separate.least, separate.median, pooled_packing, separate_packing);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3 && argc != 5) {
    std::fprintf(stderr, "usage: pool_bench MODEL.gguf [THREADS [SESSIONS HELD]]\n");
    return 2;
  }
  try {
    SessionOptions options;
    options.n_threads = options.n_threads_batch = argc > 2 ? std::atoi(argv[2]) : 1;
    const auto model = kvevict::Model::load({.path = argv[1]});
    std::printf("ms a step, least / median of %lld; %d threads\n", static_cast<long long>(kSteps),
                options.n_threads);
    std::printf(
        "| sessions | held | pool | shared cells | one after another | pool, one packs | one after another, "
        "one packs |\n|---|---|---|---|---|---|---|\n");
    if (argc == 5) {
      print_row(model, options, std::atoi(argv[3]), std::atoi(argv[4]));
      return 0;
    }
    for (const std::int64_t n_held : {512, 1024}) {
      for (const int n : {1, 4, 8}) print_row(model, options, n, n_held);
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pool_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
