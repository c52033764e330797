#include <nanobind/ndarray.h>
#include <nanobind/operators.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "bindings.h"
#include "kvevict/error.h"
#include "plan.h"

namespace kvevict::python {

const KeepSet& Plan::only_set() const {
  if (kept.distinct_sets().size() == 1) return kept.layer(0);
  throw Error(ErrorCode::kInvalidArgument,
              "the plan differs by layer: name one of its " + std::to_string(n_layers) + " layers");
}

const KeepSet& Plan::set_of(std::optional<std::int64_t> layer) const {
  if (!layer) return only_set();
  if (*layer >= 0 && *layer < n_layers) return kept.layer(static_cast<std::size_t>(*layer));
  throw nb::index_error(("there is no layer " + std::to_string(*layer) + ": the plan has " +
                         std::to_string(n_layers) + ", counted from 0")
                            .c_str());
}

namespace {

template <typename Element>
nb::ndarray<nb::numpy, Element, nb::ndim<1>> to_numpy(std::unique_ptr<std::vector<Element>> elements) {
  Element* const data = elements->data();
  const std::size_t n = elements->size();
  const nb::capsule owner(elements.release(),
                          [](void* p) noexcept { delete static_cast<std::vector<Element>*>(p); });
  return {data, {n}, owner};
}

auto indices_of(const Plan& plan, std::optional<std::int64_t> layer) {
  return to_numpy(std::make_unique<std::vector<std::int64_t>>(plan.set_of(layer).to_indices()));
}

nb::ndarray<nb::numpy, bool, nb::ndim<1>> mask_of(const Plan& plan, std::optional<std::int64_t> layer) {
  const KeepSet& kept = plan.set_of(layer);
  const auto n = static_cast<std::size_t>(plan.n_tokens);
  auto mask = std::make_unique<bool[]>(n);
  for (const TokenRange& range : kept.ranges())
    std::fill(mask.get() + range.begin, mask.get() + range.end, true);
  bool* const data = mask.release();
  const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<bool*>(p); });
  return {data, {n}, owner};
}

std::string repr_of(const Plan& plan) {
  std::string text =
      "Plan(keeps " + std::to_string(plan.kept.count()) + " of " + std::to_string(plan.n_tokens) + " tokens";
  if (!plan.kept.is_shared()) return text + " in each of " + std::to_string(plan.n_layers) + " layers)";
  text += ":";
  std::size_t n_shown = 0;
  for (const TokenRange& range : plan.kept.layer(0).ranges()) {
    constexpr std::size_t kMostShown = 8;
    if (n_shown++ == kMostShown) return text + " ...)";
    text += " [" + std::to_string(range.begin) + ", " + std::to_string(range.end) + ")";
  }
  return text + ")";
}

using PlanState = std::tuple<std::string, std::int64_t, std::int64_t>;

}  // namespace

void bind_plans(nb::module_& module) {
  nb::class_<Plan>(module, "Plan", R"(Which tokens of a text stay in the cache: what `Policy.plan` gives.

Tokens are numbered from 0, the first of the text. A plan takes memory for its ranges alone, however many tokens
they have. It cannot be changed.)")
      .def_prop_ro(
          "ranges", [](const Plan& plan) { return to_pairs(plan.only_set().ranges()); },
          nb::sig("def ranges(self) -> list[tuple[int, int]]"),
          "The kept tokens as sorted, disjoint, half-open ranges (begin, end). ValueError if layers differ.")
      .def(
          "layer", [](const Plan& plan, std::int64_t index) { return to_pairs(plan.set_of(index).ranges()); },
          nb::arg("index"), nb::sig("def layer(self, index: int) -> list[tuple[int, int]]"),
          "The ranges of the layer number ``index``, from 0 on; IndexError if there is no such layer.")
      .def("to_indices", &indices_of, nb::arg("layer") = nb::none(),
           nb::sig("def to_indices(self, layer: int | None = None) -> "
                   "numpy.typing.NDArray[numpy.int64]"),
           "The kept tokens, ascending, int64 of shape [n_kept]. A layer must be named if layers differ.")
      .def("to_mask", &mask_of, nb::arg("layer") = nb::none(),
           nb::sig("def to_mask(self, layer: int | None = None) -> numpy.typing.NDArray[numpy.bool_]"),
           "Whether each token stays, bool of shape [n_tokens]. A layer must be named if layers differ.")
      .def_prop_ro(
          "n_kept", [](const Plan& plan) { return plan.kept.count(); }, "Most tokens that a layer keeps.")
      .def_ro("n_tokens", &Plan::n_tokens, "Tokens that the plan chose from.")
      .def_ro("n_layers", &Plan::n_layers, "Layers that the plan was made for.")
      .def_prop_ro(
          "is_per_layer", [](const Plan& plan) { return !plan.kept.is_shared(); },
          "Whether layers may keep different tokens.")
      .def("__repr__", &repr_of)
      .def(
          "__eq__",
          [](const Plan& a, const nb::object& other) {
            if (!nb::isinstance<Plan>(other)) return false;
            const auto& b = nb::cast<const Plan&>(other);
            return a.kept == b.kept && a.n_tokens == b.n_tokens && a.n_layers == b.n_layers;
          },
          nb::arg("other").none(), nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__",
           [](const Plan& plan) {
             return std::hash<std::string>()(to_text(plan.kept)) ^ std::hash<std::int64_t>()(plan.n_tokens);
           })
      .def("__getstate__",
           [](const Plan& plan) { return PlanState(to_text(plan.kept), plan.n_tokens, plan.n_layers); })
      .def("__setstate__", [](Plan& plan, const PlanState& state) {
        const auto& [text, n_tokens, n_layers] = state;
        new (&plan) Plan{keep_plan_from_text(text), n_tokens, n_layers};
      });
}

}  // namespace kvevict::python
