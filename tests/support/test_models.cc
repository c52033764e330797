#include "support/test_models.h"

#include <gguf.h>
#include <llama.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <variant>

#include "hub/locations.h"
#include "kvevict/error.h"

namespace kvevict::test {
namespace fs = std::filesystem;

fs::path default_model_path() {
  if (const char* path = std::getenv("KVEVICT_MODEL")) return path;
  return fs::path(KVEVICT_TEST_MODELS_DIR) / kDefaultModelFile;
}

namespace {

/// `from` written anew by llama.cpp with `params`, once, in the build folder; `suffix` is added to its name.
fs::path rewritten_model_path(const fs::path& from, const char* suffix, llama_model_quantize_params params) {
  const fs::path path = fs::path(KVEVICT_TEST_WORK_DIR) / (from.stem().string() + suffix + ".gguf");
  if (fs::exists(path)) return path;
  fs::create_directories(path.parent_path());
  const fs::path unfinished = path.string() + "." + std::to_string(getpid());
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  if (llama_model_quantize(from.c_str(), unfinished.c_str(), &params) != 0) {
    throw std::runtime_error("cannot rewrite " + from.string());
  }
  fs::rename(unfinished, path);
  return path;
}

fs::path f32_path(const fs::path& from) {
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = LLAMA_FTYPE_ALL_F32;
  params.allow_requantize = true;
  return rewritten_model_path(from, "-f32", params);
}

}  // namespace

fs::path f32_model_path() {
  return f32_path(default_model_path());
}

fs::path shallow_model_path() {
  std::vector<std::int32_t> layers;
  for (std::int32_t layer = kShallowLayers; layer < 30; ++layer) layers.push_back(layer);
  layers.push_back(-1);  // ends the list
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.only_copy = true;
  params.prune_layers = layers.data();
  return rewritten_model_path(default_model_path(), "-shallow", params);
}

fs::path shallow_f32_model_path() {
  return f32_path(shallow_model_path());
}

namespace {

using Override = std::pair<const char*, std::variant<std::int64_t, double, bool, const char*>>;

/// `from` with other metadata; keys are the architecture's unless they are the tokenizer's.
fs::path altered_model_path(const fs::path& from, const char* suffix, const std::vector<Override>& changes) {
  std::vector<llama_model_kv_override> overrides(changes.size() +
                                                 1);  // the last one, without a key, ends the list
  for (std::size_t i = 0; i < changes.size(); ++i) {
    llama_model_kv_override& to = overrides[i];
    const bool is_tokenizers = std::string_view(changes[i].first).starts_with("tokenizer.");
    std::snprintf(to.key, sizeof to.key, "%s%s", is_tokenizers ? "" : "llama.", changes[i].first);
    if (const auto* number = std::get_if<std::int64_t>(&changes[i].second)) {
      to.tag = LLAMA_KV_OVERRIDE_TYPE_INT;
      to.val_i64 = *number;
    } else if (const auto* real = std::get_if<double>(&changes[i].second)) {
      to.tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT;
      to.val_f64 = *real;
    } else if (const auto* flag = std::get_if<bool>(&changes[i].second)) {
      to.tag = LLAMA_KV_OVERRIDE_TYPE_BOOL;
      to.val_bool = *flag;
    } else {
      to.tag = LLAMA_KV_OVERRIDE_TYPE_STR;
      std::snprintf(to.val_str, sizeof to.val_str, "%s", std::get<const char*>(changes[i].second));
    }
  }
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.only_copy = true;
  params.kv_overrides = overrides.data();
  return rewritten_model_path(from, suffix, params);
}

}  // namespace

fs::path short_context_model_path(const fs::path& from) {
  return altered_model_path(from, "-context-512", {{"context_length", std::int64_t{512}}});
}

fs::path end_token_model_path() {
  return altered_model_path(shallow_model_path(), "-add-eos", {{"tokenizer.ggml.add_eos_token", true}});
}

fs::path begin_token_model_path() {
  return altered_model_path(shallow_model_path(), "-add-bos", {{"tokenizer.ggml.add_bos_token", true}});
}

fs::path unknown_template_model_path() {
  return altered_model_path(shallow_model_path(), "-unknown-template",
                            {{"tokenizer.chat_template", "{{ messages"}});
}

fs::path linear_rope_model_path() {
  return altered_model_path(shallow_model_path(), "-rope-linear",
                            {{"rope.scaling.type", "linear"}, {"rope.scaling.factor", 4.0}});
}

fs::path yarn_rope_model_path() {
  return altered_model_path(shallow_model_path(), "-rope-yarn",
                            {{"rope.scaling.type", "yarn"},
                             {"rope.scaling.factor", 4.0},
                             {"rope.scaling.original_context_length", std::int64_t{2048}}});
}

namespace {

void fill_with_small_numbers(ggml_tensor* tensor, void* /*user_data*/) {
  std::vector<float> values(static_cast<std::size_t>(ggml_nelements(tensor)));
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525U + 1013904223U;
    value = -static_cast<float>(state >> 8) / static_cast<float>(1U << 28);
  }
  // factors of frequencies, as Llama 3 has them
  if (std::string_view(tensor->name) == "rope_freqs.weight") {
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = i < values.size() / 2 ? 1.0F : 8.0F;
  }
  ggml_backend_tensor_set(tensor, values.data(), 0, ggml_nbytes(tensor));
}

}  // namespace

