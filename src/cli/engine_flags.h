#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
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

  /// Errors: kInvalidArgument.
  [[nodiscard]] SessionOptions session_options() const;

  [[nodiscard]] bool is_bounded() const { return prefill == "bounded"; }
};

/// The tokens a layer that `kv_memory` holds, in whole multiples of kCellPadding; 0 where it is too small for
/// one. Errors: kInvalidArgument where it is not a size.
[[nodiscard]] std::int64_t tokens_within(const std::string& kv_memory, const Model& model,
                                         const SessionOptions& options);

/// By how many tokens the cache may outgrow the budget of `policy` at times: the slack of packed positions,
/// the chunk of a bounded prefill.
[[nodiscard]] std::int64_t tokens_beyond_budget(const Policy& policy, const SessionOptions& options,
                                                bool is_bounded);

/// Turns a limit of `kv_memory` for K and V into the strategy's token counts, and says so on stderr: what
/// is free to grow (the middle budget where the strategy has one, else the recent window) takes
/// what the limit leaves, in whole multiples of llama.cpp's 256 cells. `full` cannot be limited.
/// Errors: kInvalidArgument where the limit is not a size or does not hold the strategy's fixed part.
/// Where the prefill is bounded, the chunk too comes out of the limit.
void fit_to_memory(StrategySpec& spec, const std::string& kv_memory, const Model& model,
                   const SessionOptions& options, bool is_bounded = false);

/// "512MiB", "1.5 GiB", "200MB", "1048576" -> bytes. Errors: kInvalidArgument that names `flag`.
[[nodiscard]] std::int64_t parse_bytes(const std::string& flag, const std::string& text);

}  // namespace kvevict::cli
