#include "hub/gguf_choice.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <initializer_list>
#include <map>

#include "base/split_name.h"

namespace kvevict {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

/// Whether `word` stands in `text` as a word of its own ("q4_0" is in "model_q4_0", not in "iq4_0" or
/// "q4_0_4_4").
bool has_word(const std::string& text, const std::string& word) {
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || text[at - 1] == '_' || !is_word_character(text[at - 1])) &&
        (end == text.size() || !is_word_character(text[end])))
      return true;
  }
  return false;
}

std::string file_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

bool is_gguf(const std::string& path) {
  return lower(path).ends_with(".gguf");
}

bool names_any_of(const std::string& path, std::initializer_list<const char*> words) {
  std::string name = lower(file_name(path));
  std::replace(name.begin(), name.end(), '_', '-');  // "model_lora.gguf" is an adapter too
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return has_word(name, word); });
}

/// The models' files. A file of adapters is one only where there is nothing else: the names of merged models
/// may say what was merged into them.
std::vector<std::string> model_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files, adapters;
  for (const std::string& path : paths) {
    if (!is_gguf(path) || names_any_of(path, {"mmproj", "imatrix"})) continue;
    (names_any_of(path, {"lora", "adapter"}) ? adapters : files).push_back(path);
  }
  return files.empty() ? adapters : files;
}

/// How much all names have in common, up to behind a separator ("_" is a part of kinds such as Q4_K_M).
std::size_t common_length(const std::vector<std::string>& names) {
  std::size_t n = names.front().size();
  for (const std::string& name : names) {
    const auto differ =
        std::mismatch(name.begin(), name.begin() + static_cast<std::ptrdiff_t>(std::min(n, name.size())),
                      names.front().begin());
    n = static_cast<std::size_t>(differ.first - name.begin());
  }
  while (n > 0 && names.front()[n - 1] != '-' && names.front()[n - 1] != '.') --n;
  return n;
}

std::string files_text(const std::vector<GgufModel>& models) {
  std::vector<std::string> files;
  for (const GgufModel& model : models) files.push_back(model.parts.front());
  return fmt::format("{}", fmt::join(files, ", "));
}

}  // namespace

std::vector<GgufModel> gguf_models(const std::vector<std::string>& paths) {
  std::map<std::string, std::map<int, std::string>> by_stem;
  std::map<std::string, int> n_parts;
  for (const std::string& path : model_files(paths)) {
    const SplitName part = parse_split_name(path).value_or(
        SplitName{.stem = path.substr(0, path.size() - 5), .number = 1, .n_parts = 1});
    by_stem[part.stem][part.number] = path;
    n_parts[part.stem] = part.n_parts;
  }
  std::vector<std::string> names;
  for (const auto& [stem, parts] : by_stem) names.push_back(file_name(stem));
  std::vector<GgufModel> models;
  for (const auto& [stem, parts] : by_stem) {
    GgufModel model;
    if (names.size() > 1) model.tag = file_name(stem).substr(common_length(names));
    for (int number = 1; number <= n_parts[stem]; ++number) {
      if (const auto part = parts.find(number); part != parts.end())
        model.parts.push_back(part->second);
      else
        model.missing_parts.push_back(number);
    }
    models.push_back(std::move(model));
  }
  return models;
}

std::vector<GgufModel> choose_gguf(const std::vector<std::string>& paths, const std::string& tag) {
  const std::vector<GgufModel> all = gguf_models(paths);
  if (tag.empty()) {
    if (all.size() <= 1) return all;
    for (const char* usual : {"Q4_K_M", "Q8_0"}) {
      const std::vector<GgufModel> chosen = choose_gguf(paths, usual);
      if (!chosen.empty()) return chosen;
    }
    return all;
  }
  const std::string wanted = lower(tag);
  std::vector<GgufModel> exact, with_word;
  for (const GgufModel& model : all) {
    const std::string path = lower(model.parts.front());
    if (lower(model.tag) == wanted || lower(file_name(path)) == wanted) exact.push_back(model);
    if (has_word(path, wanted)) with_word.push_back(model);
  }
  return exact.empty() ? with_word : exact;
}

std::vector<std::filesystem::path> find_cached_model(const HubCache& cache, const ModelName& name) {
  for (const HubSnapshot& snapshot : cache.snapshots(HubKind::kModel, name.repository)) {
    const std::vector<GgufModel> chosen = choose_gguf(snapshot.paths, name.quant);
    if (chosen.size() > 1) return {};  // an older snapshot with fewer models does not say which one is meant
    if (chosen.empty() || !chosen.front().missing_parts.empty()) continue;
    std::vector<std::filesystem::path> files;
    for (const std::string& part : chosen.front().parts) files.push_back(snapshot.folder / part);
    return files;
  }
  return {};
}

std::string no_gguf_sentence(const ModelName& name, const std::vector<std::string>& paths) {
  const std::vector<GgufModel> chosen = choose_gguf(paths, name.quant);
  if (chosen.size() > 1) {
    std::vector<std::string> names;
    for (const GgufModel& model : chosen) {
      names.push_back(name.repository + ":" +
                      (model.tag.empty() ? file_name(model.parts.front()) : model.tag));
    }
    return fmt::format("{}{}{} may be any of {} models: name one of {}", name.repository,
                       name.quant.empty() ? "" : ":", name.quant, chosen.size(), fmt::join(names, ", "));
  }
  if (chosen.size() == 1 && !chosen[0].missing_parts.empty()) {
    return fmt::format(
        "{} lacks part {} of {}", chosen[0].parts.empty() ? name.repository : chosen[0].parts.front(),
        fmt::join(chosen[0].missing_parts, ", "), chosen[0].parts.size() + chosen[0].missing_parts.size());
  }
  const std::vector<GgufModel> all = gguf_models(paths);
  if (!all.empty()) {
    return fmt::format("{} holds no GGUF file of the kind {}: it holds {}", name.repository, name.quant,
                       files_text(all));
  }
  const bool has_weights = std::any_of(paths.begin(), paths.end(), [](const auto& p) {
    return p.ends_with(".safetensors") || p.ends_with(".bin");
  });
  return fmt::format(
      "{} holds no GGUF file of a model{}: convert it with llama.cpp's convert_hf_to_gguf.py and name the "
      "file, or name a "
      "repository of GGUF files (their names mostly end in -GGUF)",
      name.repository, has_weights ? ", but weights in another format" : "");
}

}  // namespace kvevict
