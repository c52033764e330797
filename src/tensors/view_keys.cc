#include "kvevict/view_keys.h"

#include <string>
#include <utility>
#include <vector>

#include "kvevict/error.h"
#include "tensors/element_convert.h"

namespace kvevict {
namespace {

void copy_as_floats(const KvView& keys, const KvView& target) {
  if (!is_computable(keys.type()) || keys.memory() != MemoryKind::kHost) {
    throw Error(ErrorCode::kUnsupported,
                "keys of type " + std::string(to_string(keys.type())) +
                    (keys.memory() == MemoryKind::kHost ? "" : " in device memory") +
                    " cannot be compared: f32, f16 or bf16 in host memory is needed");
  }
  const KvShape& shape = keys.shape();
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.kv_heads; ++h) {
      for (std::int64_t row = 0; row < shape.seq; ++row) {
        read_floats(keys.type(), keys.row(b, h, row), keys.strides().head_dim, shape.head_dim,
                    reinterpret_cast<float*>(target.row(b, h, row)));
      }
    }
  }
}

class ViewKeys final : public CachedKeys {
 public:
  ViewKeys(const DynamicCache& cache, const std::optional<RopeConfig>& rope) : cache_(cache), rope_(rope) {
    std::vector<KeepSet> sets;
    std::vector<std::size_t> set_of_layer;
    for (std::size_t l = 0; l < cache.n_layers(); ++l) {
      if (sets.empty() || sets.back() != cache.abs_pos(l)) sets.push_back(cache.abs_pos(l));
      set_of_layer.push_back(sets.size() - 1);
    }
    if (sets.size() == 1) held_ = KeepPlan(sets.front());
    if (sets.size() > 1) held_ = KeepPlan(std::move(sets), std::move(set_of_layer));
  }

  [[nodiscard]] const KeepPlan& held() const override { return held_; }
  [[nodiscard]] std::size_t n_layers() const override { return cache_.n_layers(); }

  [[nodiscard]] LayerKeys layer(std::size_t layer) override {
    const KvView keys = cache_.k(layer);
    const KvShape& shape = keys.shape();
    numbers_.resize(static_cast<std::size_t>(keys.n_elements()));
    const std::int64_t n_heads = shape.batch * shape.kv_heads;
    const KvView target(reinterpret_cast<std::byte*>(numbers_.data()), ElementType::kF32, shape,
                        KvStrides{.batch = shape.kv_heads * shape.head_dim,
                                  .kv_heads = shape.head_dim,
                                  .seq = n_heads * shape.head_dim,
                                  .head_dim = 1});
    if (rope_) {
      rotate_keys_back_into(target, keys, cache_.rope_pos(layer), *rope_);
    } else {
      copy_as_floats(keys, target);
    }
    return {numbers_, n_heads, shape.head_dim};
  }

 private:
  const DynamicCache& cache_;
  std::optional<RopeConfig> rope_;
  KeepPlan held_;
  std::vector<float> numbers_;
};

}  // namespace

std::unique_ptr<CachedKeys> keys_of(const DynamicCache& cache, const std::optional<RopeConfig>& rope) {
  return std::make_unique<ViewKeys>(cache, rope);
}

}  // namespace kvevict
