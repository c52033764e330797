// Values as Python has them.
#include <nanobind/stl/string.h>

#include "engine.h"
#include "kvevict/error.h"

namespace kvevict::python {

nb::str to_str(std::string_view text) {
  PyObject* const decoded =
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (decoded == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(decoded);
}

std::vector<Token> require_tokens(const Model& model, std::vector<Token> tokens) {
  const int n_vocab = model.info().n_vocab;
  for (const Token token : tokens) {
    if (token >= 0 && token < n_vocab) continue;
    throw Error(ErrorCode::kInvalidArgument,
                "tokens has " + std::to_string(token) + ": " + model.info().name +
                    " has the tokens from 0 to " + std::to_string(n_vocab - 1),
                "tokens");
  }
  return tokens;
}

nb::list to_pairs(const KeepSet& kept) {
  nb::list pairs;
  for (const TokenRange& range : kept.ranges()) pairs.append(nb::make_tuple(range.begin, range.end));
  return pairs;
}

std::string strategy_text(const nb::object& strategy) {
  std::string text;
  if (nb::try_cast(strategy, text)) return text;
  if (nb::hasattr(strategy, "strategy") && nb::try_cast(nb::object(strategy.attr("strategy")), text))
    return text;
  throw nb::type_error(
      "strategy is neither a str nor a kvevict.Policy: one such as \"sink_recent:4:1020\" is needed");
}

}  // namespace kvevict::python
