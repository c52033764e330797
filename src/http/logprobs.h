#pragma once

#include <span>

#include "kvevict/token_probability.h"
#include "text/json_reader.h"

namespace kvevict::http {

/// "logprobs" of a choice: {"content": [{"token", "logprob", "bytes", "top_logprobs"}], "refusal": null}.
[[nodiscard]] JsonReader::Json logprobs_json(std::span<const DrawnToken> tokens);

}  // namespace kvevict::http
