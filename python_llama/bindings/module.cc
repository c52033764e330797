#include "engine.h"
#include "kvevict/version.h"

namespace nb = nanobind;

NB_MODULE(_engine, module) {
  module.doc() = "kvevict's engine on llama.cpp.";
  nb::set_leak_warnings(false);  // what a program holds when it ends is its own affair
  module.attr("version") = KVEVICT_VERSION;
  kvevict::python::bind_errors(module);
  kvevict::python::bind_stats(module);
  kvevict::python::bind_answers(module);
  kvevict::python::ModelClass model = kvevict::python::bind_models(module);
  kvevict::python::bind_sessions(module, model);
  kvevict::python::bind_conversations(module, model);
  kvevict::python::bind_servers(module);
}
