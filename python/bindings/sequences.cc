// The plans of one text, one after the other.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <mutex>
#include <optional>
#include <string>
#include <tuple>

#include "bindings.h"
#include "plan.h"
#include "policies.h"

namespace kvevict::python {
namespace {

struct Sequence {
  PolicyHandle policy;
  PolicyState state;
};

Plan plan_next(Sequence& self, std::int64_t n_tokens_seen) {
  require_tokens(n_tokens_seen);
  return {self.policy.policy->plan(n_tokens_seen, self.state), n_tokens_seen, self.state.n_layers};
}

void trim(Sequence& self, std::int64_t n_tokens, const Plan& held) {
  require_tokens(n_tokens);
  if (self.state.memory)
    self.state.memory->trim(n_tokens, held.kept.intersect(KeepPlan(KeepSet::all(n_tokens))));
}

// strategy, schedule, layers, memory
using SequenceState = std::tuple<std::string, std::string, std::int64_t, std::optional<std::string>>;

SequenceState state_of(const Sequence& self) {
  std::optional<std::string> memory;
  if (self.state.memory) memory = self.state.memory->save();
  return {self.policy.strategy(), to_string(self.state.schedule), self.state.n_layers, memory};
}

void set_state(Sequence& self, const SequenceState& saved) {
  const auto& [strategy, schedule, n_layers, memory] = saved;
  PolicyHandle policy{make_policy(std::string_view(strategy))};
  PolicyState state = fresh_state(schedule, n_layers);
  if (memory) state.memory = policy.policy->load_memory(*memory, n_layers);
  new (&self) Sequence{std::move(policy), std::move(state)};
}

}  // namespace

void bind_sequences(nb::module_& module) {
  nb::class_<Sequence>(module, "Sequence", R"(The plans of one text, one after the other.

Remembers what a policy froze or thinned: within one sequence no plan asks for a token that an earlier one dropped.
Can be copied (``copy.deepcopy``) and pickled with its memory. One thread at a time.

Parameters
----------
policy
    What plans.
schedule
    As in `Policy.plan`.
n_layers
    Layers of the model.)")
      .def(
          "__init__",
          [](Sequence* self, const PolicyHandle& policy, const std::string& schedule, std::int64_t n_layers) {
            new (self) Sequence{policy, fresh_state(schedule, n_layers)};
          },
          nb::arg("policy"), nb::kw_only(), nb::arg("schedule") = "streaming", nb::arg("n_layers") = 1)
      .def("plan", &plan_next, nb::arg("n_tokens_seen"),
           R"(The tokens to keep once ``n_tokens_seen`` have been seen.

Parameters
----------
n_tokens_seen
    At least as many as in the plan before.

Raises
------
ValueError
    As `Policy.plan` does.)")
      .def(
          "budget", [](const Sequence& self) { return self.policy.policy->budget_tokens(self.state); },
          "Tokens per layer that the next plans never go beyond; None without such a bound.")
      .def("trim", &trim, nb::arg("n_tokens"), nb::arg("held"),
           R"(Takes note that the text was cut.

Parameters
----------
n_tokens
    Tokens that are left of the text: its first ones.
held
    A plan of those tokens that the cache held before the cut.)")
      .def_prop_ro(
          "policy", [](const Sequence& self) { return self.policy; }, "What plans.")
      .def_prop_ro(
          "schedule", [](const Sequence& self) { return to_string(self.state.schedule); },
          "'one_shot' or 'streaming'.")
      .def_prop_ro(
          "n_layers", [](const Sequence& self) { return self.state.n_layers; }, "Layers of the model.")
      .def("__getstate__", &state_of)
      .def("__setstate__", &set_state);
}

}  // namespace kvevict::python
