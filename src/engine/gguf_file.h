#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/llama_handles.h"

namespace kvevict {

/// The header of a GGUF file, or of all parts of a split one, read and checked before llama.cpp opens it.
class GgufFile {
 public:
  /// `path`: of a split file the first part; the others lie beside it. Errors: kNotFound (the file or a
  /// part), kIo, kBadData (not a GGUF file, a broken header, a part that is not the first, or a file shorter
  /// than its tensors need: the sentence says how much is missing), kUnsupported (an importance matrix, an
  /// adapter, a projector).
  explicit GgufFile(const std::filesystem::path& path);

  /// All parts, in order; a file that is not split is its own only part.
  [[nodiscard]] const std::vector<std::filesystem::path>& files() const noexcept { return files_; }
  /// Of all parts.
  [[nodiscard]] std::int64_t file_bytes() const noexcept { return file_bytes_; }
  [[nodiscard]] std::string architecture() const;

  /// A string value; empty if the key is absent or of another type.
  [[nodiscard]] std::string text(const std::string& key) const;

  /// `<architecture>.<key>` as an integer; nothing if absent.
  [[nodiscard]] std::optional<std::int64_t> number(const std::string& key) const;

  /// `<architecture>.<key>` for layer `layer`: an element of an array, or the one value of all.
  [[nodiscard]] std::optional<std::int64_t> number_of_layer(const std::string& key, int layer) const;

  /// The numbers of a tensor of type f32; empty if there is none of that name. Errors: kIo.
  [[nodiscard]] std::vector<float> floats(const std::string& tensor) const;

  /// Bytes of the tensors of each layer ("blk.N."), and, last, of all others.
  [[nodiscard]] std::vector<std::int64_t> tensor_bytes_by_layer(int n_layers) const;

 private:
  void add_part(const std::filesystem::path& path);
  void refuse_other_contents(const std::filesystem::path& path) const;
  [[nodiscard]] std::vector<std::filesystem::path> further_parts(const std::filesystem::path& path) const;
  [[nodiscard]] std::int64_t find(const std::string& key) const;

  std::vector<std::filesystem::path> files_;
  std::int64_t file_bytes_ = 0;
  std::vector<GgufHandle> parts_;  // the first has the metadata
};

/// Widths (elements) of one token's K and V row in a layer; 0 if the layer has none.
struct KvWidth {
  std::int64_t k = 0;
  std::int64_t v = 0;
};

/// K and V widths of each layer, from the file's attention metadata. Of a recurrent model they mean nothing.
[[nodiscard]] std::vector<KvWidth> kv_widths(const GgufFile& file);

}  // namespace kvevict