namespace {

using Numbers = std::vector<std::pair<const char*, std::uint32_t>>;
using Lists = std::vector<std::pair<const char*, std::vector<std::int32_t>>>;

void add_no_vocabulary(gguf_context* gguf) {
  gguf_set_val_str(gguf, "tokenizer.ggml.model", "no_vocab");
}

/// A model of `architecture` with `numbers` in its metadata and made-up weights, once, in the build folder.
fs::path random_model_path(const std::string& architecture, const Numbers& numbers,
                           void (*add_vocabulary)(gguf_context*) = add_no_vocabulary,
                           const Lists& lists = {}) {
  const fs::path path = fs::path(KVEVICT_TEST_WORK_DIR) / ("random-" + architecture + ".gguf");
  if (fs::exists(path)) return path;
  fs::create_directories(path.parent_path());
  const std::unique_ptr<gguf_context, decltype(&gguf_free)> gguf(gguf_init_empty(), &gguf_free);
  gguf_set_val_str(gguf.get(), "general.architecture", architecture.c_str());
  add_vocabulary(gguf.get());
  for (const auto& [key, value] : numbers)
    gguf_set_val_u32(gguf.get(), (architecture + "." + key).c_str(), value);
  for (const auto& [key, values] : lists) {
    gguf_set_arr_data(gguf.get(), (architecture + "." + key).c_str(), GGUF_TYPE_INT32, values.data(),
                      values.size());
  }
  for (const char* key : {".attention.layer_norm_rms_epsilon", ".attention.layer_norm_epsilon"})
    gguf_set_val_f32(gguf.get(), (architecture + key).c_str(), 1e-5F);
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_model* const model =
      llama_model_init_from_user(gguf.get(), fill_with_small_numbers, nullptr, llama_model_default_params());
  if (model == nullptr) throw std::runtime_error("cannot make a model of " + architecture);
  const fs::path unfinished = path.string() + "." + std::to_string(getpid());
  llama_model_save_to_file(model, unfinished.c_str());
  llama_model_free(model);
  fs::rename(unfinished, path);
  return path;
}

}  // namespace

fs::path recurrent_model_path() {
  return random_model_path("mamba", {{"vocab_size", 128},
                                     {"context_length", 256},
                                     {"embedding_length", 64},
                                     {"block_count", 2},
                                     {"feed_forward_length", 0},
                                     {"attention.head_count", 0},
                                     {"ssm.conv_kernel", 4},
                                     {"ssm.inner_size", 128},
                                     {"ssm.state_size", 8},
                                     {"ssm.time_step_rank", 4}});
}

namespace {

/// Pieces of a SentencePiece vocabulary ("\xE2\x96\x81": a space) and of all that begins them: they are put
/// together letter by letter.
std::vector<std::string> sentence_pieces() {
  const std::string space = "\xE2\x96\x81";
  std::vector<std::string> pieces = {space};
  for (const char* word : {"[INST]", "[/INST]", "<<SYS>>", "hello", "there", "again", "and", "s", "t"}) {
    const std::string text = word;
    for (std::size_t n = 1; n <= text.size(); ++n) {
      for (const std::string& piece : {text.substr(0, n), space + text.substr(0, n)}) {
        if (std::find(pieces.begin(), pieces.end(), piece) == pieces.end()) pieces.push_back(piece);
      }
    }
  }
  return pieces;
}

void add_sentence_pieces(gguf_context* gguf) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<std::int32_t> types = {2, 3, 3};  // llama.cpp's: unknown, control, control
  std::vector<float> scores(3, 0.0F);
  const auto add = [&](const std::string& token, std::int32_t type, float score) {
    tokens.push_back(token);
    types.push_back(type);
    scores.push_back(score);
  };
  for (int byte = 0; byte < 256; ++byte) {
    std::array<char, 8> name{};
    std::snprintf(name.data(), name.size(), "<0x%02X>", static_cast<unsigned>(byte));
    add(name.data(), 6, 0.0F);
  }
  for (const std::string& piece : sentence_pieces()) add(piece, 1, static_cast<float>(piece.size()));
  std::vector<const char*> names;
  for (const std::string& token : tokens) names.push_back(token.c_str());
  gguf_set_val_str(gguf, "tokenizer.ggml.model", "llama");
  gguf_set_val_str(gguf, "tokenizer.ggml.pre", "default");
  gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", names.data(), names.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(), scores.size());
  gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
  gguf_set_val_u32(gguf, "tokenizer.ggml.bos_token_id", 1);
  gguf_set_val_u32(gguf, "tokenizer.ggml.eos_token_id", 2);
  gguf_set_val_u32(gguf, "tokenizer.ggml.unknown_token_id", 0);
  gguf_set_val_bool(gguf, "tokenizer.ggml.add_bos_token", true);
}

