// Sets of rows as Python writes them.
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <string>
#include <vector>

#include "bindings.h"
#include "kvevict/error.h"
#include "kvevict/simple_evict.h"
#include "plan.h"

namespace kvevict::python {
namespace {

[[noreturn]] void refuse(const std::string& sentence) {
  throw Error(ErrorCode::kInvalidArgument, sentence);
}

[[noreturn]] void refuse_kind(const nb::object& keep, const char* name) {
  throw nb::type_error((std::string(name) + " is a " + type_name(keep) +
                        ": a Plan, a list of (begin, end) or ascending indices are needed")
                           .c_str());
}

void append_index(KeepSet& kept, std::int64_t index, std::int64_t last, const char* name) {
  if (index < 0 || index > kMaxTokens) {
    refuse(std::string(name) + " has the index " + std::to_string(index) + ": 0 to " +
           std::to_string(kMaxTokens) + " is needed");
  }
  if (index <= last) {
    refuse(std::string(name) + " has " + std::to_string(index) + " behind " + std::to_string(last) +
           ": indices must ascend");
  }
  kept.append(index, index + 1);
}

void append_range(KeepSet& kept, std::int64_t begin, std::int64_t end, const char* name) {
  if (begin < kept.end() || end < begin) {
    refuse(std::string(name) + " has the range [" + std::to_string(begin) + ", " + std::to_string(end) +
           "): ranges must ascend and not overlap, from 0 on");
  }
  kept.append(begin, end);
}

KeepSet from_array(const nb::ndarray<const std::int64_t, nb::device::cpu>& array, const char* name) {
  KeepSet kept;
  const auto at = [&](std::int64_t row, std::int64_t column) {
    return array.data()[row * array.stride(0) + (array.ndim() == 2 ? column * array.stride(1) : 0)];
  };
  const auto n = static_cast<std::int64_t>(array.shape(0));
  for (std::int64_t i = 0, last = -1; i < n; ++i) {
    if (array.ndim() == 2) {
      append_range(kept, at(i, 0), at(i, 1), name);
    } else {
      append_index(kept, at(i, 0), last, name);
      last = at(i, 0);
    }
  }
  return kept;
}

KeepSet from_mask(const nb::ndarray<const bool, nb::device::cpu>& mask) {
  KeepSet kept;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(mask.shape(0)); ++i) {
    if (mask.data()[i * mask.stride(0)]) kept.append(i, i + 1);
  }
  return kept;
}

bool is_index_array(const nb::ndarray<nb::ro>& array) {
  return array.ndim() == 1 || (array.ndim() == 2 && array.shape(1) == 2);
}

[[noreturn]] void refuse_mask_length(std::int64_t n, const char* name, std::int64_t n_rows) {
  refuse(std::string(name) + " is a mask of " + std::to_string(n) + ": one bool for each of the " +
         std::to_string(n_rows) + " rows is needed");
}

KeepSet from_bools(const nb::object& keep, const char* name, std::int64_t n_rows) {
  if (n_rows < 0) refuse_kind(keep, name);
  if (static_cast<std::int64_t>(nb::len(keep)) != n_rows)
    refuse_mask_length(static_cast<std::int64_t>(nb::len(keep)), name, n_rows);
  KeepSet kept;
  std::int64_t row = 0;
  for (const nb::handle item : keep) {
    if (!nb::isinstance<nb::bool_>(item)) refuse(std::string(name) + " mixes bools with other items");
    if (nb::cast<bool>(item)) kept.append(row, row + 1);
    ++row;
  }
  return kept;
}

KeepSet from_items(const nb::object& keep, const char* name, std::int64_t n_rows) {
  KeepSet kept;
  std::int64_t last = -1;
  for (const nb::handle item : keep) {
    if (nb::isinstance<nb::bool_>(item)) return from_bools(keep, name, n_rows);
    std::int64_t index = 0;
    if (nb::try_cast(item, index)) {
      append_index(kept, index, last, name);
      last = index;
      continue;
    }
    const nb::object pair = nb::borrow(item);
    std::int64_t begin = 0;
    std::int64_t end = 0;
    if (!nb::isinstance<nb::sequence>(pair) || nb::len(pair) != 2 || !nb::try_cast(pair[0], begin) ||
        !nb::try_cast(pair[1], end))
      refuse_kind(pair, name);
    append_range(kept, begin, end, name);
  }
  return kept;
}

KeepSet from_plan(const Plan& plan, const char* name, std::int64_t n_rows) {
  if (n_rows >= 0 && plan.n_tokens != n_rows) {
    refuse(std::string(name) + " is a plan for " + std::to_string(plan.n_tokens) + " tokens and " +
           std::to_string(n_rows) +
           " rows are in use: it numbers the rows of a cache that holds every token");
  }
  return plan.only_set();
}

bool is_whole(nb::dlpack::dtype type) {
  return type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Int) ||
         type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::UInt);
}

}  // namespace

std::string type_name(const nb::object& object) {
  const nb::object type = nb::borrow(object.type());
  const auto module = nb::cast<std::string>(type.attr("__module__"));
  const auto name = nb::cast<std::string>(type.attr("__qualname__"));
  return module == "builtins" ? name : module + "." + name;
}

nb::list to_pairs(std::span<const TokenRange> ranges) {
  nb::list pairs;
  for (const TokenRange& range : ranges) pairs.append(nb::make_tuple(range.begin, range.end));
  return pairs;
}

KeepSet keep_set_from(const nb::object& keep, const char* name, std::int64_t n_rows) {
  if (nb::isinstance<Plan>(keep)) return from_plan(nb::cast<const Plan&>(keep), name, n_rows);
  const nb::handle range_type(reinterpret_cast<PyObject*>(&PyRange_Type));
  if (nb::isinstance<nb::list>(keep) || nb::isinstance<nb::tuple>(keep) || nb::isinstance(keep, range_type))
    return from_items(keep, name, n_rows);
  nb::ndarray<nb::ro> array;
  if (!nb::try_cast(keep, array)) refuse_kind(keep, name);
  nb::ndarray<const bool, nb::device::cpu> mask;
  if (n_rows >= 0 && array.ndim() == 1 && nb::try_cast(keep, mask, false)) {
    const auto n = static_cast<std::int64_t>(mask.shape(0));
    if (n != n_rows) refuse_mask_length(n, name, n_rows);
    return from_mask(mask);
  }
  nb::ndarray<const std::int64_t, nb::device::cpu> indices;
  if (is_whole(array.dtype()) && is_index_array(array) && nb::try_cast(keep, indices, true))
    return from_array(indices, name);
  refuse(std::string(name) + " is an array that is not of whole numbers, [n] or [n, 2], in host memory");
}

}  // namespace kvevict::python
