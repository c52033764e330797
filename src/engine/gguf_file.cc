#include "engine/gguf_file.h"

#include <array>
#include <cstring>
#include <fstream>

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

}  // namespace

GgufFile::GgufFile(const std::filesystem::path& path) : path_(path) {
  require_gguf_magic(path);
  file_bytes_ = static_cast<std::int64_t>(std::filesystem::file_size(path));
  const LlamaLogCapture log;
  gguf_.reset(gguf_init_from_file(path.c_str(), {.no_alloc = true, .ctx = nullptr}));
  if (!gguf_) {
    throw Error(ErrorCode::kBadData, "the GGUF header of " + path.string() +
                                         " cannot be read, the file is broken or truncated: " + log.reason());
  }
  std::int64_t needed = static_cast<std::int64_t>(gguf_get_data_offset(gguf_.get()));
  const std::int64_t data_offset = needed;
  for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf_.get()); ++i) {
    const auto end = static_cast<std::int64_t>(gguf_get_tensor_offset(gguf_.get(), i) +
                                               gguf_get_tensor_size(gguf_.get(), i));
    needed = std::max(needed, data_offset + end);
  }
  if (file_bytes_ < needed) {
    throw Error(ErrorCode::kBadData, path.string() + " is truncated: it has " + std::to_string(file_bytes_) +
                                         " bytes where its header announces " + std::to_string(needed) +
                                         "; fetch it again");
  }
}

std::int64_t GgufFile::find(const std::string& key) const {
  return gguf_find_key(gguf_.get(), key.c_str());
}

std::string GgufFile::text(const std::string& key) const {
  const std::int64_t id = find(key);
  if (id < 0 || gguf_get_kv_type(gguf_.get(), id) != GGUF_TYPE_STRING) return {};
  return gguf_get_val_str(gguf_.get(), id);
}

std::string GgufFile::architecture() const {
  return text("general.architecture");
}

std::optional<std::int64_t> GgufFile::number(const std::string& key) const {
  const std::int64_t id = find(architecture() + "." + key);
  return id < 0 ? std::nullopt : scalar(gguf_.get(), id);
}

std::optional<std::int64_t> GgufFile::number_of_layer(const std::string& key, int layer) const {
  const std::int64_t id = find(architecture() + "." + key);
  if (id < 0) return std::nullopt;
  if (gguf_get_kv_type(gguf_.get(), id) != GGUF_TYPE_ARRAY) return scalar(gguf_.get(), id);
  const gguf_type type = gguf_get_arr_type(gguf_.get(), id);
  const bool is_32_bit = type == GGUF_TYPE_INT32 || type == GGUF_TYPE_UINT32;
  if (!is_32_bit || static_cast<std::size_t>(layer) >= gguf_get_arr_n(gguf_.get(), id)) return std::nullopt;
  return static_cast<const std::int32_t*>(gguf_get_arr_data(gguf_.get(), id))[layer];
}

std::vector<std::int64_t> GgufFile::tensor_bytes_by_layer(int n_layers) const {
  std::vector<std::int64_t> bytes(static_cast<std::size_t>(n_layers) + 1, 0);
  for (std::int64_t i = 0; i < gguf_get_n_tensors(gguf_.get()); ++i) {
    const int layer = layer_of_tensor(gguf_get_tensor_name(gguf_.get(), i));
    const bool is_layer = layer >= 0 && layer < n_layers;
    bytes[is_layer ? static_cast<std::size_t>(layer) : bytes.size() - 1] +=
        static_cast<std::int64_t>(gguf_get_tensor_size(gguf_.get(), i));
  }
  return bytes;
}

std::vector<KvWidth> kv_widths(const GgufFile& file) {
  const auto n_layers = static_cast<int>(file.number("block_count").value_or(0));
  const std::int64_t n_embd = file.number("embedding_length").value_or(0);
  const std::int64_t n_without = file.number("attention.shared_kv_layers").value_or(0);
  const bool is_mla = file.number("attention.key_length_mla").value_or(0) > 0;  // llama.cpp writes 0 for none
  std::vector<KvWidth> widths;
  for (int layer = 0; layer < n_layers; ++layer) {
    const std::int64_t n_head = file.number_of_layer("attention.head_count", layer).value_or(1);
    const std::int64_t n_head_kv = file.number_of_layer("attention.head_count_kv", layer).value_or(n_head);
    const std::int64_t head_dim = n_head > 0 ? n_embd / n_head : 0;
    KvWidth width;
    if (layer < n_layers - n_without) {
      width.k = n_head_kv * file.number_of_layer("attention.key_length", layer).value_or(head_dim);
      width.v =
          is_mla ? 0 : n_head_kv * file.number_of_layer("attention.value_length", layer).value_or(head_dim);
    }
    widths.push_back(width);
  }
  return widths;
}

}  // namespace kvevict
