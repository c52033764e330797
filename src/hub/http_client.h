#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

namespace kvevict {

struct HttpOptions {
  std::string token;  ///< Bearer token for the host of the URL alone; may be empty. Never in a message.
  int n_tries = 5;    ///< Attempts without any progress before giving up; >= 1.
  std::chrono::milliseconds first_wait{500};  ///< Before the second attempt; doubles from then on.
  std::chrono::seconds longest_wait{60};      ///< Also of what a server asks for with Retry-After.
  std::chrono::seconds stall{30};             ///< A transfer without a byte for so long is broken.
  const std::atomic<bool>* cancel = nullptr;  ///< Polled; true stops with kCancelled.
};

/// Called with the bytes that are there and the bytes that there will be.
using TransferProgress = std::function<void(std::int64_t n_done, std::int64_t n_total)>;

/// HTTP(S) by libcurl: redirects, retries with waiting, resumed transfers. A token goes neither to another
/// host on a redirect nor over plain HTTP to a host other than this machine.
/// Thread safety: one thread at a time.
class HttpClient {
 public:
  /// Errors: kInvalidArgument for a token that no header can hold.
  explicit HttpClient(HttpOptions options);

  /// The body of `url`, at most 64 MiB. Errors: kNotFound (404), kInvalidArgument (401, 403: says which
  /// variable to set), kIo (no connection, 429 and server errors after all attempts), kCancelled.
  [[nodiscard]] std::string get(const std::string& url);

  /// Writes `url` to `path`, whose `n_bytes` bytes must be there at the end. What the file holds already is
  /// not transferred again if the server can go on behind it. Errors: as `get`, and kIo naming the file
  /// if the disk is full; what was transferred stays in the file.
  void download(const std::string& url, const std::filesystem::path& path, std::int64_t n_bytes,
                const TransferProgress& progress);

 private:
  HttpOptions options_;
};

}  // namespace kvevict
