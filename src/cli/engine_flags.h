#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/units.h"
#include "kvevict/session.h"
#include "kvevict/strategy_spec.h"

namespace kvevict::cli {

/// The flags of every command that runs a model: which model, where, with what kind of cache.
struct EngineFlags {
  std::string model = "default";
  std::string gpu_layers = "auto";
  std::vector<std::string> devices;
  std::vector<std::string> rpc;  ///< Workers, "host:port".
  std::string split_mode = "layer";
  int main_gpu = 0;
  int threads = 0;
  int threads_batch = 0;
  bool no_mmap = false;
  std::string flash_attention = "auto";
  std::string kv_type = "f16";
  std::string kv_type_k, kv_type_v;  ///< Empty: as kv_type.
  int batch = 512;
  int ubatch = 512;
  std::string prefill = "full";  ///< A command that streams sets "bounded" before `add_to`.
  std::optional<int> chunk;      ///< Empty: ubatch.
  std::string positions;         ///< Empty: absolute with a full prefill, auto with a bounded one.
  int decode_slack = 64;
  std::string kv_memory;  ///< "512MiB"; empty: no limit.
  bool dry_run = false;

  void add_to(CLI::App& app);

  /// Errors: kInvalidArgument, kNotFound.
  [[nodiscard]] ModelOptions model_options() const;

  /// The model that the flags name, loaded; says on stderr if its cache will be slow. Errors: those of
  /// `model_options` and `Model::load`.
  [[nodiscard]] std::shared_ptr<const Model> load_model() const;

  /// Errors: kInvalidArgument.
  [[nodiscard]] SessionOptions session_options() const;

  [[nodiscard]] bool is_bounded() const { return prefill == "bounded"; }
};

}  // namespace kvevict::cli
