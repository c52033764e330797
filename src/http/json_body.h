#pragma once

#include <string>
#include <string_view>

#include "text/json_reader.h"

namespace kvevict::http {

/// The JSON object in a body. It cannot be so deep, wide or long that reading it takes more than its bytes
/// are worth. Errors: kBadData.
[[nodiscard]] JsonReader::Json parse_body(std::string_view body);

/// The flag `name` of an object, or `otherwise` if it is not there or null. Errors: kBadData for another
/// value.
[[nodiscard]] bool flag(const JsonReader& object, const char* name, bool otherwise = false);

/// `json` on one line; bytes that are no UTF-8 are replaced.
[[nodiscard]] std::string json_text(const JsonReader::Json& json);

/// Deepest nesting, most fields of one object, most values in all.
inline constexpr int kDeepestJson = 64;
inline constexpr int kMostFields = 1000;
inline constexpr int kMostValues = 1'000'000;

}  // namespace kvevict::http
