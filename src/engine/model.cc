#include "kvevict/model.h"

#include <algorithm>

#include "base/cache_folder.h"
#include "base/processor_load.h"
#include "engine/cells.h"
#include "engine/display_name.h"
#include "engine/ggml_types.h"
#include "engine/gguf_file.h"
#include "engine/gpu_fit.h"
#include "engine/key_form.h"
#include "engine/llama_handles.h"
#include "engine/llama_log.h"
#include "engine/model_traits.h"
#include "engine/window_layers.h"
#include "kvevict/engine_info.h"
#include "kvevict/error.h"
#include "text/remembered_hash.h"

namespace kvevict {

struct KVEVICT_PRIVATE Model::Impl {
  ModelOptions options;
  ModelInfo info;
  std::vector<KvWidth> widths;
  std::vector<std::filesystem::path> files;  // more than one if the file is split
  LlamaModelHandle handle;
  mutable ProcessorLoad load;  // of the processors; sessions on several threads ask it
  mutable KeyForms key_forms;
};

namespace {

std::vector<ggml_backend_dev_t> find_devices(const std::vector<std::string>& names) {
  std::vector<ggml_backend_dev_t> devices;
  for (const std::string& name : names) {
    ggml_backend_dev_t device = ggml_backend_dev_by_name(name.c_str());
    if (device == nullptr) {
      std::string known;
      for (const Device& d : engine_info().devices) known += (known.empty() ? "" : ", ") + d.name;
      throw Error(ErrorCode::kInvalidArgument,
                  "there is no device \"" + name + "\": llama.cpp found " + known);
    }
    devices.push_back(device);
  }
  if (!devices.empty()) devices.push_back(nullptr);
  return devices;
}

std::int64_t row_bytes(ggml_type type, std::int64_t width) {
  const std::int64_t block = ggml_blck_size(type);
  return (width + block - 1) / block * static_cast<std::int64_t>(ggml_type_size(type));
}

std::int64_t kv_bytes(const std::vector<KvWidth>& widths, KvType type_k, KvType type_v) {
  std::int64_t bytes = 0;
  for (const KvWidth& width : widths)
    bytes += row_bytes(to_ggml(type_k), width.k) + row_bytes(to_ggml(type_v), width.v);
  return bytes;
}

/// The layers to offload: what was asked for, or as many as fit; -1 without a device.
int choose_gpu_layers(const ModelOptions& options, const GgufFile& file, const std::vector<KvWidth>& widths) {
  std::int64_t free_bytes = 0;
  bool has_gpu = false;
  for (const Device& device : engine_info().devices) {
    const bool is_chosen = options.devices.empty() ? device.is_gpu
                                                   : std::find(options.devices.begin(), options.devices.end(),
                                                               device.name) != options.devices.end();
    if (!is_chosen) continue;
    has_gpu = true;
    free_bytes += device.free_bytes;
  }
  if (!has_gpu) return -1;
  const auto n_layers = static_cast<int>(widths.size());
  if (options.gpu_layers) return std::min(*options.gpu_layers, n_layers + 1);
  const std::int64_t n_context =
      options.n_context_for_fit > 0 ? options.n_context_for_fit : file.number("context_length").value_or(0);
  const std::int64_t kv_per_layer =
      n_layers > 0 ? n_context * kv_bytes(widths, KvType::kF16, KvType::kF16) / n_layers : 0;
  return layers_that_fit(file.tensor_bytes_by_layer(n_layers), kv_per_layer, free_bytes);
}

bool forward_progress(float progress, void* options) {
  return static_cast<const ModelOptions*>(options)->on_progress(static_cast<double>(progress));
}

llama_split_mode to_llama(SplitMode mode) {
  switch (mode) {
    case SplitMode::kNone:
      return LLAMA_SPLIT_MODE_NONE;
    case SplitMode::kRow:
      return LLAMA_SPLIT_MODE_ROW;
    case SplitMode::kLayer:
      break;
  }
  return LLAMA_SPLIT_MODE_LAYER;
}

void require_decodable(const llama_model* model, const std::filesystem::path& path) {
  const std::string why = reason_not_decodable(model);
  if (why.empty()) return;
  throw Error(ErrorCode::kUnsupported,
              path.string() + " cannot go on token by token: " + why + "; a decoder is needed");
}

std::vector<int> layers_with_cache(const std::vector<KvWidth>& widths) {
  std::vector<int> layers;
  for (std::size_t l = 0; l < widths.size(); ++l) {
    if (widths[l].k > 0) layers.push_back(static_cast<int>(l));
  }
  return layers;
}

std::string describe(const llama_model* model) {
  std::string text(256, '\0');
  const std::int32_t n = llama_model_desc(model, text.data(), text.size());
  text.resize(static_cast<std::size_t>(std::clamp(n, 0, 255)));
  return text;
}

ModelInfo make_info(const llama_model* model, const GgufFile& file, const std::filesystem::path& path,
                    const std::vector<KvWidth>& widths, int gpu_layers) {
  const auto n_layers = static_cast<int>(file.number("block_count").value_or(llama_model_n_layer(model)));
  const std::vector<std::int64_t> bytes = file.tensor_bytes_by_layer(n_layers);
  std::int64_t weight_bytes = 0;
  for (const std::int64_t n : bytes) weight_bytes += n;
  return {.name = display_name(file.text("general.name"), path.stem().string()),
          .architecture = file.architecture(),
          .description = describe(model),
          .file_bytes = file.file_bytes(),
          .weight_bytes = weight_bytes,
          .n_parameters = static_cast<std::int64_t>(llama_model_n_params(model)),
          .n_layers = n_layers,
          .cache_layers = layers_with_cache(widths),
          .has_state = has_state(model),
          .reason_not_evictable = reason_not_evictable(model),
          .n_context_trained = static_cast<int>(file.number("context_length").value_or(0)),
          .n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model)),
          .n_gpu_layers = gpu_layers,
          .can_shift_positions = reason_not_shiftable(model).empty(),
          .reason_not_shiftable = reason_not_shiftable(model),
          .has_distances = has_distances_in_attention(model),
          .has_chat_template = llama_model_chat_template(model, nullptr) != nullptr};
}

