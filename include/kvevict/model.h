#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kvevict/chat_message.h"
#include "kvevict/export.h"
#include "kvevict/model_info.h"

struct llama_model;

namespace KVEVICT_PUBLIC kvevict {

class KeyForms;
class ProcessorLoad;

/// Element types of the K and V rows in the cache.
enum class KvType { kF32, kF16, kBf16, kQ8_0, kQ4_0 };

/// "f32", "f16", "bf16", "q8_0", "q4_0".
[[nodiscard]] std::string_view to_string(KvType type) noexcept;

/// The type of that name; nothing for an unknown one.
[[nodiscard]] std::optional<KvType> parse_kv_type(std::string_view name) noexcept;

/// All of them, in the order above.
[[nodiscard]] std::span<const KvType> all_kv_types() noexcept;

/// A token id of the model's vocabulary.
using Token = std::int32_t;

/// How a model is spread over several devices.
enum class SplitMode { kNone, kLayer, kRow };

struct ModelOptions {
  std::filesystem::path path{};        ///< A GGUF file; of a split one the first part.
  std::optional<int> gpu_layers{};     ///< Layers to offload; nothing: as many as fit ("auto").
  std::vector<std::string> devices{};  ///< Names of ggml devices to use; empty: all.
  SplitMode split_mode = SplitMode::kLayer;
  int main_gpu = 0;      ///< Device of the whole model if the mode is kNone.
  bool use_mmap = true;  ///< Map the file instead of reading it.
  bool weights = true;   ///< false: metadata, vocabulary and sizes only (a dry run).
  std::int64_t n_context_for_fit =
      0;  ///< Tokens of KV cache that "auto" leaves room for; 0: the trained context.
  std::function<bool(double)> on_progress{};  ///< Called with 0 … 1 while loading; false cancels.
};

/// A part of a text: of a chat template, whose control tokens are meant, or of a message, whose are not.
struct TextPart {
  std::string text;
  bool parse_special = false;  ///< Control tokens such as <|im_start|> are read as such, not as text.
  friend bool operator==(const TextPart&, const TextPart&) = default;
};

/// A language model loaded by llama.cpp: weights and vocabulary, without any cache.
///
/// Owner: the model owns the llama.cpp handle; sessions share the model. Thread safety: const
/// after `load`; several sessions on several threads may use one model.
class Model {
 public:
  /// Loads `options.path`. Everything that is known to make llama.cpp fail is checked first.
  /// Errors: kNotFound (no such file, a missing part), kBadData (not a GGUF file, truncated), kUnsupported (a
  /// model that does not go token by token: encoder-only, diffusion), kInvalidArgument (an unknown device),
  /// kCancelled, kEngine (llama.cpp refused; its own words are quoted).
  static std::shared_ptr<const Model> load(const ModelOptions& options);

  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  [[nodiscard]] const ModelInfo& info() const noexcept;
  /// As in the options: of a split file the first part.
  [[nodiscard]] const std::filesystem::path& path() const noexcept;

  /// SHA-256 of the file, as 64 hexadecimal digits; of a split file that of all parts, one behind the other.
  /// The first call reads all of the weights; it is remembered in this user's cache folder
  /// (`~/.cache/kvevict/checksums`) until a file changes. Errors: kIo.
  [[nodiscard]] std::string sha256() const;

  /// Bytes of K and V that one token takes over all layers.
  [[nodiscard]] std::int64_t kv_bytes_per_token(KvType type_k, KvType type_v) const;

  /// Bytes of K that one token takes over the layers without a sliding window.
  [[nodiscard]] std::int64_t key_bytes_per_token(KvType type_k) const;

  /// Of K and V, those of the layers with a sliding window, which a session holds at their window.
  [[nodiscard]] std::int64_t window_bytes_per_token(KvType type_k, KvType type_v) const;

  /// UTF-8 text to tokens. `add_special`: with the model's own begin-of-text token in front if it has one
  /// (once, also if the text brings it); never with an end token behind, for a text may go on.
  /// `parse_special`: as in TextPart. Errors: kInvalidArgument for a text above 1 GiB; kUnsupported for a
  /// model without vocabulary; kEngine.
  [[nodiscard]] std::vector<Token> tokenize(std::string_view text, bool add_special,
                                            bool parse_special) const;

  /// The tokens of the whole text that `parts` make up. `is_beginning`: as `add_special`; false: the text
  /// goes on from other text, without the space that some vocabularies put in front. Errors: as above.
  [[nodiscard]] std::vector<Token> tokenize(std::span<const TextPart> parts, bool is_beginning) const;

  /// Tokens to UTF-8 text; control tokens give nothing unless `with_special`.
  [[nodiscard]] std::string detokenize(std::span<const Token> tokens, bool with_special = false) const;

  /// Whether `token` ends a generation (end of text, end of turn, …).
  [[nodiscard]] bool is_end_of_generation(Token token) const;

  /// The conversation as one text in the model's own chat template, ending where the assistant's answer
  /// begins. Whoever tokenizes it reads control tokens in messages as such: see PromptTemplate. Errors: its.
  [[nodiscard]] std::string apply_chat_template(std::span<const ChatMessage> messages) const;

  /// llama.cpp's handle, for the engine's own use.
  [[nodiscard]] llama_model* handle() const noexcept;

  /// What other programs leave of the processors, measured since `load`, for the engine's own use.
  [[nodiscard]] ProcessorLoad& processor_load() const noexcept;

  /// How its cached keys are read, found out when it is first asked for, for the engine's own use.
  [[nodiscard]] KeyForms& key_forms() const noexcept;

 private:
  struct Impl;
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace kvevict
