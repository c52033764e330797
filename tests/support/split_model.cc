#include "support/split_model.h"

#include <ggml.h>
#include <gguf.h>

#include <memory>
#include <stdexcept>

#include "base/split_name.h"

namespace kvevict::test {
namespace fs = std::filesystem;
namespace {

using Gguf = std::unique_ptr<gguf_context, decltype(&gguf_free)>;

void write_part(const gguf_context* whole, ggml_context* tensors, const fs::path& path, int number,
                int n_parts) {
  const Gguf part(gguf_init_empty(), &gguf_free);
  if (number == 1) gguf_set_kv(part.get(), whole);
  const std::int64_t n_tensors = gguf_get_n_tensors(whole);
  gguf_set_val_u16(part.get(), "split.no", static_cast<std::uint16_t>(number - 1));
  gguf_set_val_u16(part.get(), "split.count", static_cast<std::uint16_t>(n_parts));
  gguf_set_val_i32(part.get(), "split.tensors.count", static_cast<std::int32_t>(n_tensors));
  for (std::int64_t i = 0; i < n_tensors; ++i) {
    if (2 + i * (n_parts - 1) / n_tensors == number)
      gguf_add_tensor(part.get(), ggml_get_tensor(tensors, gguf_get_tensor_name(whole, i)));
  }
  if (!gguf_write_to_file(part.get(), path.c_str(), false))
    throw std::runtime_error("cannot write " + path.string());
}

}  // namespace

std::vector<fs::path> split_model(const fs::path& from, const fs::path& folder, int n_parts) {
  ggml_context* tensors = nullptr;
  const Gguf whole(gguf_init_from_file(from.c_str(), {.no_alloc = false, .ctx = &tensors}), &gguf_free);
  if (!whole) throw std::runtime_error("cannot read " + from.string());
  const std::unique_ptr<ggml_context, decltype(&ggml_free)> owner(tensors, &ggml_free);
  fs::create_directories(folder);
  const SplitName name{(folder / "m").string(), 1, n_parts};
  std::vector<fs::path> paths;
  for (int i = 1; i <= n_parts; ++i) {
    write_part(whole.get(), tensors, name.part(i), i, n_parts);
    paths.emplace_back(name.part(i));
  }
  return paths;
}

}  // namespace kvevict::test
