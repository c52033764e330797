#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kvevict/answer_options.h"
#include "kvevict/model.h"
#include "kvevict/policy.h"
#include "kvevict/session_options.h"

namespace kvevict::python {

/// What Python says of a session, by the names of the arguments.
struct EngineArguments {
  std::optional<std::string> prefill;  ///< Nothing: bounded if the policy has a bound.
  std::optional<std::string> positions;
  std::string kv_type;
  int threads = 0;
  std::optional<int> chunk;
  std::string flash_attention;
};

/// As `Session` takes them. Throws `Error(kInvalidArgument)` that names the argument.
[[nodiscard]] SessionOptions session_options(const EngineArguments& arguments, const Model& model,
                                             const Policy& policy, const std::atomic<bool>* cancel);

/// Whether a stream by `policy` holds a limited number of tokens.
[[nodiscard]] bool has_bound(const Policy& policy, const Model& model);

/// Throws `Error(kInvalidArgument)` for a type that is none.
[[nodiscard]] KvType kv_type_of(const std::string& name);

/// What Python says of an answer.
struct AnswerArguments {
  std::int64_t max_tokens = 0;
  double temperature = 0;
  int top_k = 0;
  double top_p = 0;
  double min_p = 0;
  double repeat_penalty = 0;
  std::uint32_t seed = 0;
  std::vector<std::string> stop;
  std::string grammar;
};

/// Throws `Error(kInvalidArgument)` for an answer of fewer than 0 tokens, for an empty text of `stop` and for
/// a grammar that cannot be read.
[[nodiscard]] AnswerOptions answer_options(const AnswerArguments& arguments, const Model& model);

}  // namespace kvevict::python
