#pragma once

#include <span>
#include <string_view>

#include "text/json_reader.h"

namespace kvevict::http {

/// Refuses what a body asks for and is not supported, by its name. `read`: the fields of its path, beside
/// those of every path. Fields of OpenAI's interface that ask for nothing ("n": 1, "tools": []) pass. Errors:
/// kBadData.
void refuse_unused_fields(const JsonReader& body, std::span<const std::string_view> read);

}  // namespace kvevict::http