/// A model with sentence pieces, and a chat template over them.
fs::path talking(const fs::path& bare) {
  // llama.cpp does not save a template that it was given with made-up weights
  return altered_model_path(
      bare, "-talk",
      {{"tokenizer.chat_template",
        "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}"
        "{% elif m.role == 'system' %}{{ '<<SYS>>\\n' + m.content + '\\n<</SYS>>\\n\\n' }}"
        "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"}});
}

}  // namespace

fs::path sentence_piece_model_path() {
  return talking(random_model_path("llama",
                                   {{"context_length", 256},
                                    {"embedding_length", 64},
                                    {"block_count", 2},
                                    {"feed_forward_length", 64},
                                    {"attention.head_count", 2},
                                    {"attention.head_count_kv", 1},
                                    {"rope.dimension_count", 32}},
                                   add_sentence_pieces));
}

fs::path hybrid_model_path() {
  return random_model_path("lfm2",
                           {{"context_length", 512},
                            {"embedding_length", 64},
                            {"block_count", 5},
                            {"feed_forward_length", 64},
                            {"attention.head_count", 2},
                            {"shortconv.l_cache", 3},
                            {"rope.dimension_count", 32}},
                           add_sentence_pieces, {{"attention.head_count_kv", {0, 1, 0, 1, 1}}});
}

fs::path talking_hybrid_model_path() {
  return talking(hybrid_model_path());
}

fs::path alibi_model_path() {
  return random_model_path("bloom", {{"vocab_size", 128},
                                     {"context_length", 256},
                                     {"embedding_length", 64},
                                     {"block_count", 2},
                                     {"feed_forward_length", 64},
                                     {"attention.head_count", 2},
                                     {"attention.head_count_kv", 2}});
}

fs::path sliding_window_model_path() {
  return random_model_path("gemma3", {{"vocab_size", 128},
                                      {"context_length", 1024},
                                      {"embedding_length", 64},
                                      {"block_count", 6},
                                      {"feed_forward_length", 64},
                                      {"attention.head_count", 2},
                                      {"attention.head_count_kv", 1},
                                      {"attention.key_length", 32},
                                      {"attention.value_length", 32},
                                      {"attention.sliding_window", 32}});
}

namespace {

const Numbers kTiny = {{"vocab_size", 128},
                       {"context_length", 512},
                       {"embedding_length", 64},
                       {"block_count", 6},
                       {"feed_forward_length", 64},
                       {"attention.head_count", 2},
                       {"attention.head_count_kv", 1},
                       {"attention.key_length", 32},
                       {"attention.value_length", 32},
                       {"rope.dimension_count", 32}};

}  // namespace

fs::path tiny_model_path() {
  return random_model_path("qwen2", kTiny);
}

fs::path many_positions_model_path() {
  return random_model_path("qwen2vl", kTiny, add_no_vocabulary, {{"rope.dimension_sections", {4, 6, 6, 0}}});
}

std::shared_ptr<const Model> load_model(const fs::path& path) {
  static std::map<fs::path, std::shared_ptr<const Model>> loaded;
  std::shared_ptr<const Model>& model = loaded[path];
  if (model == nullptr) model = Model::load({.path = path});
  return model;
}

std::vector<Token> prose_tokens(const Model& model, std::size_t n_tokens) {
  std::string text;
  std::vector<Token> tokens;
  for (const char* name : {"narrativeqa", "qasper", "multifieldqa_en"}) {
    std::ifstream file(fs::path(KVEVICT_DATA_DIR) / "demo" / (std::string(name) + ".jsonl"));
    std::string last;
    for (std::string line; std::getline(file, line);) {
      const std::string context = nlohmann::json::parse(line).at("context");
      if (context == last) continue;
      text += context + "\n\n";
      last = context;
      tokens = model.tokenize(text, true, false);
      if (tokens.size() >= n_tokens) {
        tokens.resize(n_tokens);
        return tokens;
      }
    }
  }
  throw std::runtime_error("the demo data has fewer than " + std::to_string(n_tokens) + " tokens");
}

}  // namespace kvevict::test
