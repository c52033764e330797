// In place of json_schema.cc where llama.cpp was built without that part of its common library.
#include "kvevict/error.h"
#include "kvevict/grammar.h"

namespace kvevict {

bool reads_json_schemas() noexcept {
  return false;
}

std::string grammar_of_json_schema(const std::string& /*schema*/) {
  throw Error(
      ErrorCode::kUnsupported,
      "this build makes no grammars of JSON schemas, since llama.cpp was built without that: give a grammar, "
      "or build llama.cpp by the set-up",
      "json_schema");
}

}  // namespace kvevict
