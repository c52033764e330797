#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "kvevict/model.h"

namespace kvevict::test {

/// The default model: KVEVICT_MODEL, else where the set-up put it. Fails the process without it.
[[nodiscard]] std::filesystem::path default_model_path();

/// The default model requantised to f32 weights by llama.cpp itself, for exact comparisons. Made
/// once, in the build folder.
[[nodiscard]] std::filesystem::path f32_model_path();

inline constexpr std::size_t kShallowLayers = 4;

/// The first kShallowLayers layers of the default model, with its whole vocabulary: for what does not depend
/// on what the model says but needs its tokens. Seven times as fast. Made once, in the build folder.
[[nodiscard]] std::filesystem::path shallow_model_path();

/// The same with f32 weights, for exact comparisons.
[[nodiscard]] std::filesystem::path shallow_f32_model_path();

/// A model, the shallow one if none is given, with `context_length` 512 in its metadata: a short trained
/// context.
[[nodiscard]] std::filesystem::path short_context_model_path(
    const std::filesystem::path& from = shallow_model_path());

/// The shallow model with a vocabulary that asks for an end token behind every text.
[[nodiscard]] std::filesystem::path end_token_model_path();

/// The shallow model with a vocabulary that asks for a begin token, <|im_start|>, before every text; its chat
/// template begins with that itself.
[[nodiscard]] std::filesystem::path begin_token_model_path();

/// The shallow model with a chat template that llama.cpp does not know.
[[nodiscard]] std::filesystem::path unknown_template_model_path();

/// The shallow model with all positions scaled alike (linear, factor 4) in its metadata.
[[nodiscard]] std::filesystem::path linear_rope_model_path();

/// The shallow model with each frequency of its positions scaled by another factor (YaRN) in its metadata.
[[nodiscard]] std::filesystem::path yarn_rope_model_path();

/// A tiny random model of a recurrent architecture (Mamba), made in the build folder.
[[nodiscard]] std::filesystem::path recurrent_model_path();

/// A tiny random model (Gemma 3) most of whose layers attend over a sliding window of 32 tokens.
[[nodiscard]] std::filesystem::path sliding_window_model_path();

/// A made-up BLOOM: no rotation, positions are in the attention (ALiBi).
[[nodiscard]] std::filesystem::path alibi_model_path();

/// A tiny random model with a SentencePiece vocabulary of a few words and the chat template of Llama 2,
/// trained on 256 tokens.
[[nodiscard]] std::filesystem::path sentence_piece_model_path();

/// A tiny random hybrid model (LFM2) of 5 layers, of which those of the numbers 1, 3 and 4 hold a cache and
/// the others keep a state; the trained context is 512.
[[nodiscard]] std::filesystem::path hybrid_model_path();

/// The same with a chat template: it answers in pieces of words.
[[nodiscard]] std::filesystem::path talking_hybrid_model_path();

/// A tiny random model with several positions for each token (Qwen2-VL, M-RoPE), of the shape and weights of
/// `tiny_model_path`.
[[nodiscard]] std::filesystem::path many_positions_model_path();

/// A tiny random model (Qwen2) of 6 layers, 128 tokens and a trained context of 512: for what does not depend
/// on what a model says. It has no vocabulary.
[[nodiscard]] std::filesystem::path tiny_model_path();

/// The model of `path`; loaded once for all tests of a process.
[[nodiscard]] std::shared_ptr<const Model> load_model(const std::filesystem::path& path);

/// English prose of at least `n_tokens` tokens of the default model, from the demo data.
[[nodiscard]] std::vector<Token> prose_tokens(const Model& model, std::size_t n_tokens);

}  // namespace kvevict::test
