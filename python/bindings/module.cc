#include "bindings.h"
#include "kvevict/version.h"

namespace nb = nanobind;

NB_MODULE(_core, module) {
  module.doc() = "The C++ library behind kvevict.";
  nb::set_leak_warnings(false);  // what a program holds when it ends is its own affair
  module.attr("version") = KVEVICT_VERSION;
  kvevict::python::bind_errors(module);
  kvevict::python::bind_plans(module);
  kvevict::python::bind_policies(module);
  kvevict::python::bind_sequences(module);
  kvevict::python::bind_rows(module);
  kvevict::python::bind_rotation(module);
  kvevict::python::bind_keys(module);
  kvevict::python::bind_simple_evict(module);
}
