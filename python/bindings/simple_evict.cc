// The demo's function of a configuration.
#include "kvevict/simple_evict.h"

#include <nanobind/stl/string.h>

#include "bindings.h"
#include "kvevict/error.h"
#include "plan.h"

namespace kvevict::python {
namespace {

std::int64_t spacing_of(const std::string& name) {
  if (name == "ends") return kSpacingEnds;
  if (name == "midpoints") return kSpacingMidpoints;
  throw Error(ErrorCode::kInvalidArgument,
              "spacing is \"" + name + "\": \"ends\" or \"midpoints\" is needed");
}

Plan simple_plan(std::int64_t total_len, std::int64_t block_n, std::int64_t sink_tokens,
                 std::int64_t recent_tokens, const std::string& middle_strategy,
                 std::int64_t middle_budget_tokens, std::int64_t uniform_stride, const std::string& spacing) {
  const SimpleEvictConfig config{.sink_tokens = sink_tokens,
                                 .recent_tokens = recent_tokens,
                                 .middle_strategy = middle_strategy,
                                 .middle_budget_tokens = middle_budget_tokens,
                                 .uniform_stride = uniform_stride,
                                 .spacing = spacing_of(spacing)};
  return {KeepPlan(build_simple_keep_token_idx(total_len, block_n, config)), total_len, 1};
}

}  // namespace

void bind_simple_evict(nb::module_& module) {
  module.def("simple_plan", &simple_plan, nb::arg("total_len"), nb::arg("block_n"), nb::arg("sink_tokens"),
             nb::arg("recent_tokens"), nb::arg("middle_strategy"), nb::arg("middle_budget_tokens"),
             nb::arg("uniform_stride"), nb::arg("spacing"),
             "The plan of one eviction by the values of a SimpleEvictConfig.");
}

}  // namespace kvevict::python
