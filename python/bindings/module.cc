#include "bindings.h"
#include "kvevict/version.h"

NB_MODULE(_core, module) {
  module.doc() = "The C++ library behind kvevict.";
  module.attr("__version__") = KVEVICT_VERSION;
  kvevict::python::bind_errors(module);
  kvevict::python::bind_plans(module);
  kvevict::python::bind_policies(module);
  kvevict::python::bind_sequences(module);
  kvevict::python::bind_rows(module);
  kvevict::python::bind_rotation(module);
  kvevict::python::bind_simple_evict(module);
}
