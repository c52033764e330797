#include "engine/gguf_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>

#include "base/split_name.h"
#include "engine/llama_log.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_gguf_magic(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    throw Error(ErrorCode::kNotFound, "there is no model file " + path.string());
  }
  if (std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::kBadData, path.string() + " is a folder: the path of a GGUF file is needed");
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kIo, "the model file " + path.string() + " cannot be opened for reading");
  std::array<char, 4> magic{};
  file.read(magic.data(), magic.size());
  if (file.gcount() != 4 || std::memcmp(magic.data(), "GGUF", 4) != 0) {
    throw Error(ErrorCode::kBadData, path.string() + " is not a GGUF file: it does not begin with \"GGUF\"");
  }
}

std::optional<std::int64_t> scalar(const gguf_context* gguf, std::int64_t id) {
  switch (gguf_get_kv_type(gguf, id)) {
    case GGUF_TYPE_UINT8:
      return gguf_get_val_u8(gguf, id);
    case GGUF_TYPE_INT8:
      return gguf_get_val_i8(gguf, id);
    case GGUF_TYPE_UINT16:
      return gguf_get_val_u16(gguf, id);
    case GGUF_TYPE_INT16:
      return gguf_get_val_i16(gguf, id);
    case GGUF_TYPE_UINT32:
      return gguf_get_val_u32(gguf, id);
    case GGUF_TYPE_INT32:
      return gguf_get_val_i32(gguf, id);
    case GGUF_TYPE_UINT64:
      return static_cast<std::int64_t>(gguf_get_val_u64(gguf, id));
    case GGUF_TYPE_INT64:
      return gguf_get_val_i64(gguf, id);
    default:
      return std::nullopt;
  }
}

/// The number of the layer in "blk.N.…"; -1 for other names.
int layer_of_tensor(const std::string& name) {
  if (name.rfind("blk.", 0) != 0) return -1;
  int layer = 0;
  for (std::size_t i = 4; i < name.size() && name[i] >= '0' && name[i] <= '9' && layer < 100000; ++i) {
    layer = layer * 10 + (name[i] - '0');
  }
  return layer;
}

/// Bytes that a file with this header has at least.
std::int64_t bytes_needed(const gguf_context* gguf) {
  const auto data_offset = static_cast<std::int64_t>(gguf_get_data_offset(gguf));
  std::int64_t needed = data_offset;
  for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf); ++i) {
    const auto end =
        static_cast<std::int64_t>(gguf_get_tensor_offset(gguf, i) + gguf_get_tensor_size(gguf, i));
    needed = std::max(needed, data_offset + end);
  }
  return needed;
}

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) {
  add_part(path);
  refuse_other_contents(path);
  for (const std::filesystem::path& part : further_parts(path)) add_part(part);
}

