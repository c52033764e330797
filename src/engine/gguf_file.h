#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/llama_handles.h"

namespace kvevict {

/// The header of a GGUF file, read and checked before llama.cpp opens it.
class GgufFile {
 public:
  /// Errors: kNotFound, kIo, kBadData (not a GGUF file, a broken header, or a file shorter than
  /// its tensors need: the sentence says how much is missing).
  explicit GgufFile(const std::filesystem::path& path);

  [[nodiscard]] std::int64_t file_bytes() const noexcept { return file_bytes_; }
  [[nodiscard]] std::string architecture() const;

  /// A string value; empty if the key is absent or of another type.
  [[nodiscard]] std::string text(const std::string& key) const;

  /// `<architecture>.<key>` as an integer; nothing if absent.
  [[nodiscard]] std::optional<std::int64_t> number(const std::string& key) const;

  /// `<architecture>.<key>` for layer `layer`: an element of an array, or the one value of all.
  [[nodiscard]] std::optional<std::int64_t> number_of_layer(const std::string& key, int layer) const;

  /// Bytes of the tensors of each layer ("blk.N."), and, last, of all others.
  [[nodiscard]] std::vector<std::int64_t> tensor_bytes_by_layer(int n_layers) const;

 private:
  [[nodiscard]] std::int64_t find(const std::string& key) const;

  std::filesystem::path path_;
  std::int64_t file_bytes_ = 0;
  GgufHandle gguf_;
};

/// Widths (elements) of one token's K and V row in a layer; 0 if the layer has none.
struct KvWidth {
  std::int64_t k = 0;
  std::int64_t v = 0;
};

/// K and V widths of each layer, from the file's attention metadata.
[[nodiscard]] std::vector<KvWidth> kv_widths(const GgufFile& file);

}  // namespace kvevict
