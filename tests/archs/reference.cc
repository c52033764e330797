#include "archs/reference.h"

#include <algorithm>
#include <string>

#include "engine/model_traits.h"
#include "kvevict/bounded_schedule.h"

namespace kvevict::test {

std::vector<Token> made_up_tokens(const Model& model, std::int64_t n) {
  const std::int64_t n_vocab = std::min(model.info().n_vocab, 128);
  std::vector<Token> tokens;
  for (std::int64_t i = 0; i < n; ++i) tokens.push_back(static_cast<Token>((i * 37 + i / 7 + 1) % n_vocab));
  return tokens;
}

SessionOptions exact_options() {
  SessionOptions options;
  options.flash_attention = FlashAttention::kOff;
  options.type_k = options.type_v = KvType::kF32;
  options.n_chunk = 32;
  options.n_threads = options.n_threads_batch = 1;
  return options;
}

void remove_all_but(PlainLlama& plain, const KeepSet& kept, std::int64_t n_tokens) {
  kept.for_each_removed(n_tokens, [&](TokenRange range) {
    if (!plain.remove(range.begin, range.end))
      throw WrongResult("llama.cpp alone does not remove these tokens from its memory");
  });
}

void pack(PlainLlama& plain, const KeepSet& kept, std::int64_t n_tokens) {
  remove_all_but(plain, kept, n_tokens);
  std::int64_t place = 0;
  for (const TokenRange& range : kept.ranges()) {
    if (range.begin != place) plain.shift(range.begin, range.end, place - range.begin);
    place += range.count();
  }
}

std::int64_t replay(PlainLlama& plain, const Policy& policy, std::span<const Token> text,
                    const SessionOptions& options) {
  const bool is_packed = options.positions == PositionMode::kPacked;
  KeepSet before;  // original indices in the cache
  std::int64_t next = 0;
  for_each_bounded_chunk(policy, static_cast<std::int64_t>(text.size()), options.n_chunk, 0,
                         [&](const BoundedChunk& chunk) {
                           const KeepSet& kept = chunk.cached.layer(0);
                           if (is_packed) {
                             std::vector<std::int64_t> places;  // of those that stay, among those held
                             const std::vector<std::int64_t> held = before.to_indices();
                             for (std::size_t i = 0; i < held.size(); ++i) {
                               if (kept.contains(held[i])) places.push_back(static_cast<std::int64_t>(i));
                             }
                             pack(plain, KeepSet::from_indices(places), before.count());
                             next = kept.count();
                           } else {
                             const KeepSet gone = before.subtract(kept);
                             remove_all_but(plain, KeepSet::all(before.end()).subtract(gone), before.end());
                             next = chunk.tokens.begin;
                           }
                           const auto n = static_cast<std::size_t>(chunk.tokens.count());
                           plain.decode(text.subspan(static_cast<std::size_t>(chunk.tokens.begin), n), next);
                           next += chunk.tokens.count();
                           before = kept;
                           before.append(chunk.tokens.begin, chunk.tokens.end);
                         });
  return next;
}

void expect_count(const Session& session) {
  if (session.count_occupied_cells() == session.stats().n_tokens_held) return;
  throw WrongResult("llama.cpp holds " + std::to_string(session.count_occupied_cells()) +
                    " cells and the record says " + std::to_string(session.stats().n_tokens_held));
}

void check_stream(const std::shared_ptr<const Model>& model, const char* strategy, PositionMode positions,
                  PositionMode reference, LargestDifference& difference) {
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
  options.positions = reference;
  replay(plain, *policy, text, options);
  difference.compare(session.logits(), plain.logits(), "after the text");
}

void go_on(Session& session, PlainLlama& plain, std::span<const Token> tokens, std::int64_t position,
           LargestDifference& difference, const char* when) {
  std::size_t from = 0;
  while (from < tokens.size()) {
    const auto part = tokens.subspan(from, from == 0 ? std::min<std::size_t>(3, tokens.size()) : 1);
    session.append(part);
    plain.decode(part, position + static_cast<std::int64_t>(from));
    difference.compare(session.logits(), plain.logits(), when);
    from += part.size();
  }
}

void check_choice(const std::shared_ptr<const Model>& model, const char* strategy,
                  LargestDifference& difference, const char* when) {
  const std::vector<Token> text = made_up_tokens(*model, kPrompt + 8);
  SessionOptions options = exact_options();
  options.positions = PositionMode::kAbsolute;
  Session session(model, make_policy(strategy), options);
  PlainLlama plain(*model, options, kCells);
  session.append(std::span(text).first(kPrompt));
  plain.decode(std::span(text).first(kPrompt), 0);
  const EvictionReport report = session.evict({.n_reserve = 8});
  if (session.count_occupied_cells() != 40 || report.kept.count() != 40)
    throw WrongResult(std::string(strategy) + " holds " + std::to_string(session.count_occupied_cells()) +
                      " tokens, not 40");
  remove_all_but(plain, report.kept.layer(0), kPrompt);
  // Token by token: a session that records the last queries computes them in batches of their own, and what
  // some of llama.cpp's graphs give (cogvlm) depends on the batch.
  for (std::int64_t i = kPrompt; i < kPrompt + 8; ++i)
    go_on(session, plain, std::span(text).subspan(static_cast<std::size_t>(i), 1), i, difference, when);
}

}  // namespace kvevict::test
