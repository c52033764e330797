#include "engine/key_rotator.h"

#include <cstdlib>
#include <optional>
#include <string>

#include "engine/model_metadata.h"
#include "engine/model_traits.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

[[noreturn]] void refuse_rotation(const std::string& why) {
  throw Error(ErrorCode::kUnsupported,
              "the keys of this cache cannot be rotated layer by layer: " + why + "; use absolute positions",
              "positions");
}

}  // namespace

KeyRotator::KeyRotator(const KeyRotator& other)
    : backend_(make_cpu_backend(other.n_threads_)),
      type_(other.type_),
      n_threads_(other.n_threads_),
      rope_mode_(other.rope_mode_),
      factors_(other.factors_),
      rotates_none_(other.rotates_none_),
      left_(other.left_),
      head_dim_(other.head_dim_),
      n_rotated_(other.n_rotated_),
      n_before_(other.n_before_),
      freq_base_(other.freq_base_),
      freq_scale_(other.freq_scale_) {}

KeyRotator::KeyRotator(const llama_model* model, ggml_type type, int n_threads, std::vector<float> factors)
    : backend_(make_cpu_backend(n_threads)),
      type_(type),
      n_threads_(n_threads),
      factors_(std::move(factors)) {
  if (!are_keys_rotated(model)) {
    rotates_none_ = true;
    return;
  }
  if (type != GGML_TYPE_F32 && type != GGML_TYPE_F16)
    refuse_rotation(std::string("they are ") + ggml_type_name(type) + ", f32 or f16 is needed");
  switch (llama_model_rope_type(model)) {
    case LLAMA_ROPE_TYPE_NORM:
      rope_mode_ = 0;
      break;
    case LLAMA_ROPE_TYPE_NEOX:
    case LLAMA_ROPE_TYPE_MROPE:  // several positions for each token, which are all the same for text
    case LLAMA_ROPE_TYPE_IMROPE:
      rope_mode_ = GGML_ROPE_TYPE_NEOX;
      break;
    default:
      refuse_rotation("the model's keys have no rotary positions of text");
  }
  const std::string architecture = metadata_of(model, "general.architecture").value_or("");
  const auto number = [&](const std::string& key, double otherwise) {
    const std::optional<std::string> text = metadata_of(model, architecture + "." + key);
    return text ? std::strtod(text->c_str(), nullptr) : otherwise;
  };
  head_dim_ = static_cast<int>(number(
      "attention.key_length", llama_model_n_embd(model) / static_cast<double>(llama_model_n_head(model))));
  n_rotated_ = static_cast<int>(number("rope.dimension_count", head_dim_));
  if (number("attention.kv_lora_rank", 0) > 0) n_before_ = head_dim_ - n_rotated_;
  freq_base_ = static_cast<float>(number("rope.freq_base", 10000));
  freq_scale_ = llama_model_rope_freq_scale_train(model);
  const bool has_fitting_factors =
      factors_.empty() || factors_.size() == static_cast<std::size_t>(n_rotated_) / 2;
  if (head_dim_ < 1 || n_rotated_ < 1 || n_rotated_ > head_dim_ || !has_fitting_factors)
    refuse_rotation("its metadata does not say their shape");
}

void KeyRotator::rotate(std::size_t layer, std::span<std::uint8_t> rows,
                        std::span<const std::int32_t> rotations) const {
  if (!rotations.empty() && rotates(layer)) rotate_rows(rows, rotations);
}

KeyRotator::Turns KeyRotator::turns(std::span<const std::int32_t> rotations) const {
  Turns turns;
  turns.n_pairs = static_cast<std::size_t>(n_rotated_) / 2;
  turns.n_before = static_cast<std::size_t>(n_before_);
  turns.is_neox = rope_mode_ == GGML_ROPE_TYPE_NEOX;
  const auto dim = static_cast<std::size_t>(head_dim_);
  const auto first = [&](std::size_t pair) { return turns.n_before + (turns.is_neox ? pair : 2 * pair); };
  const std::size_t to_second = turns.is_neox ? turns.n_pairs : 1;
  std::vector<float> units(rotations.size() * dim, 0.0F);  // each pair is (1, 0), which turns to (cos, sin)
  for (std::size_t r = 0; r < rotations.size(); ++r) {
    for (std::size_t i = 0; i < turns.n_pairs; ++i) units[r * dim + first(i)] = 1;
  }
  rotate_rows({reinterpret_cast<std::uint8_t*>(units.data()), units.size() * sizeof(float)}, rotations);
  for (std::size_t r = 0; r < rotations.size(); ++r) {
    for (std::size_t i = 0; i < turns.n_pairs; ++i) {
      turns.cosines.push_back(units[r * dim + first(i)]);
      turns.sines.push_back(units[r * dim + first(i) + to_second]);
    }
  }
  return turns;
}

void KeyRotator::rotate_rows(std::span<std::uint8_t> rows, std::span<const std::int32_t> rotations) const {
  const auto n_rows = static_cast<std::int64_t>(rotations.size());
  const auto n_heads = static_cast<std::int64_t>(rows.size() / ggml_type_size(type_)) / (n_rows * head_dim_);
  if (n_heads < 1 ||
      static_cast<std::size_t>(n_heads * head_dim_ * n_rows) * ggml_type_size(type_) != rows.size())
    refuse_rotation("their rows are of another length than the model's heads");
  constexpr std::size_t kTensors = 8;
  const ggml_init_params params = {.mem_size = kTensors * ggml_tensor_overhead() + ggml_graph_overhead(),
                                   .mem_buffer = nullptr,
                                   .no_alloc = true};
  const GgmlContextHandle context(ggml_init(params));
  ggml_tensor* const keys = ggml_new_tensor_3d(context.get(), type_, head_dim_, n_heads, n_rows);
  ggml_tensor* const positions = ggml_new_tensor_1d(context.get(), GGML_TYPE_I32, n_rows);
  // A latent key (MLA) has its rotated dimensions last.
  ggml_tensor* const part =
      ggml_view_3d(context.get(), keys, head_dim_ - n_before_, n_heads, n_rows, keys->nb[1], keys->nb[2],
                   static_cast<std::size_t>(n_before_) * keys->nb[0]);
  ggml_tensor* const factors =
      factors_.empty() ? nullptr : ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, std::ssize(factors_));
  ggml_tensor* const rotated = ggml_rope_ext_inplace(context.get(), part, positions, factors, n_rotated_,
                                                     rope_mode_, 0, freq_base_, freq_scale_, 0, 1, 32, 1);
  ggml_cgraph* const graph = ggml_new_graph(context.get());
  ggml_build_forward_expand(graph, rotated);
  const GgmlBufferHandle buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend_.get()));
  if (!buffer) throw Error(ErrorCode::kOutOfMemory, "no memory to rotate the keys of a layer");
  ggml_backend_tensor_set(keys, rows.data(), 0, rows.size());
  ggml_backend_tensor_set(positions, rotations.data(), 0, rotations.size_bytes());
  if (factors != nullptr)
    ggml_backend_tensor_set(factors, factors_.data(), 0, factors_.size() * sizeof(float));
  if (ggml_backend_graph_compute(backend_.get(), graph) != GGML_STATUS_SUCCESS)
    throw Error(ErrorCode::kEngine, "ggml could not rotate the keys of a layer");
  ggml_backend_tensor_get(keys, rows.data(), 0, rows.size());
}

}  // namespace kvevict
