// Plans of policies that choose by keys.
#include <nanobind/stl/string.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bindings.h"
#include "kvevict/dynamic_cache.h"
#include "kvevict/error.h"
#include "kvevict/view_keys.h"
#include "plan.h"
#include "policies.h"

namespace kvevict::python {
namespace {

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidArgument, sentence);
}

/// The keys of all layers. Throws for layers that hold different numbers of rows.
std::vector<LentTensor> layers_of(const nb::sequence& keys) {
  std::vector<LentTensor> layers;
  for (const nb::handle layer : keys) {
    const std::string name = "keys[" + std::to_string(layers.size()) + "]";
    layers.push_back(lent_tensor(nb::borrow(layer), name.c_str()));
    const std::int64_t n_rows = layers.back().view.shape().seq;
    if (n_rows != layers[0].view.shape().seq) {
      refuse(name + " has " + std::to_string(n_rows) + " rows and keys[0] " +
             std::to_string(layers[0].view.shape().seq) + ": every layer is to hold every token");
    }
  }
  if (layers.empty()) refuse("keys is empty: a tensor for each layer is needed");
  return layers;
}

Plan plan_by_keys(const PolicyHandle& self, const nb::sequence& keys, const nb::object& rope) {
  if (!self.policy->key_request())
    refuse(self.strategy() + " does not choose by keys: Policy.plan makes its plans, if it goes by position");
  const std::vector<LentTensor> layers = layers_of(keys);
  std::optional<RopeConfig> config;
  if (!rope.is_none()) config = rope_config(rope);
  const std::int64_t n_rows = layers[0].view.shape().seq;
  const auto n_layers = static_cast<std::int64_t>(layers.size());
  const nb::gil_scoped_release released;
  DynamicCache cache;
  for (const LentTensor& layer : layers) {
    KvShape no_values = layer.view.shape();
    no_values.head_dim = 0;
    cache.add_layer(layer.view, KvView(nullptr, layer.view.type(), no_values, KvLayout::kHeadsFirst), n_rows);
  }
  const std::unique_ptr<CachedKeys> cached = keys_of(cache, config);
  PolicyState state{.n_layers = n_layers, .keys = cached.get()};
  return {self.policy->plan(n_rows, state), n_rows, n_layers};
}

}  // namespace

void bind_keys(nb::module_& module) {
  module.def("plan_by_keys", &plan_by_keys, nb::arg("policy"), nb::arg("keys"), nb::kw_only(),
             nb::arg("rope") = nb::none(),
             nb::sig("def plan_by_keys(policy: Policy, keys: collections.abc.Sequence[object], *, "
                     "rope: kvevict.RopeConfig | None = None) -> Plan"),
             R"(The plan of a policy that chooses by keys (``keydiff``), for keys that hold every token.

Parameters
----------
policy
    One whose `Policy.looks_into_cache` is for keys.
keys
    A tensor for each layer, ``[batch, kv_heads, seq, head_dim]`` as in `evict_rows`, of float32, float16 or bfloat16; row r
    is token r. Sequences of a batch count as further heads. Nothing is changed.
rope
    The rotary embedding that the keys have, which is taken back; None for keys without rotation, and for
    ``rotated=1``.

Raises
------
ValueError
    For a policy of another kind, no layers, layers of different lengths, a ``rope`` that does not fit.)");
}

}  // namespace kvevict::python
