#pragma once

#include "text/json_reader.h"

namespace kvevict::http {

/// Refuses what a body of /v1/chat/completions asks for and is not supported, by its name. Fields of OpenAI's
/// interface that ask for nothing ("n": 1, "tools": []) pass. Errors: kBadData.
void refuse_unused_fields(const JsonReader& body);

}  // namespace kvevict::http