void GgufFile::add_part(const std::filesystem::path& path) {
  require_gguf_magic(path);
  const auto n_bytes = static_cast<std::int64_t>(std::filesystem::file_size(path));
  const LlamaLogCapture log;
  GgufHandle gguf(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (!gguf) {
    throw Error(ErrorCode::kBadData, "the GGUF header of " + path.string() +
                                         " cannot be read, the file is broken or truncated: " + log.reason());
  }
  if (const std::int64_t needed = bytes_needed(gguf.get()); n_bytes < needed) {
    throw Error(ErrorCode::kBadData, path.string() + " is truncated: it has " + std::to_string(n_bytes) +
                                         " bytes where its header announces " + std::to_string(needed) +
                                         "; fetch it again");
  }
  file_bytes_ += n_bytes;
  files_.push_back(path);
  parts_.push_back(std::move(gguf));
}

void GgufFile::refuse_other_contents(const std::filesystem::path& path) const {
  const std::string type = text("general.type");  // absent from old files
  const char* what = nullptr;
  if (type == "imatrix") what = "an importance matrix";
  if (type == "adapter") what = "an adapter (LoRA)";
  if (type == "mmproj") what = "a projector for images or sound";
  if (what == nullptr) return;
  throw Error(ErrorCode::kUnsupported, path.string() + " is no language model, but " + what +
                                           ": the GGUF file of the model itself is needed");
}

std::vector<std::filesystem::path> GgufFile::further_parts(const std::filesystem::path& path) const {
  const std::int64_t count_id = find("split.count");
  const std::int64_t n_parts = count_id < 0 ? 0 : scalar(parts_.front().get(), count_id).value_or(0);
  if (n_parts < 2) return {};
  const std::int64_t number_id = find("split.no");
  const std::int64_t number = 1 + (number_id < 0 ? 0 : scalar(parts_.front().get(), number_id).value_or(0));
  const auto name = parse_split_name(path.string());
  if (!name || name->n_parts != n_parts || name->number != number) {
    const std::string ending =
        SplitName{"", static_cast<int>(number), static_cast<int>(n_parts)}.part(static_cast<int>(number));
    throw Error(ErrorCode::kBadData,
                path.string() + " is part " + std::to_string(number) + " of " + std::to_string(n_parts) +
                    " of a model, and the other parts are found by its name, which must end in " + ending);
  }
  if (number != 1) {
    throw Error(ErrorCode::kBadData, path.string() + " is part " + std::to_string(number) + " of " +
                                         std::to_string(n_parts) + " of a model: name the first, " +
                                         name->part(1));
  }
  const std::vector<std::string> all = name->all_parts();
  std::error_code ignored;
  for (std::size_t i = 1; i < all.size(); ++i) {
    if (std::filesystem::exists(all[i], ignored)) continue;
    throw Error(ErrorCode::kNotFound, "part " + std::to_string(i + 1) + " of " + std::to_string(n_parts) +
                                          " of the model " + path.string() + " is missing: " + all[i] +
                                          " is not there");
  }
  return {all.begin() + 1, all.end()};
}

std::int64_t GgufFile::find(const std::string& key) const {
  return gguf_find_key(parts_.front().get(), key.c_str());
}

std::string GgufFile::text(const std::string& key) const {
  const std::int64_t id = find(key);
  if (id < 0 || gguf_get_kv_type(parts_.front().get(), id) != GGUF_TYPE_STRING) return {};
  return gguf_get_val_str(parts_.front().get(), id);
}

std::string GgufFile::architecture() const {
  return text("general.architecture");
}

std::optional<std::int64_t> GgufFile::number(const std::string& key) const {
  const std::int64_t id = find(architecture() + "." + key);
  return id < 0 ? std::nullopt : scalar(parts_.front().get(), id);
}

std::optional<std::int64_t> GgufFile::number_of_layer(const std::string& key, int layer) const {
  const std::int64_t id = find(architecture() + "." + key);
  if (id < 0) return std::nullopt;
  if (gguf_get_kv_type(parts_.front().get(), id) != GGUF_TYPE_ARRAY) return scalar(parts_.front().get(), id);
  const gguf_type type = gguf_get_arr_type(parts_.front().get(), id);
  if (static_cast<std::size_t>(layer) >= gguf_get_arr_n(parts_.front().get(), id)) return std::nullopt;
  if (type == GGUF_TYPE_BOOL)
    return static_cast<const std::int8_t*>(gguf_get_arr_data(parts_.front().get(), id))[layer];
  if (type != GGUF_TYPE_INT32 && type != GGUF_TYPE_UINT32) return std::nullopt;
  return static_cast<const std::int32_t*>(gguf_get_arr_data(parts_.front().get(), id))[layer];
}

std::vector<float> GgufFile::floats(const std::string& tensor) const {
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    const gguf_context* const gguf = parts_[part].get();
    const std::int64_t id = gguf_find_tensor(gguf, tensor.c_str());
    if (id < 0 || gguf_get_tensor_type(gguf, id) != GGML_TYPE_F32) continue;
    std::vector<float> numbers(gguf_get_tensor_size(gguf, id) / sizeof(float));
    std::ifstream file(files_[part], std::ios::binary);
    file.seekg(static_cast<std::streamoff>(gguf_get_data_offset(gguf) + gguf_get_tensor_offset(gguf, id)));
    file.read(reinterpret_cast<char*>(numbers.data()),
              static_cast<std::streamsize>(numbers.size() * sizeof(float)));
    if (!file) throw Error(ErrorCode::kIo, "cannot read " + tensor + " of " + files_[part].string());
    return numbers;
  }
  return {};
}

