#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "engine.h"
#include "kvevict/engine_info.h"
#include "kvevict/prompt_template.h"
#include "messages.h"
#include "options.h"
#include "worker.h"

namespace kvevict::python {
namespace {

/// Loads on a worker, so that Ctrl-C ends it.
ModelHandle load_model(const std::filesystem::path& path, std::optional<int> gpu_layers,
                       const std::vector<std::string>& devices, bool use_mmap) {
  ModelHandle loaded;
  Worker worker;
  const ModelOptions options{.path = path,
                             .gpu_layers = gpu_layers,
                             .devices = devices,
                             .use_mmap = use_mmap,
                             .on_progress = [&](double) { return !*worker.cancel(); }};
  worker.run([&] { loaded.model = Model::load(options); });
  return loaded;
}

/// What `work` returns. It takes no GIL.
template <typename Work>
auto without_gil(const Work& work) {
  const nb::gil_scoped_release released;
  return work();
}

std::vector<Token> tokenize(const ModelHandle& self, const std::string& text, bool add_special,
                            bool parse_special) {
  return without_gil([&] { return self.model->tokenize(text, add_special, parse_special); });
}

nb::str detokenize(const ModelHandle& self, std::vector<Token> tokens, bool with_special) {
  return to_str(without_gil(
      [&] { return self.model->detokenize(require_tokens(*self.model, std::move(tokens)), with_special); }));
}

nb::str apply_chat_template(const ModelHandle& self, const nb::list& messages, bool begins_answer) {
  const std::vector<ChatMessage> given = messages_from(messages);
  return to_str(
      without_gil([&] { return text_of(PromptTemplate(*self.model).render(given, begins_answer)); }));
}

std::vector<Token> tokenize_chat(const ModelHandle& self, const nb::list& messages, bool begins_answer) {
  const std::vector<ChatMessage> given = messages_from(messages);
  return without_gil([&] {
    const PromptTemplate prompt_template(*self.model);
    return prompt_template.tokens(prompt_template.render(given, begins_answer));
  });
}

std::string sha256(const ModelHandle& self) {
  return without_gil([&] { return self.model->sha256(); });
}

std::string repr_of(const ModelHandle& self) {
  return "Model(\"" + self.model->path().string() + "\": " + self.model->info().description + ")";
}

void bind_texts(ModelClass& model) {
  model
      .def("tokenize", &tokenize, nb::arg("text"), nb::kw_only(), nb::arg("add_special") = true,
           nb::arg("parse_special") = false, R"(Text to tokens.

Parameters
----------
text
    Any text, up to 1 GiB.
add_special
    With the model's own begin-of-text token in front, if it has one.
parse_special
    Control tokens that the text writes out (``<|im_start|>``) are read as such.)")
      .def("detokenize", &detokenize, nb::arg("tokens"), nb::kw_only(), nb::arg("with_special") = false,
           "Tokens to text; control tokens give nothing unless ``with_special``. Half a character becomes "
           "U+FFFD.")
      .def("apply_chat_template", &apply_chat_template, nb::arg("messages"), nb::kw_only(),
           nb::arg("begins_answer") = true,
           nb::sig("def apply_chat_template(self, messages: list[dict[str, str]], *, begins_answer: bool = "
                   "True) -> str"),
           R"(Messages in the model's own chat template, as one text.

Parameters
----------
messages
    Dicts with ``role`` ('system', 'user', 'assistant') and ``content``.
begins_answer
    Up to where the assistant's answer begins.

Raises
------
NotImplementedError
    A model without a template, or messages that the template refuses.)")
      .def("tokenize_chat", &tokenize_chat, nb::arg("messages"), nb::kw_only(),
           nb::arg("begins_answer") = true,
           nb::sig("def tokenize_chat(self, messages: list[dict[str, str]], *, begins_answer: bool = True) "
                   "-> list[int]"),
           R"(The same as tokens.

Parameters
----------
messages, begins_answer
    As in `apply_chat_template`. Control tokens of the template are read as such, those that a message writes out are not.)")
      .def(
          "is_end_of_generation",
          [](const ModelHandle& self, Token token) {
            return self.model->is_end_of_generation(require_tokens(*self.model, {token}).front());
          },
          nb::arg("token"), "Whether the token ends an answer (end of text, end of turn, ...).");
}

void bind_model_facts(ModelClass& model) {
  const auto fact = [&](const char* name, auto get, const char* text) {
    model.def_prop_ro(
        name, [get](const ModelHandle& self) { return get(self.model->info()); }, text);
  };
  model.def_prop_ro(
      "path", [](const ModelHandle& self) { return self.model->path(); },
      "The file; of a split one the first part.");
  fact(
      "name", [](const ModelInfo& info) { return info.name; }, "Its name, as the file says it.");
  fact(
      "architecture", [](const ModelInfo& info) { return info.architecture; }, "'llama', 'qwen2', ...");
  fact(
      "description", [](const ModelInfo& info) { return info.description; },
      "Size and quantisation in one line.");
  fact(
      "file_bytes", [](const ModelInfo& info) { return info.file_bytes; }, "Bytes of all parts of the file.");
  fact(
      "n_parameters", [](const ModelInfo& info) { return info.n_parameters; }, "Weights.");
  fact(
      "n_layers", [](const ModelInfo& info) { return info.n_layers; }, "Layers.");
  fact(
      "n_vocab", [](const ModelInfo& info) { return info.n_vocab; }, "Tokens of the vocabulary.");
  fact(
      "n_context_trained", [](const ModelInfo& info) { return info.n_context_trained; },
      "Tokens of the contexts that it was trained on.");
  fact(
      "has_chat_template", [](const ModelInfo& info) { return info.has_chat_template; },
      "Whether `Model.conversation` can be had.");
  fact(
      "can_shift_positions", [](const ModelInfo& info) { return info.can_shift_positions; },
      "Whether packed and automatic positions can be had.");
  model
      .def(
          "kv_bytes_per_token",
          [](const ModelHandle& self, const std::string& kv_type) {
            const KvType type = kv_type_of(kv_type);
            return self.model->kv_bytes_per_token(type, type);
          },
          nb::arg("kv_type") = "f16",
          "Bytes of K and V that one token takes over all layers; ``kv_type``: as in `Model.session`.")
      .def("sha256", &sha256,
           "SHA-256 of the file, 64 hexadecimal digits. Reads all of it the first time, and is remembered in "
           "the user's "
           "cache folder.");
}

nb::dict engine_facts() {
  const EngineInfo info = engine_info();
  nb::dict facts;
  facts["llama_version"] = info.llama_version;
  facts["ggml_version"] = info.ggml_version;
  facts["backends"] = nb::cast(info.backends);
  std::vector<std::string> devices;
  for (const Device& device : info.devices) devices.push_back(device.name);
  facts["devices"] = nb::cast(devices);
  return facts;
}

}  // namespace

ModelClass bind_models(nb::module_& module) {
  ModelClass model(module, "Model",
                   R"(A language model in a GGUF file: weights and vocabulary, without a cache.

Sessions and conversations share it, on any threads.

Parameters
----------
path
    The file; of a split model the first part.
gpu_layers
    Layers to offload; None: as many as fit.
devices
    Names of devices to use (`engine_info`); empty: all.
use_mmap
    Map the file instead of reading it.

Raises
------
FileNotFoundError
    No such file.
ValueError
    A file that is no GGUF file, or was cut short; a device that is not there.
NotImplementedError
    A model that does not go on token by token.)");
  model
      .def(
          "__init__",
          [](ModelHandle* self, const std::filesystem::path& path, std::optional<int> gpu_layers,
             const std::vector<std::string>& devices,
             bool use_mmap) { new (self) ModelHandle(load_model(path, gpu_layers, devices, use_mmap)); },
          nb::arg("path"), nb::kw_only(), nb::arg("gpu_layers") = nb::none(),
          nb::arg("devices") = std::vector<std::string>{}, nb::arg("use_mmap") = true,
          nb::sig("def __init__(self, path: str | os.PathLike[str], *, gpu_layers: int | None = None, "
                  "devices: collections.abc.Sequence[str] = ..., use_mmap: bool = True) -> None"))
      .def("__repr__", &repr_of);
  bind_texts(model);
  bind_model_facts(model);
  module.def("engine_info", &engine_facts, nb::sig("def engine_info() -> dict[str, typing.Any]"),
             "What the llama.cpp within is and can use: its versions, back ends and devices.");
  return model;
}

}  // namespace kvevict::python
