#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "hub/http_client.h"
#include "hub/hub_cache.h"

namespace kvevict {

/// Where the hub is and who asks.
struct HubAccess {
  std::string endpoint;  ///< Without a "/" at its end.
  HttpOptions http;

  bool is_offline = false;  ///< Nothing is asked of the hub: what is in the cache is all that there is.

  /// `$HF_ENDPOINT` (https://huggingface.co); the token of `$HF_TOKEN`, of the file `$HF_TOKEN_PATH`, or of
  /// `token` in `hub_home()`, which `hf auth login` writes; offline with `$HF_HUB_OFFLINE` or
  /// `$TRANSFORMERS_OFFLINE`.
  [[nodiscard]] static HubAccess from_environment();
};

/// A model that is in the cache.
struct FetchedModel {
  std::filesystem::path file;  ///< The first one, if it is split.
  std::string why_unchecked;   ///< Why the hub was not asked whether there is a newer one; empty if it was.
};

/// Called while the file `name` comes in.
using FetchProgress = std::function<void(const std::string& name, std::int64_t n_done, std::int64_t n_total)>;

/// Downloads what `name` chooses from a repository of GGUF files into the cache. A file that is there is not
/// transferred again if its size and checksum are what the hub says; one that was cut off goes on; one that
/// differs is removed and transferred anew. If the hub cannot be reached, a model that is in the cache is as
/// good. Errors: those of HttpClient; kUnsupported for a repository without a GGUF file that fits, or with
/// several; kBadData for a wrong checksum of what was transferred; kNotFound for a model that is not there
/// when offline.
FetchedModel fetch_model(const HubAccess& access, const HubCache& cache, const ModelName& name,
                         const FetchProgress& progress);

/// Downloads LongBench's data.zip and unpacks its *.jsonl files into `folder`; returns their names.
std::vector<std::string> fetch_longbench(const HubAccess& access, const HubCache& cache,
                                         const std::filesystem::path& folder, const FetchProgress& progress);

}  // namespace kvevict