void add_windows(llama_model* model, ModelInfo& info) {
  info.window_layers = layers_with_window(model);
  std::erase_if(info.window_layers, [&](int layer) {
    return !std::binary_search(info.cache_layers.begin(), info.cache_layers.end(), layer);
  });
  if (!info.window_layers.empty()) info.n_window = llama_model_n_swa(model);
}

}  // namespace

std::shared_ptr<const Model> Model::load(const ModelOptions& options) {
  const GgufFile file(options.path);
  start_llama();
  auto impl = std::make_unique<Impl>();
  impl->options = options;
  impl->widths = kv_widths(file);
  impl->files = file.files();
  std::vector<ggml_backend_dev_t> devices = find_devices(options.devices);
  const int gpu_layers = choose_gpu_layers(options, file, impl->widths);

  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = std::max(0, gpu_layers);
  params.devices = devices.empty() ? nullptr : devices.data();
  params.split_mode = to_llama(options.split_mode);
  params.main_gpu = options.main_gpu;
  params.load_mode = options.use_mmap ? LLAMA_LOAD_MODE_MMAP : LLAMA_LOAD_MODE_NONE;
  if (!options.weights) {
    params.no_alloc = true;
    params.load_mode = LLAMA_LOAD_MODE_NONE;
  }
  if (options.on_progress) {
    params.progress_callback = forward_progress;
    params.progress_callback_user_data = &impl->options;
  }
  const LlamaLogCapture log;
  impl->handle.reset(llama_model_load_from_file(options.path.c_str(), params));
  if (!impl->handle) {
    throw Error(ErrorCode::kEngine, "llama.cpp cannot load " + options.path.string() + ": " + log.reason());
  }
  require_decodable(impl->handle.get(), options.path);
  if (llama_model_is_recurrent(impl->handle.get())) impl->widths.assign(impl->widths.size(), {});
  impl->info = make_info(impl->handle.get(), file, options.path, impl->widths, gpu_layers);
  if (reason_not_evictable(impl->handle.get()).empty()) add_windows(impl->handle.get(), impl->info);
  struct Loaded : Model {  // the constructor is private
    explicit Loaded(std::unique_ptr<Impl> loaded) : Model(std::move(loaded)) {}
  };
  return std::make_shared<const Loaded>(std::move(impl));
}

Model::Model(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Model::~Model() = default;

const ModelInfo& Model::info() const noexcept {
  return impl_->info;
}
const std::filesystem::path& Model::path() const noexcept {
  return impl_->options.path;
}
std::string Model::sha256() const {
  const std::filesystem::path cache = cache_folder();
  return remembered_sha256(impl_->files, cache.empty() ? cache : cache / "checksums");
}
llama_model* Model::handle() const noexcept {
  return impl_->handle.get();
}

ProcessorLoad& Model::processor_load() const noexcept {
  return impl_->load;
}

KeyForms& Model::key_forms() const noexcept {
  return impl_->key_forms;
}

std::int64_t Model::kv_bytes_per_token(KvType type_k, KvType type_v) const {
  return kv_bytes(impl_->widths, type_k, type_v);
}

std::int64_t Model::key_bytes_per_token(KvType type_k) const {
  std::int64_t bytes = 0;
  for (std::size_t l = 0; l < impl_->widths.size(); ++l) {
    const std::vector<int>& windows = impl_->info.window_layers;
    if (!std::binary_search(windows.begin(), windows.end(), static_cast<int>(l)))
      bytes += row_bytes(to_ggml(type_k), impl_->widths[l].k);
  }
  return bytes;
}

std::int64_t Model::window_bytes_per_token(KvType type_k, KvType type_v) const {
  std::vector<KvWidth> widths;
  for (const int layer : impl_->info.window_layers)
    widths.push_back(impl_->widths[static_cast<std::size_t>(layer)]);
  return kv_bytes(widths, type_k, type_v);
}

}  // namespace kvevict
