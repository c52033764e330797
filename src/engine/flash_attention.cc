#include "engine/flash_attention.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <string_view>

#include "kvevict/error.h"

namespace kvevict {
namespace {

constexpr std::string_view kKeys = "cache_k_l";

/// The bytes of a tensor that lies in any device's memory, from its first element on.
std::vector<std::uint8_t> bytes_of(const ggml_tensor& tensor) {
  std::vector<std::uint8_t> bytes(ggml_nbytes(&tensor));
  ggml_backend_tensor_get(&tensor, bytes.data(), 0, bytes.size());
  return bytes;
}

/// Rows [first, first + n) of each plane of `from`, `[width, rows, planes]` of any strides, densely into
/// `to`.
void copy_planes(const ggml_tensor& from, std::int64_t first, ggml_tensor& to) {
  const std::vector<std::uint8_t> bytes = bytes_of(from);
  const std::size_t row_bytes = ggml_row_size(from.type, from.ne[0]);
  std::vector<std::uint8_t> dense(ggml_nbytes(&to));
  std::uint8_t* out = dense.data();
  for (std::int64_t plane = 0; plane < to.ne[2]; ++plane) {
    for (std::int64_t row = first; row < first + to.ne[1]; ++row) {
      std::memcpy(out,
                  bytes.data() + static_cast<std::size_t>(plane) * from.nb[2] +
                      static_cast<std::size_t>(row) * from.nb[1],
                  row_bytes);
      out += row_bytes;
    }
  }
  ggml_backend_tensor_set(&to, dense.data(), 0, dense.size());
}

ggml_backend_buffer_t buffer_of(const ggml_tensor& tensor) {
  return tensor.view_src != nullptr ? tensor.view_src->buffer : tensor.buffer;
}

/// The keys where they lie, in a graph of the CPU; one to be copied into if that is another device's memory.
/// A copy of each layer's keys for each token would cost more than the product.
ggml_tensor* keys_for_cpu(ggml_context* g, const ggml_tensor& k) {
  ggml_tensor* const keys = ggml_new_tensor_3d(g, k.type, k.ne[0], k.ne[1], k.ne[2]);
  if (!is_in_host_memory(k)) return keys;
  std::copy(std::begin(k.nb), std::end(k.nb), keys->nb);
  keys->data = k.data;
  keys->buffer = buffer_of(k);
  return keys;
}

/// What ggml_flash_attn_ext was told beside its tensors.
struct Numbers {
  explicit Numbers(const ggml_tensor& attention) {
    std::memcpy(&scale, attention.op_params, sizeof scale);
    std::memcpy(&max_bias, attention.op_params + 1, sizeof max_bias);
    std::memcpy(&softcap, attention.op_params + 2, sizeof softcap);
  }
  float scale = 1, max_bias = 0, softcap = 0;
};

}  // namespace

bool is_in_host_memory(const ggml_tensor& tensor) {
  const ggml_backend_buffer_t buffer = buffer_of(tensor);
  return tensor.data != nullptr && buffer != nullptr && ggml_backend_buffer_is_host(buffer);
}

std::optional<int> flash_attention_layer(const ggml_tensor& tensor) {
  if (tensor.op != GGML_OP_FLASH_ATTN_EXT) return std::nullopt;
  // Views, and a cast of f32 keys, lie between the cache and the attention, which alone has no name.
  for (const ggml_tensor* k = tensor.src[1]; k != nullptr;
       k = k->view_src != nullptr ? k->view_src : k->src[0]) {
    const std::string_view name(ggml_get_name(k));
    if (!name.starts_with(kKeys)) continue;
    int layer = -1;
    const auto [end, error] = std::from_chars(name.data() + kKeys.size(), name.data() + name.size(), layer);
    if (error == std::errc()) return layer;
  }
  return std::nullopt;
}

FlashAttentionReader::Probabilities FlashAttentionReader::last_queries(const ggml_tensor& attention,
                                                                       std::size_t n_queries) {
  const ggml_tensor& q = *attention.src[0];
  const ggml_tensor& k = *attention.src[1];
  const ggml_tensor* const mask = attention.src[3];
  const ggml_tensor* const sinks = attention.src[4];
  if (q.ne[3] != 1 || k.ne[3] != 1 || q.type != GGML_TYPE_F32 || mask == nullptr) {
    throw Error(ErrorCode::kUnsupported,
                "the flash attention of this model is of a form whose probabilities are not known here: turn "
                "flash attention off");
  }
  const auto n = static_cast<std::int64_t>(std::min(n_queries, static_cast<std::size_t>(q.ne[1])));
  const std::int64_t first = q.ne[1] - n;
  const Numbers numbers(attention);
  constexpr std::size_t kTensors = 16;
  const GgmlContextHandle context(
      ggml_init({.mem_size = kTensors * ggml_tensor_overhead() + ggml_graph_overhead(),
                 .mem_buffer = nullptr,
                 .no_alloc = true}));
  ggml_context* const g = context.get();
  ggml_tensor* const queries = ggml_new_tensor_3d(g, q.type, q.ne[0], n, q.ne[2]);
  ggml_tensor* const keys = keys_for_cpu(g, k);
  const bool is_copied = keys->data == nullptr;
  ggml_tensor* const seen = ggml_new_tensor_3d(g, mask->type, mask->ne[0], n, 1);
  ggml_tensor* const sink = sinks == nullptr ? nullptr : ggml_new_tensor_1d(g, sinks->type, sinks->ne[0]);
  ggml_tensor* products = ggml_mul_mat(g, keys, queries);
  ggml_prec_set_acc(products, GGML_PREC_F32);
  float scale = numbers.scale;
  if (numbers.softcap != 0) {
    products = ggml_tanh(g, ggml_scale(g, products, scale / numbers.softcap));
    products = ggml_scale(g, products, numbers.softcap);
    scale = 1;
  }
  ggml_tensor* const probabilities = ggml_soft_max_ext(g, products, seen, scale, numbers.max_bias);
  if (sink != nullptr) ggml_soft_max_add_sinks(probabilities, sink);
  ggml_cgraph* const graph = ggml_new_graph(g);
  ggml_build_forward_expand(graph, probabilities);
  const GgmlBufferHandle buffer(ggml_backend_alloc_ctx_tensors(g, backend_.get()));
  if (!buffer) throw Error(ErrorCode::kOutOfMemory, "no memory for the attention of a layer");
  copy_planes(q, first, *queries);
  if (is_copied) copy_planes(k, 0, *keys);
  copy_planes(*mask, first, *seen);
  if (sink != nullptr) copy_planes(*sinks, 0, *sink);
  if (ggml_backend_graph_compute(backend_.get(), graph) != GGML_STATUS_SUCCESS)
    throw Error(ErrorCode::kEngine, "ggml could not compute the attention of a layer");
  values_.resize(static_cast<std::size_t>(ggml_nelements(probabilities)));
  ggml_backend_tensor_get(probabilities, values_.data(), 0, values_.size() * sizeof(float));
  return {values_, static_cast<std::size_t>(k.ne[1]), static_cast<std::size_t>(n),
          static_cast<std::size_t>(q.ne[2])};
}

}  // namespace kvevict
