#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "archs/difference.h"
#include "kvevict/keep_set.h"
#include "kvevict/policy.h"
#include "kvevict/session.h"
#include "support/plain_llama.h"

namespace kvevict::test {

/// Tokens of a prompt, and of a text that does not fit the cells of a bounded session; both below the trained
/// context of the made-up models, 256.
inline constexpr std::int64_t kPrompt = 120;
inline constexpr std::int64_t kText = 400;

/// Cells of a context that holds them all.
inline constexpr std::uint32_t kCells = 256;

/// Keeps 40 tokens, some of them scattered over the middle.
inline constexpr const char* kScattered = "sink_recent_uniform:4:20:16:block=4";

/// Made-up tokens, one vocabulary's worth after the other in no order.
[[nodiscard]] std::vector<Token> made_up_tokens(const Model& model, std::int64_t n);

/// f32 K and V, flash attention off, one thread: what is left is the order of the sums.
[[nodiscard]] SessionOptions exact_options();

/// What llama.cpp alone does with the tokens that an eviction drops: takes the cells of those among the first
/// `n_tokens` away. Throws `WrongResult` if it refuses.
void remove_all_but(PlainLlama& plain, const KeepSet& kept, std::int64_t n_tokens);

/// The same for packed positions: what stays moves to 0, 1, …
void pack(PlainLlama& plain, const KeepSet& kept, std::int64_t n_tokens);

/// The schedule of a bounded prefill, in a context that holds every token's cell. Returns the next position.
std::int64_t replay(PlainLlama& plain, const Policy& policy, std::span<const Token> text,
                    const SessionOptions& options);

/// Throws `WrongResult` if llama.cpp holds another number of cells than the record says.
void expect_count(const Session& session);

/// A text through a bounded session, and through the same schedule of llama.cpp's own calls with positions as
/// `reference` says.
void check_stream(const std::shared_ptr<const Model>& model, const char* strategy, PositionMode positions,
                  PositionMode reference, LargestDifference& difference);

/// A prompt, an eviction by a strategy that holds 40 tokens of its own choice, the same in all layers, and
/// the text behind it, in a session and in llama.cpp's own calls without the cells of the others.
void check_choice(const std::shared_ptr<const Model>& model, const char* strategy,
                  LargestDifference& difference, const char* when);

/// Appends `tokens` to both, three at once and the others one by one, and compares the logits each time.
void go_on(Session& session, PlainLlama& plain, std::span<const Token> tokens, std::int64_t position,
           LargestDifference& difference, const char* when);

}  // namespace kvevict::test
