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

  /// `$HF_ENDPOINT` (https://huggingface.co) and `$HF_TOKEN`.
  [[nodiscard]] static HubAccess from_environment();
};

/// Called while the file `name` comes in.
using FetchProgress = std::function<void(const std::string& name, std::int64_t n_done, std::int64_t n_total)>;

/// Downloads what `name` chooses from a repository of GGUF files into the cache and returns the (first) file.
/// A file that is there is not transferred again; one that was cut off goes on. Every file's checksum is
/// compared; one that differs is removed. Errors: those of HttpClient; kUnsupported for a
/// repository without a GGUF file that fits; kBadData for a wrong checksum.
std::filesystem::path fetch_model(const HubAccess& access, const HubCache& cache, const ModelName& name,
                                  const FetchProgress& progress);

/// Downloads LongBench's data.zip and unpacks its *.jsonl files into `folder`; returns their names.
std::vector<std::string> fetch_longbench(const HubAccess& access, const HubCache& cache,
                                         const std::filesystem::path& folder, const FetchProgress& progress);

}  // namespace kvevict
