#pragma once

#include <nanobind/nanobind.h>

#include <cstdint>
#include <span>
#include <string>

#include "kvevict/keep_set.h"
#include "kvevict/kv_view.h"
#include "kvevict/rerotate.h"

// What the files of the Python module share. One file binds one subject.

namespace kvevict::python {

namespace nb = nanobind;

void bind_errors(nb::module_& module);
void bind_plans(nb::module_& module);
void bind_policies(nb::module_& module);
void bind_sequences(nb::module_& module);
void bind_rows(nb::module_& module);
void bind_rotation(nb::module_& module);
void bind_keys(nb::module_& module);
void bind_simple_evict(nb::module_& module);

/// A K or V tensor that Python lent: its memory stays alive as long as this object.
struct LentTensor {
  nb::object owner;
  KvView view;
};

/// Any object with DLPack or the buffer protocol, [batch, kv_heads, seq, head_dim] in writable host memory.
/// `name`: what errors call it. Throws nb::type_error or `Error` with a sentence for everything else.
[[nodiscard]] LentTensor lent_tensor(const nb::object& tensor, const char* name);

/// Tells torch that a tensor was changed, so that a graph that saved it before refuses to go backward.
void note_change(const nb::object& tensor);

/// A set of rows or positions from Python: a Plan of one set, (begin, end) pairs, ascending indices, or, if
/// `n_rows` >= 0, a mask of so many bools. `name`: what errors call it.
[[nodiscard]] KeepSet keep_set_from(const nb::object& keep, const char* name, std::int64_t n_rows);

/// A kvevict.RopeConfig. Throws nb::type_error or `Error` for values that it cannot have.
[[nodiscard]] RopeConfig rope_config(const nb::object& rope);

/// "numpy.ndarray" and the like, for sentences.
[[nodiscard]] std::string type_name(const nb::object& object);

/// A list of (begin, end).
[[nodiscard]] nb::list to_pairs(std::span<const TokenRange> ranges);

}  // namespace kvevict::python
