#include "cli/engine_flags.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "cli/flags.h"
#include "cli/poll.h"
#include "hub/locations.h"
#include "hub/tcp_probe.h"
#include "kvevict/engine_info.h"
#include "kvevict/error.h"
#include "kvevict/policy.h"

namespace kvevict::cli {
namespace {

std::optional<int> parse_gpu_layers(const std::string& text) {
  if (text == "auto") return std::nullopt;
  int n = -1;
  if (!CLI::detail::lexical_cast(text, n) || n < 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("--gpu_layers is \"{}\": \"auto\" or a number of layers, 0 or more, is needed", text));
  }
  return n;
}

KvType parse_type(const char* flag, const std::string& text) {
  const auto type = parse_kv_type(text);
  if (!type) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--{} is \"{}\": f32, f16, bf16, q8_0 or q4_0 is needed", flag, text));
  }
  return *type;
}

SplitMode parse_split_mode(const std::string& text) {
  if (text == "none") return SplitMode::kNone;
  return text == "row" ? SplitMode::kRow : SplitMode::kLayer;
}

FlashAttention parse_flash_attention(const std::string& text) {
  if (text == "on") return FlashAttention::kOn;
  return text == "off" ? FlashAttention::kOff : FlashAttention::kAuto;
}

CLI::Option* add_choice(CLI::App& app, const std::string& name, std::string& value, const std::string& help,
                        const std::vector<std::string>& choices) {
  return add_option(app, name, value, help)->check(CLI::IsMember(choices))->capture_default_str();
}

}  // namespace

void EngineFlags::add_to(CLI::App& app) {
  const std::string group = "Model and engine";
  const auto in_group = [&](CLI::Option* option) { option->group(group); };
  in_group(add_option(app, "model", model, "A GGUF file, or \"default\" (see kvevict models)")
               ->option_text("MODEL"));
  in_group(
      add_option(app, "gpu_layers", gpu_layers, "Layers to offload to GPUs: auto (what fits) or a number")
          ->option_text("auto|N"));
  in_group(add_option(app, "devices", devices, "Devices to use (kvevict --version lists them)")
               ->delimiter(',')
               ->option_text("NAME,..."));
  in_group(
      add_option(app, "rpc", rpc, "Workers to use (kvevict rpc-worker), for models larger than this machine")
          ->delimiter(',')
          ->option_text("HOST:PORT,..."));
  in_group(add_choice(app, "split_mode", split_mode, "How several GPUs share the model",
                      {"none", "layer", "row"}));
  in_group(add_count(app, "main_gpu", main_gpu, "The GPU of the whole model with --split_mode none"));
  in_group(add_count(
      app, "threads", threads,
      "Threads (0: $OMP_NUM_THREADS, else one for each core, fewer while other programs use processors)"));
  in_group(add_count(app, "threads_batch", threads_batch, "Threads for batches: prefill (0: as --threads)"));
  in_group(add_poll(app));
  in_group(add_flag(app, "no_mmap", no_mmap, "Read the model file instead of mapping it"));
  in_group(add_choice(app, "flash_attention", flash_attention, "Flash attention", {"auto", "on", "off"}));
  in_group(add_option(app, "kv_type", kv_type, "Element type of K and V: f32, f16, bf16, q8_0, q4_0")
               ->option_text("TYPE"));
  in_group(add_option(app, "kv_type_k", kv_type_k, "Element type of K alone")->option_text("TYPE"));
  in_group(add_option(app, "kv_type_v", kv_type_v, "Element type of V alone")->option_text("TYPE"));
  in_group(add_count(app, "batch", batch, "Most tokens handed to llama.cpp at once"));
  in_group(add_count(app, "ubatch", ubatch, "Most tokens computed at once"));
  in_group(add_choice(app, "prefill", prefill,
                      "full: the whole prompt, then one eviction; bounded: chunk by chunk, never more than "
                      "budget + chunk tokens",
                      {"full", "bounded"}));
  in_group(add_count(app, "chunk", chunk, "Bounded prefill: tokens between two evictions (as --ubatch)"));
  in_group(add_option(app, "positions", positions,
                      "Positions of kept tokens: absolute (with a full prefill), packed, or auto (with a "
                      "bounded one): absolute, "
                      "packed whenever the trained context would be passed; streaming_llm: always packed")
               ->check(CLI::IsMember({"absolute", "packed", "auto"})));
  in_group(add_count(
      app, "decode_slack", decode_slack,
      "Packed positions, ladder, h2o, snapkv, tova: tokens by which the cache may outgrow its budget between "
      "evictions while decoding"));
  in_group(
      add_option(
          app, "kv_memory", kv_memory,
          "A limit for K and V, such as 512MiB, instead of token counts: of the whole run, copies in flight "
          "included; after a full prefill of prompts of unknown length: of what is held from then on")
          ->option_text("SIZE"));
  in_group(add_flag(app, "dry_run", dry_run,
                    "Print what would be needed (weights, KV cache, compute buffers) and stop"));
}

ModelOptions EngineFlags::model_options() const {
  ModelOptions options;
  options.path = find_model(model);
  options.gpu_layers = parse_gpu_layers(gpu_layers);
  options.devices = devices;
  for (const std::string& name : add_rpc_workers(rpc, accepts_connection)) options.devices.push_back(name);
  options.split_mode = parse_split_mode(split_mode);
  options.main_gpu = main_gpu;
  options.use_mmap = !no_mmap;
  options.weights = !dry_run;
  return options;
}

std::shared_ptr<const Model> EngineFlags::load_model() const {
  std::shared_ptr<const Model> model = Model::load(model_options());
  if (const std::string slow = slow_kv_types(*model, session_options()); !slow.empty()) spdlog::warn(slow);
  return model;
}

SessionOptions EngineFlags::session_options() const {
  SessionOptions options;
  options.flash_attention = parse_flash_attention(flash_attention);
  options.type_k =
      parse_type(kv_type_k.empty() ? "kv_type" : "kv_type_k", kv_type_k.empty() ? kv_type : kv_type_k);
  options.type_v =
      parse_type(kv_type_v.empty() ? "kv_type" : "kv_type_v", kv_type_v.empty() ? kv_type : kv_type_v);
  options.n_batch = batch;
  options.n_ubatch = ubatch;
  options.n_threads = threads;
  options.n_threads_batch = threads_batch;
  options.n_chunk = chunk.value_or(std::min(batch, ubatch));
  options.prefill = is_bounded() ? PrefillMode::kBounded : PrefillMode::kFull;
  options.positions = parse_position_mode(positions);
  options.n_decode_slack = decode_slack;
  return options;
}

}  // namespace kvevict::cli
