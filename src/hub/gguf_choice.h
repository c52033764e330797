#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "hub/hub_cache.h"

namespace kvevict {

/// A model of a repository of GGUF files: one file, or all parts of one that is split.
struct GgufModel {
  std::string tag;  ///< What sets it apart in its repository ("Q8_0", "7b-Q8_0"); empty if nothing does.
  std::vector<std::string> parts;  ///< Paths, in order.
  std::vector<int> missing_parts;  ///< Numbers, from 1, of parts that are not there.
};

/// The models among a repository's files. Importance matrices, projectors of images and adapters are none.
[[nodiscard]] std::vector<GgufModel> gguf_models(const std::vector<std::string>& paths);

/// Those that a tag may mean, compared without regard to case: the one whose tag, or file name, it is; else
/// all that have it as a word of their path. Without a tag: the only model; else those of Q4_K_M, else of
/// Q8_0, else all. One model: it is meant. Several: the tag is ambiguous. None: there is no such model.
[[nodiscard]] std::vector<GgufModel> choose_gguf(const std::vector<std::string>& paths,
                                                 const std::string& tag);

/// The files of the model in the cache that `name` means: of the newest snapshot that has it whole. Empty if
/// none has.
[[nodiscard]] std::vector<std::filesystem::path> find_cached_model(const HubCache& cache,
                                                                   const ModelName& name);

/// One sentence for a choice that is not one whole model: what is there, and what to name or to do.
[[nodiscard]] std::string no_gguf_sentence(const ModelName& name, const std::vector<std::string>& paths);

}  // namespace kvevict
