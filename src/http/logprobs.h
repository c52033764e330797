#pragma once

#include <span>

#include "kvevict/token_probability.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// A log probability as JSON has it: at least OpenAI's −9999, which is as good as never; JSON has no
/// infinity.
[[nodiscard]] double json_logprob(double log_probability);

/// "logprobs" of a choice: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}.
[[nodiscard]] JsonReader::Json logprobs_json(std::span<const DrawnToken> tokens);

}  // namespace kvevict::http
