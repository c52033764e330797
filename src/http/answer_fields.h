#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "http/chat_call.h"
#include "text/json_reader.h"

namespace kvevict::http {

// Fields that bodies of several paths have in common. What is not there leaves what it would set. Errors of
// all: kBadData that names the field.

/// The field `name`, if it is there and not null.
[[nodiscard]] std::optional<JsonReader> field(const JsonReader& body, const char* name);

[[nodiscard]] std::optional<std::int64_t> whole_number(const JsonReader& body, const char* name,
                                                       std::int64_t least, std::int64_t most);

/// "temperature" and its like, penalties, "logit_bias", "seed".
void read_sampling(const JsonReader& body, const AnswerDefaults& defaults, SamplingOptions& sampling);

/// "stop".
void read_stops(const JsonReader& body, std::vector<std::string>& stops);

/// "stream" and "stream_options".
void read_stream(const JsonReader& body, bool& is_streamed, bool& includes_usage);

/// The object "kvevict": which conversation, by which strategy.
void read_extension(const JsonReader& body, serving::ChatRequest& request);

}  // namespace kvevict::http
