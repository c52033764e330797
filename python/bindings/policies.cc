#include "policies.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings.h"
#include "kvevict/error.h"
#include "kvevict/registry.h"
#include "plan.h"

namespace kvevict::python {
namespace {

[[noreturn]] void refuse(const std::string& sentence, const char* field) {
  throw Error(ErrorCode::kInvalidArgument, sentence, field);
}

Plan plan_of(const PolicyHandle& self, std::int64_t n_tokens_seen, const std::string& schedule,
             std::int64_t n_layers) {
  require_tokens(n_tokens_seen);
  PolicyState state = fresh_state(schedule, n_layers);
  const nb::gil_scoped_release released;
  return {self.policy->plan(n_tokens_seen, state), n_tokens_seen, n_layers};
}

std::optional<std::int64_t> budget_of(const PolicyHandle& self, const std::string& schedule,
                                      std::int64_t n_layers) {
  return self.policy->budget_tokens(fresh_state(schedule, n_layers));
}

std::optional<std::string> required_positions(const PolicyHandle& self) {
  const std::optional<PositionMode> mode = self.policy->required_positions();
  if (!mode) return std::nullopt;
  return std::string(kvevict::to_string(*mode));
}

nb::dict values_of(const PolicyHandle& self) {
  nb::dict values;
  const PolicyInfo& info = policy_info(self.policy->spec().name);
  for (const StrategyKey& key : strategy_keys()) {
    if (!info.uses(key.name)) continue;
    const std::int64_t value = key.value_of(self.policy->spec());
    values[key.name.c_str()] = key.words.empty() ? nb::cast(value) : nb::cast(key.text_of(value));
  }
  return values;
}

/// As the program's LongBench runs write them: words as numbers, and a word that is the default not at all,
/// so that runs from before there was the word compare with those of today.
nb::dict result_values_of(const PolicyHandle& self) {
  nb::dict values;
  for (const auto& [name, value] : result_values(self.policy->spec())) values[name.c_str()] = value;
  return values;
}

nb::dict summaries() {
  nb::dict lines;
  for (const PolicyInfo& info : all_policies()) lines[info.name.c_str()] = info.summary;
  return lines;
}

void bind_policy_facts(nb::class_<PolicyHandle>& policy) {
  policy
      .def_prop_ro(
          "strategy", [](const PolicyHandle& self) { return self.strategy(); },
          "The strategy as text, as the program's --strategy and `Policy` take it.")
      .def_prop_ro(
          "name", [](const PolicyHandle& self) { return self.policy->spec().name; },
          "Its name in `policies`: 'sink_recent'.")
      .def_prop_ro(
          "versioned_name", [](const PolicyHandle& self) { return self.policy->versioned_name(); },
          "Name and version of the rule, 'sink_recent/1': changes whenever plans would.")
      .def_prop_ro("values", &values_of, nb::sig("def values(self) -> dict[str, int | str]"),
                   "The values that it uses, by their keys in the grammar; counts of tokens are per layer.")
      .def_prop_ro(
          "result_values", &result_values_of, nb::sig("def result_values(self) -> dict[str, int]"),
          "The values as files of results have them: by the names of the program's flags, words as numbers.")
      .def_prop_ro("required_positions", &required_positions,
                   "'packed' for a method that is defined by packed positions (StreamingLLM), else None.")
      .def_prop_ro(
          "is_per_layer", [](const PolicyHandle& self) { return self.policy->is_per_layer(); },
          "Whether plans differ by layer.")
      .def_prop_ro(
          "looks_into_cache", [](const PolicyHandle& self) { return self.policy->looks_into_cache(); },
          "Whether it chooses by attention or keys: `plan` then needs more than a number of tokens.")
      .def_prop_ro(
          "keeps_all", [](const PolicyHandle& self) { return self.policy->keeps_all(); },
          "Whether no plan ever drops a token.")
      .def_prop_ro(
          "n_newest_kept", [](const PolicyHandle& self) { return self.policy->n_newest_kept(); },
          "So many of the newest tokens are in every plan; 1 or more.");
}

void bind_policy_protocol(nb::class_<PolicyHandle>& policy) {
  policy.def("__repr__", [](const PolicyHandle& self) { return "Policy(\"" + self.strategy() + "\")"; })
      .def("__str__", [](const PolicyHandle& self) { return self.strategy(); })
      .def(
          "__eq__",
          [](const PolicyHandle& self, const nb::object& other) {
            return nb::isinstance<PolicyHandle>(other) &&
                   nb::cast<const PolicyHandle&>(other).policy->spec() == self.policy->spec();
          },
          nb::arg("other").none(), nb::sig("def __eq__(self, other: object, /) -> bool"))
      .def("__hash__", [](const PolicyHandle& self) { return std::hash<std::string>()(self.strategy()); })
      .def("__getstate__", [](const PolicyHandle& self) { return self.strategy(); })
      .def("__setstate__", [](PolicyHandle& self, const std::string& strategy) {
        new (&self) PolicyHandle{make_policy(std::string_view(strategy))};
      });
}

}  // namespace

std::string to_string(Schedule schedule) {
  return schedule == Schedule::kOneShot ? "one_shot" : "streaming";
}

PolicyState fresh_state(const std::string& schedule, std::int64_t n_layers) {
  if (n_layers < 1 || n_layers > kMaxLayers) {
    refuse("n_layers is " + std::to_string(n_layers) + ": a number from 1 to " + std::to_string(kMaxLayers) +
               " is needed",
           "n_layers");
  }
  for (const Schedule known : {Schedule::kOneShot, Schedule::kStreaming}) {
    if (schedule == to_string(known)) return {.schedule = known, .n_layers = n_layers};
  }
  refuse("schedule is \"" + schedule + "\": \"one_shot\" or \"streaming\" is needed", "schedule");
}

void require_tokens(std::int64_t n_tokens_seen) {
  if (n_tokens_seen >= 0 && n_tokens_seen <= kMaxTokens) return;
  refuse("n_tokens_seen is " + std::to_string(n_tokens_seen) + ": a number of tokens from 0 to " +
             std::to_string(kMaxTokens) + " is needed",
         "n_tokens_seen");
}

void bind_policies(nb::module_& module) {
  nb::class_<PolicyHandle> policy(module, "Policy", R"(A strategy that says which tokens stay.

Policies are values: immutable, comparable, hashable; they can be pickled and shared by threads.

Parameters
----------
strategy
    ``name[:sink[:recent[:budget]]][:key=value...]``, e.g. ``"sink_recent_uniform:256:512:512"``; `policies` lists the
    names. All numbers are tokens per layer.

Raises
------
ValueError
    For a text that is no strategy; the sentence quotes the part that is wrong.)");
  policy
      .def(
          "__init__",
          [](PolicyHandle* self, const std::string& strategy) {
            new (self) PolicyHandle{make_policy(std::string_view(strategy))};
          },
          nb::arg("strategy"))
      .def("plan", &plan_of, nb::arg("n_tokens_seen"), nb::kw_only(), nb::arg("schedule") = "one_shot",
           nb::arg("n_layers") = 1, R"(The tokens to keep once ``n_tokens_seen`` have been seen.

Parameters
----------
n_tokens_seen
    Tokens of the text so far, from 0 on.
schedule
    ``"one_shot"``: the cache holds everything and is evicted once. ``"streaming"``: it was kept to its budget all
    along, so that what an earlier plan dropped is not asked for; the middle then goes by ruler order.
n_layers
    Layers of the model; what differs by layer (``ladder``) needs it.

Raises
------
ValueError
    For a strategy that chooses by attention or keys, a stride in a stream, and a number that cannot be.

Notes
-----
The sets are defined in docs/strategies.md. `Sequence` plans again and again for one text and remembers what a policy
froze.)")
      .def("budget", &budget_of, nb::kw_only(), nb::arg("schedule") = "one_shot", nb::arg("n_layers") = 1,
           R"(Tokens per layer that plans never go beyond.

Parameters
----------
schedule, n_layers
    As in `Policy.plan`.

Returns
-------
int or None
    None for a policy without such a bound.)");
  bind_policy_facts(policy);
  bind_policy_protocol(policy);
  module.def("policies", &summaries, nb::sig("def policies() -> dict[str, str]"),
             "The names of all strategies, with one line each.");
}

}  // namespace kvevict::python
