#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <vector>

#include "bindings.h"
#include "kvevict/error.h"
#include "kvevict/rerotate.h"

namespace kvevict::python {
namespace {

RopePairing pairing_of(const std::string& name) {
  if (name == "neox") return RopePairing::kNeox;
  if (name == "norm") return RopePairing::kNorm;
  throw Error(ErrorCode::kInvalidArgument,
              "pairing of the rotary embedding is \"" + name + "\": \"neox\" or \"norm\" is needed");
}

template <typename Value>
Value field(const nb::object& config, const char* name) {
  Value value{};
  if (nb::try_cast(nb::object(config.attr(name)), value)) return value;
  throw nb::type_error(
      (std::string(name) + " of the rotary embedding is a " + type_name(config.attr(name))).c_str());
}

YarnConfig yarn_of(const nb::object& yarn) {
  if (yarn.is_none()) return {};
  return {.n_ctx_orig = field<std::int64_t>(yarn, "n_ctx_orig"),
          .ext_factor = field<double>(yarn, "ext_factor"),
          .attn_factor = field<double>(yarn, "attn_factor"),
          .beta_fast = field<double>(yarn, "beta_fast"),
          .beta_slow = field<double>(yarn, "beta_slow")};
}

void rotate(const nb::object& k, const nb::object& from, const nb::object& to, const nb::object& rope,
            int n_threads) {
  const LentTensor keys = lent_tensor(k, "k");
  const KeepSet before = keep_set_from(from, "old", -1);
  const KeepSet after = keep_set_from(to, "new", -1);
  const RopeConfig config = rope_config(rope);
  {
    const nb::gil_scoped_release released;
    rotate_keys(keys.view, before, after, config, n_threads);
  }
  note_change(k);
}

}  // namespace

RopeConfig rope_config(const nb::object& rope) {
  if (!nb::hasattr(rope, "freq_factors"))
    throw nb::type_error(("rope is a " + type_name(rope) + ": a RopeConfig is needed").c_str());
  return {.pairing = pairing_of(field<std::string>(rope, "pairing")),
          .n_rot = field<std::int64_t>(rope, "n_rot"),
          .first_dim = field<std::int64_t>(rope, "first_dim"),
          .base = field<double>(rope, "base"),
          .freq_scale = field<double>(rope, "freq_scale"),
          .freq_factors = field<std::vector<double>>(rope, "freq_factors"),
          .yarn = yarn_of(rope.attr("yarn"))};
}

void bind_rotation(nb::module_& module) {
  module.def("rotate_keys", &rotate, nb::arg("k").none(), nb::arg("old").none(), nb::arg("new").none(),
             nb::arg("rope").none(), nb::kw_only(), nb::arg("n_threads") = 0,
             nb::sig("def rotate_keys(k: object, old: object, new: object, rope: kvevict.RopeConfig, *, "
                     "n_threads: int = 0) -> None"),
             R"(Rotates keys that are rotated already to other positions, in place.

Parameters
----------
k
    ``[batch, kv_heads, seq, head_dim]``, as in `evict_rows`, of float32, float16 or bfloat16.
old, new
    The positions of the ``seq`` rows before and after, ascending: indices or ``(begin, end)`` pairs.
rope
    The rotary embedding that the keys have.
n_threads
    Most threads to use; 0: the processors of this process.

Raises
------
ValueError
    Another number of positions than rows, a ``rope`` that does not fit ``head_dim``; and as `evict_rows` does.

Notes
-----
Angles are of the whole difference, in double precision (Su et al. 2021, arXiv 2104.09864). Rows whose position does not
change are not touched, to the bit. The GIL is released meanwhile.)");
  module.def("llama3_freq_factors", &llama3_freq_factors, nb::kw_only(), nb::arg("n_rot"), nb::arg("base"),
             nb::arg("factor"), nb::arg("low_freq_factor"), nb::arg("high_freq_factor"),
             nb::arg("n_ctx_orig"),
             R"(The ``freq_factors`` of a `RopeConfig` by Llama 3's rule (rope_scaling "llama3").

Parameters
----------
n_rot, base
    As in `RopeConfig`.
factor
    By which slow pairs are slowed down.
low_freq_factor, high_freq_factor
    Pairs that turn fewer than ``low_freq_factor`` times within ``n_ctx_orig`` are slow, those that turn more than
    ``high_freq_factor`` times stay as they are; between the two it is a mix.
n_ctx_orig
    Tokens that the model was first trained on.

Returns
-------
list of float
    One for each pair.)");
}

}  // namespace kvevict::python
