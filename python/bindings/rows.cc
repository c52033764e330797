#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "bindings.h"
#include "kvevict/dynamic_cache.h"
#include "kvevict/error.h"
#include "tensors/release_rows.h"

namespace kvevict::python {
namespace {

std::int64_t evict_rows(const nb::object& k, const nb::object& v, std::int64_t n_rows, const nb::object& keep,
                        int n_threads) {
  const LentTensor keys = lent_tensor(k, "k");
  KvShape no_values = keys.view.shape();
  no_values.head_dim = 0;
  LentTensor values{{}, KvView(nullptr, keys.view.type(), no_values, KvLayout::kHeadsFirst)};
  if (!v.is_none()) values = lent_tensor(v, "v");
  const KeepSet kept = keep_set_from(keep, "keep", n_rows);
  CacheEvictReport report;
  {
    const nb::gil_scoped_release released;
    DynamicCache cache;
    cache.add_layer(keys.view, values.view, n_rows);
    report = evict_dynamic_cache_inplace(cache, kept, {.n_threads = n_threads});
  }
  note_change(k);
  note_change(v);
  return report.n_rows[0];
}

std::int64_t release_rows(const nb::object& tensor, std::int64_t n_kept) {
  const LentTensor rows = lent_tensor(tensor, "tensor");
  const nb::gil_scoped_release released;
  return release_rows_behind(rows.view, n_kept);
}

}  // namespace

void bind_rows(nb::module_& module) {
  module.def(
      "evict_rows", &evict_rows, nb::arg("k").none(), nb::arg("v").none(), nb::arg("n_rows"),
      nb::arg("keep").none(), nb::kw_only(), nb::arg("n_threads") = 0,
      nb::sig("def evict_rows(k: object, v: object | None, n_rows: int, "
              "keep: Plan | collections.abc.Sequence[tuple[int, int]] | collections.abc.Sequence[int] | "
              "numpy.typing.NDArray[typing.Any] | object, *, n_threads: int = 0) -> int"),
      R"(Moves the kept rows of one layer's K and V to the front, in place.

Behind the kept rows the content is lost. Never a second copy of K or V; the GIL is released meanwhile.

Parameters
----------
k, v
    ``[batch, kv_heads, seq, head_dim]``, any writable tensor in host memory with DLPack or the buffer protocol (torch,
    numpy with ml_dtypes too): float32, float16, bfloat16, 8-bit floats, int8, uint8; any strides. K and V may have
    other heads and widths. ``v`` None: a layer that has K alone, or whose V lies within K (MLA).
n_rows
    Rows in use, at most ``seq``; those behind are not touched.
keep
    Rows that stay: a `Plan` (of a cache that still holds every token), ``(begin, end)`` pairs, ascending
    indices (list, array, tensor), or a mask of ``n_rows`` bools.
n_threads
    Most threads to use; 0: the processors of this process.

Returns
-------
int
    Rows in use now.

Raises
------
ValueError
    Memory that cannot be written (read-only, jax, broadcast, ``requires_grad``), other axes, rows that are not there.
TypeError
    Something that is no tensor, or whose elements are of another type.
NotImplementedError
    A tensor on another device. Nothing is touched then, as with every error.)");
  module.def("release_rows", &release_rows, nb::arg("tensor"), nb::arg("n_kept"),
             "Gives whole pages behind the first ``n_kept`` rows of private, unpinned memory back to the "
             "system; the "
             "resident bytes of them.");
}

}  // namespace kvevict::python
