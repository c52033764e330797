// One question: by one strategy alone, or by several from one prefill.
#include <algorithm>
#include <optional>

#include "base/stopwatch.h"
#include "base/units.h"
#include "engine/kv_size.h"
#include "engine/trained_context.h"
#include "experiments/answer_decoding.h"
#include "experiments/longbench_runner.h"
#include "kvevict/memory.h"
#include "runtime/prompt_prefill.h"
#include "text/hashes.h"

namespace kvevict::eval {
namespace {

ExampleResult describe(const PreparedPrompt& prompt) {
  ExampleResult result;
  result.n_prompt_tokens = static_cast<std::int64_t>(prompt.tokens.size());
  result.n_prompt_tokens_before_cut = prompt.n_tokens_before_cut;
  result.is_truncated = prompt.is_truncated;
  result.used_chat_template = prompt.uses_chat_template;
  result.prompt_sha256 = sha256_hex(prompt.text);
  return result;
}

void set_kept(ExampleResult& result, const KeepPlan& kept) {
  result.kept_ranges = kept.by_layer();
  result.n_kept_tokens = kept.count();
  result.n_evicted_tokens = result.n_prompt_tokens - result.n_kept_tokens;
}

void set_answer(ExampleResult& result, const AnswerLine& line) {
  result.n_generated_tokens = static_cast<std::int64_t>(line.tokens.size());
  result.prediction = line.session.model().detokenize(line.tokens);
}

AnswerSettings answer_settings(const PreparedPrompt& prompt, const ExampleSettings& settings) {
  return {.n_new_tokens = settings.prompt.n_new_tokens,
          .sampling = settings.sampling,
          .stops_at_newline = settings.stops_at_newline,
          .evicts = prompt.n_question_tokens == 0};
}

/// Last prompt tokens that the plan counts and that are decoded after it.
std::int64_t n_after_eviction(const PreparedPrompt& prompt, const ExampleSettings& settings) {
  return prompt.n_question_tokens == 0 && settings.first_token == FirstToken::kEvicted ? 1 : 0;
}

/// Last prompt tokens that are decoded after the eviction.
std::size_t n_last(const PreparedPrompt& prompt, const ExampleSettings& settings) {
  return static_cast<std::size_t>(prompt.n_question_tokens + n_after_eviction(prompt, settings));
}

/// K and V of a session of its own after the eviction.
std::int64_t own_kv_bytes(const RunStrategy& strategy, const ExampleResult& result,
                          const PreparedPrompt& prompt, const ExampleSettings& settings, const Model& model) {
  SessionOptions options = settings.session;
  options.positions = strategy.positions;
  options.prefill = PrefillMode::kFull;
  if (prompt.n_question_tokens > 0)
    return kv_bytes_of(model, options, padded_cells(result.n_kept_tokens + settings.prompt.n_new_tokens));
  return memory_needed(
             model, *strategy.policy, options,
             {result.n_prompt_tokens, settings.prompt.n_new_tokens, n_after_eviction(prompt, settings)})
      .kv_bytes_after;
}

/// A strategy's session right after its eviction, and what is known of it so far.
struct Begun {
  AnswerLine line;
  ExampleResult result;
};

Begun begin(SharedPrefill& shared, const RunStrategy& strategy, const PreparedPrompt& prompt,
            ExampleResult result, bool is_single, const ExampleSettings& settings) {
  const std::int64_t n_more = prompt.n_question_tokens + settings.prompt.n_new_tokens;
  const Stopwatch watch;
  Begun begun{.line = {.session = shared.session(strategy.policy)}, .result = std::move(result)};
  Session& session = begun.line.session;
  KeepPlan kept = session.evict({.n_upcoming = n_after_eviction(prompt, settings), .n_reserve = n_more}).kept;
  if (prompt.n_question_tokens > 0)
    kept.append(begun.result.n_prompt_tokens - prompt.n_question_tokens, begun.result.n_prompt_tokens);
  set_kept(begun.result, kept);
  const std::int64_t kv_bytes = own_kv_bytes(strategy, begun.result, prompt, settings, session.model());
  const std::int64_t n_cells = kv_bytes > 0 ? cells_within(session.model(), session.options(), kv_bytes) : 0;
  if (is_single) session.detach(std::max<std::int64_t>(n_cells - session.stats().n_tokens_held, 0));
  begun.result.seconds_eviction = watch.seconds();
  const bool is_own = is_single || strategy.positions == PositionMode::kPacked ||
                      strategy.policy->score_request() || strategy.policy->is_per_layer();
  begun.result.kv_bytes_after_eviction = is_own ? session.stats().kv_bytes : kv_bytes;
  return begun;
}

/// The last tokens of the prompt for every line.
void append_last(std::span<AnswerLine> lines, const PreparedPrompt& prompt, const ExampleSettings& settings) {
  const auto last = std::span(prompt.tokens).last(n_last(prompt, settings));
  if (last.size() == 1) {
    std::vector<Session*> sessions;
    for (AnswerLine& line : lines) sessions.push_back(&line.session);
    Session::append_each(sessions, std::vector<Token>(lines.size(), last.front()));
    return;
  }
  for (AnswerLine& line : lines) line.session.append(last);
}

/// Decodes the answer behind a prompt that is in, and says what came of it all.
void finish_alone(AnswerLine& line, const PreparedPrompt& prompt, const PrefillReport& prefill,
                  const ExampleSettings& settings, ExampleResult& result) {
  set_kept(result, prefill.kept);
  result.kv_bytes_after_eviction = prefill.kv_bytes_after_eviction;
  result.seconds_prefill = prefill.seconds_prefill;
  result.seconds_eviction = prefill.seconds_eviction;
  const Stopwatch watch;
  decode_answers({&line, 1}, answer_settings(prompt, settings));
  result.seconds_decode = prefill.seconds_last + watch.seconds();
  result.kv_bytes_peak = line.session.stats().kv_bytes_peak;
  set_answer(result, line);
}

/// Whether a session can forget a question and its answer and be what it was.
bool goes_back(const Model& model) {
  return !model.info().has_state && model.info().n_window == 0;
}

/// Puts another question behind the context that `session` holds. `first`: what the first one reported.
PrefillReport ask_another(Session& session, const PreparedPrompt& prompt, const PrefillReport& first) {
  const auto n_context = static_cast<std::int64_t>(prompt.context().size());
  const Stopwatch watch;
  session.trim(n_context);
  session.append(prompt.question(), {.prefill = PrefillMode::kFull});
  return {.kept = session.held_by_layer(),
          .kv_bytes_after_eviction = first.kv_bytes_after_eviction,
          .seconds_last = watch.seconds()};
}

}  // namespace

SharedPrefill prefill_shared_by(std::span<const RunStrategy> strategies,
                                const std::shared_ptr<const Model>& model, SessionOptions options) {
  for (const RunStrategy& strategy : strategies) {
    const auto scores = strategy.policy->score_request();
    if (scores && strategy.can_share_prefill())
      options.n_recorded_queries = std::max(options.n_recorded_queries, scores->n_last_queries);
  }
  return {model, options, static_cast<int>(strategies.size())};
}

std::vector<ExampleResult> answer_each_alone(const std::shared_ptr<const Model>& model,
                                             const RunStrategy& strategy,
                                             std::span<const PreparedPrompt> prompts,
                                             const ExampleSettings& settings) {
  SessionOptions options = settings.session;
  options.positions = strategy.positions;
  options.prefill = strategy.prefill;
  std::vector<ExampleResult> results;
  std::optional<Session> session;
  PrefillReport first;
  std::span<const Token> held;  // the context that the session holds, evicted
  for (const PreparedPrompt& prompt : prompts) {
    ExampleResult result = describe(prompt);
    const bool goes_on = session && prompt.n_question_tokens > 0 && goes_back(*model) &&
                         std::ranges::equal(prompt.context(), held);
    if (!goes_on) session.emplace(model, strategy.policy, options);
    PrefillReport prefill = goes_on ? ask_another(*session, prompt, first)
                                    : prefill_prompt(*session, prompt.tokens,
                                                     {.n_after_eviction = n_after_eviction(prompt, settings),
                                                      .n_held_back = prompt.n_question_tokens,
                                                      .n_new_tokens = settings.prompt.n_new_tokens,
                                                      .is_last = true});
    if (goes_on) {
      result.n_reused_tokens = static_cast<std::int64_t>(prompt.context().size());
    } else {
      first = prefill;
      held = prompt.context();
    }
    AnswerLine line{.session = std::move(*session)};
    finish_alone(line, prompt, prefill, settings, result);
    session = std::move(line.session);
    results.push_back(std::move(result));
  }
  return results;
}

ExampleResult answer_alone(const std::shared_ptr<const Model>& model, const RunStrategy& strategy,
                           const PreparedPrompt& prompt, const ExampleSettings& settings) {
  return answer_each_alone(model, strategy, {&prompt, 1}, settings).front();
}

std::vector<ExampleResult> answer_together(SharedPrefill& shared, std::span<const RunStrategy> strategies,
                                           const PreparedPrompt& prompt, const ExampleSettings& settings) {
  const auto n_first = prompt.tokens.size() - n_last(prompt, settings);
  const auto n_strategies = static_cast<std::int64_t>(strategies.size());
  const std::int64_t n_appended = std::max<std::int64_t>(settings.prompt.n_new_tokens - 1, 0);
  for (const RunStrategy& strategy : strategies) {  // before the prompt is computed
    SessionOptions options = settings.session;
    options.positions = strategy.positions;
    require_trained_positions(shared.model(), options,
                              static_cast<std::int64_t>(prompt.tokens.size()) + n_appended);
  }
  ExampleResult common = describe(prompt);
  Stopwatch watch;
  common.n_reused_tokens =
      shared.prefill(std::span(prompt.tokens).first(n_first),
                     n_strategies * (prompt.n_question_tokens + settings.prompt.n_new_tokens + 1));
  common.seconds_prefill = watch.seconds();
  common.n_sharing = static_cast<int>(n_strategies);

  std::vector<AnswerLine> lines;
  std::vector<ExampleResult> results;
  for (const RunStrategy& strategy : strategies) {
    Begun begun = begin(shared, strategy, prompt, common, n_strategies == 1, settings);
    lines.push_back(std::move(begun.line));
    results.push_back(std::move(begun.result));
  }
  watch.restart();
  append_last(lines, prompt, settings);
  decode_answers(lines, answer_settings(prompt, settings));
  const double seconds_decode = watch.seconds();
  for (std::size_t i = 0; i < lines.size(); ++i) {
    results[i].seconds_decode = seconds_decode;
    results[i].kv_bytes_peak = std::max(shared.stats().kv_bytes_peak, lines[i].session.stats().kv_bytes_peak);
    set_answer(results[i], lines[i]);
  }
  return results;
}

}  // namespace kvevict::eval