std::vector<std::int64_t> GgufFile::tensor_bytes_by_layer(int n_layers) const {
  std::vector<std::int64_t> bytes(static_cast<std::size_t>(n_layers) + 1, 0);
  for (const GgufHandle& part : parts_) {
    for (std::int64_t i = 0; i < gguf_get_n_tensors(part.get()); ++i) {
      const int layer = layer_of_tensor(gguf_get_tensor_name(part.get(), i));
      const bool is_layer = layer >= 0 && layer < n_layers;
      bytes[is_layer ? static_cast<std::size_t>(layer) : bytes.size() - 1] +=
          static_cast<std::int64_t>(gguf_get_tensor_size(part.get(), i));
    }
  }
  return bytes;
}

namespace {

/// Layers between two with attention, for a model whose others keep a state: as llama.cpp reads it.
std::int64_t attention_interval(const GgufFile& file) {
  const bool has_default = file.architecture().starts_with("qwen") && file.number("ssm.inner_size");
  return file.number("full_attention_interval").value_or(has_default ? 4 : 0);
}

/// Whether `layer` has no attention, but a state: it is in a list of such layers, or no attention is due; or
/// a feed-forward network alone. (Another way to say so is a layer without KV heads.)
bool has_no_attention(const GgufFile& file, int layer) {
  if (file.architecture().starts_with("nemotron_h") &&
      file.number_of_layer("feed_forward_length", layer).value_or(0) > 0)
    return true;
  if (file.architecture() == "falcon-h1") return false;  // its layers have both, side by side
  if (const auto listed = file.number_of_layer("attention.recurrent_layers", layer)) return *listed != 0;
  const std::int64_t interval = attention_interval(file);
  return interval > 0 && (layer + 1) % interval != 0;
}

}  // namespace

std::vector<KvWidth> kv_widths(const GgufFile& file) {
  const auto n_layers = static_cast<int>(file.number("block_count").value_or(0));
  const std::int64_t n_embd = file.number("embedding_length").value_or(0);
  // The last layers may use the K and V of earlier ones, or predict further tokens, which is not asked of
  // them.
  const std::int64_t n_without =
      file.number("attention.shared_kv_layers").value_or(0) + file.number("nextn_predict_layers").value_or(0);
  const bool is_mla = file.number("attention.key_length_mla").value_or(0) > 0;  // llama.cpp writes 0 for none
  std::vector<KvWidth> widths;
  for (int layer = 0; layer < n_layers; ++layer) {
    const std::int64_t n_head = file.number_of_layer("attention.head_count", layer).value_or(1);
    const std::int64_t n_head_kv = file.number_of_layer("attention.head_count_kv", layer).value_or(n_head);
    const std::int64_t head_dim = n_head > 0 ? n_embd / n_head : 0;
    KvWidth width;
    if (layer < n_layers - n_without && !has_no_attention(file, layer)) {
      width.k = n_head_kv * file.number_of_layer("attention.key_length", layer).value_or(head_dim);
      width.v =
          is_mla ? 0 : n_head_kv * file.number_of_layer("attention.value_length", layer).value_or(head_dim);
    }
    widths.push_back(width);
  }
  return widths;
}

}  // namespace kvevict
