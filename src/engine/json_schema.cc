#include <json-schema-to-grammar.h>

#include <algorithm>
#include <exception>

#include "kvevict/error.h"
#include "kvevict/grammar.h"

namespace kvevict {
namespace {

common_json parsed(const std::string& schema) {
  try {
    return common_json::parse(schema);
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kInvalidArgument, std::string("the JSON schema is not JSON: ") + e.what(),
                "json_schema");
  }
}

/// On one line, without what our own sentence says already and what is not done here.
std::string reason(std::string words) {
  constexpr std::string_view kOpening = "JSON schema conversion failed:\n";
  while (words.starts_with(kOpening)) words.erase(0, kOpening.size());
  constexpr std::string_view kEnd = ", accepting any string";
  for (std::size_t at = words.find(kEnd); at != std::string::npos; at = words.find(kEnd, at))
    words.erase(at, kEnd.size());
  std::replace(words.begin(), words.end(), '\n', ' ');
  return words;
}

}  // namespace

bool reads_json_schemas() noexcept {
  return true;
}

std::string grammar_of_json_schema(const std::string& schema) {
  const common_json json = parsed(schema);
  try {
    return json_schema_to_grammar(json, true);
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kInvalidArgument, "the JSON schema cannot be made a grammar: " + reason(e.what()),
                "json_schema");
  }
}

}  // namespace kvevict
