#include "engine/plain_llama.h"

#include <algorithm>
#include <string>
#include <vector>

#include "base/stopwatch.h"
#include "base/units.h"
#include "engine/llama_log.h"
#include "engine/new_context.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void decode(llama_context* context, std::span<Token> tokens) {
  const LlamaLogCapture log;
  const auto n = static_cast<std::int32_t>(tokens.size());
  if (const int code = llama_decode(context, llama_batch_get_one(tokens.data(), n)); code != 0) {
    if (code == 2) throw Error(ErrorCode::kCancelled, "decoding was cancelled");
    throw Error(ErrorCode::kEngine, "llama.cpp cannot decode a batch of " + std::to_string(n) +
                                        " tokens (code " + std::to_string(code) + "): " + log.reason());
  }
}

}  // namespace

PlainTimes time_plain_llama(std::shared_ptr<const Model> model, const SessionOptions& options,
                            std::span<const Token> prompt, std::int64_t n_new,
                            const std::function<void()>& on_prefilled) {
  if (prompt.empty())
    throw Error(ErrorCode::kInvalidArgument, "the prompt is empty: there is nothing to time");
  const LlamaContextHandle context =
      make_llama_context(*model, options, padded_cells(static_cast<std::int64_t>(prompt.size()) + n_new), 1);
  std::vector<Token> tokens(prompt.begin(), prompt.end());
  PlainTimes times;
  Stopwatch watch;
  const auto n_batch = static_cast<std::size_t>(std::min(options.n_batch, options.n_ubatch));
  for (std::size_t from = 0; from < tokens.size(); from += n_batch) {
    decode(context.get(), std::span(tokens).subspan(from, std::min(n_batch, tokens.size() - from)));
  }
  times.seconds_prefill = watch.seconds();
  if (on_prefilled) on_prefilled();
  watch.restart();
  for (std::int64_t i = 0; i < n_new; ++i) {
    const float* const logits = llama_get_logits_ith(context.get(), -1);
    Token next = static_cast<Token>(std::max_element(logits, logits + model->info().n_vocab) - logits);
    decode(context.get(), {&next, 1});
  }
  times.seconds_decode = watch.seconds();
  return times;
}

}  // namespace kvevict
