#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/keep_set.h"
#include "kvevict/model.h"

// What the files of the module share. One file binds one subject.

namespace kvevict::python {

namespace nb = nanobind;

/// What `kvevict.llama.Model` is. Immutable.
struct ModelHandle {
  std::shared_ptr<const Model> model;
};
using ModelClass = nb::class_<ModelHandle>;

void bind_errors(nb::module_& module);  // python/bindings/errors.cc: of both modules
void bind_answers(nb::module_& module);
[[nodiscard]] ModelClass bind_models(nb::module_& module);
void bind_stats(nb::module_& module);
void bind_sessions(nb::module_& module, ModelClass& model);
void bind_conversations(nb::module_& module, ModelClass& model);
void bind_servers(nb::module_& module);

/// Text of the model as a str; bytes that are not UTF-8 become U+FFFD.
[[nodiscard]] nb::str to_str(std::string_view text);

/// Tokens of the model's vocabulary. Throws `Error(kInvalidArgument)` for numbers that are none.
[[nodiscard]] std::vector<Token> require_tokens(const Model& model, std::vector<Token> tokens);

/// A list of (begin, end).
[[nodiscard]] nb::list to_pairs(const KeepSet& kept);

/// The text of a strategy: a str, or a kvevict.Policy.
[[nodiscard]] std::string strategy_text(const nb::object& strategy);

}  // namespace kvevict::python
