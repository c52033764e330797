#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "text/json_reader.h"

namespace kvevict::http {

/// Refuses what a body asks for and is not supported, by its name. `read`: the fields of its path, beside
/// those of every path. Fields of OpenAI's interface that ask for nothing ("n": 1, "tools": []) pass. Errors:
/// kBadData.
void refuse_unused_fields(const JsonReader& body, std::span<const std::string_view> read);

using AsksForNothing = bool (*)(const JsonReader::Json& value);

inline bool is_null(const JsonReader::Json& value) {
  return value.is_null();
}

/// Refuses, by its name, what an object asks for that is not one of `known`. A field whose value asks for
/// nothing passes. Errors: kBadData.
void refuse_fields_beside(std::initializer_list<std::string_view> known, const JsonReader& object,
                          AsksForNothing asks_for_nothing);

}  // namespace kvevict::http
