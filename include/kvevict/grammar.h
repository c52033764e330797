#pragma once

#include <string>
#include <vector>

#include "kvevict/export.h"
#include "kvevict/model.h"

namespace KVEVICT_PUBLIC kvevict {

/// A grammar is a text in llama.cpp's GBNF whose rule `root` is the form of an answer: `root ::= "yes" |
/// "no"`. `GenerateOptions::grammar` and `ConversationOptions::grammar` take it.

/// Where a grammar begins to hold.
struct GrammarStart {
  /// Regular expressions: the answer is free until its text has one of them, and has the grammar's form from
  /// the beginning of that match (or of its first group) on; empty: from the answer's first token.
  std::vector<std::string> triggers{};
  /// Text of the prompt, right in front of the answer, that the grammar begins with; without triggers alone.
  std::string written{};
};

/// Makes sure that llama.cpp can read `grammar` for the vocabulary of `model`, before anything is decoded.
/// Errors: kInvalidArgument (field "grammar"), with what llama.cpp says and the line where it says so, if it
/// does.
void require_grammar(const Model& model, const std::string& grammar);

/// Whether this build makes grammars of JSON schemas: it was built with that part of llama.cpp's common
/// library beside llama.cpp.
[[nodiscard]] bool reads_json_schemas() noexcept;

/// The grammar of all JSON texts that `schema`, a JSON schema, describes. Errors (field "json_schema"):
/// kInvalidArgument, with llama.cpp's own words, for a text that is not JSON and for a schema that cannot be
/// followed in full; kUnsupported if this build makes none.
[[nodiscard]] std::string grammar_of_json_schema(const std::string& schema);

}  // namespace kvevict
