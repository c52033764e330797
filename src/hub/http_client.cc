#include "hub/http_client.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include "kvevict/error.h"
#include "kvevict/version.h"

namespace kvevict {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kLongestText = 64U << 20U;

struct CurlCleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using CurlHandle = std::unique_ptr<CURL, CurlCleanup>;

/// Where a body goes.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;
  /// Bytes that are there already and that the server should leave out.
  [[nodiscard]] virtual std::int64_t offset() const = 0;
  /// Before the first bytes: whether the body goes on behind `offset` or is whole.
  virtual bool begin(bool is_continued) = 0;
  virtual bool write(std::string_view bytes) = 0;
};

class TextSink : public Sink {
 public:
  [[nodiscard]] std::int64_t offset() const override { return 0; }
  bool begin(bool /*is_continued*/) override {
    text.clear();
    return true;
  }
  bool write(std::string_view bytes) override {
    if (text.size() + bytes.size() > kLongestText) return false;
    text += bytes;
    return true;
  }
  std::string text;
};

class FileSink : public Sink {
 public:
  FileSink(const fs::path& path, std::int64_t n_bytes, const TransferProgress& progress)
      : n_bytes_(n_bytes), progress_(progress) {
    descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ < 0)
      throw Error(ErrorCode::kIo, "cannot write " + path.string() + ": " + std::strerror(errno));
    offset_ = ::lseek(descriptor_, 0, SEEK_END);
    if (offset_ > n_bytes_) restart();
  }
  ~FileSink() override { ::close(descriptor_); }

  [[nodiscard]] std::int64_t offset() const override { return offset_; }
  bool begin(bool is_continued) override { return is_continued || restart(); }
  bool write(std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t n = ::write(descriptor_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        error = errno;
        return false;
      }
      bytes.remove_prefix(static_cast<std::size_t>(n));
      offset_ += n;
    }
    if (progress_) progress_(offset_, n_bytes_);
    return true;
  }
  bool restart() {
    offset_ = 0;
    if (::ftruncate(descriptor_, 0) == 0 && ::lseek(descriptor_, 0, SEEK_SET) == 0) return true;
    error = errno;
    return false;
  }
  int error = 0;

 private:
  std::int64_t n_bytes_;
  TransferProgress progress_;
  int descriptor_ = -1;
  std::int64_t offset_ = 0;
};

/// One attempt: what the callbacks see, and what came of it.
struct Attempt {
  Sink* sink = nullptr;
  CURL* handle = nullptr;
  const std::atomic<bool>* cancel = nullptr;
  std::int64_t range_begin = -1;  // of Content-Range
  std::int64_t retry_after = -1;  // seconds
  bool has_begun = false;
  bool sink_failed = false;

  CURLcode code = CURLE_OK;
  long status = 0;
  std::string error_text;
};

std::size_t on_body(char* data, std::size_t /*one*/, std::size_t n, void* user) {
  auto& attempt = *static_cast<Attempt*>(user);
  curl_easy_getinfo(attempt.handle, CURLINFO_RESPONSE_CODE, &attempt.status);
  if (attempt.status != 200 && attempt.status != 206) return n;  // an error's page
  if (!attempt.has_begun) {
    const bool is_continued = attempt.status == 206 && attempt.range_begin == attempt.sink->offset();
    if (attempt.status == 206 && !is_continued) return 0;
    attempt.sink_failed = !attempt.sink->begin(is_continued);
    attempt.has_begun = true;
  }
  if (!attempt.sink_failed) attempt.sink_failed = !attempt.sink->write({data, n});
  return attempt.sink_failed ? 0 : n;
}

std::size_t on_header(char* data, std::size_t /*one*/, std::size_t n, void* user) {
  auto& attempt = *static_cast<Attempt*>(user);
  std::string line(data, n);
  std::transform(line.begin(), line.end(), line.begin(), [](unsigned char c) { return std::tolower(c); });
  if (line.rfind("http/", 0) == 0)
    attempt.range_begin = attempt.retry_after = -1;  // a redirect's headers do not count
  if (line.rfind("content-range: bytes ", 0) == 0) attempt.range_begin = std::atoll(line.c_str() + 21);
  if (line.rfind("retry-after: ", 0) == 0) attempt.retry_after = std::atoll(line.c_str() + 13);
  return n;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  const auto& attempt = *static_cast<const Attempt*>(user);
  return attempt.cancel != nullptr && attempt.cancel->load(std::memory_order_relaxed) ? 1 : 0;
}

CurlHandle make_handle() {
  static std::once_flag once;  // libcurl wants it once for the process
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  CurlHandle handle(curl_easy_init());
  if (!handle) throw Error(ErrorCode::kOutOfMemory, "libcurl could not be started");
  return handle;
}

/// Whether a token may go there: over TLS, or to this machine.
bool may_carry_token(const std::string& url) {
  const std::unique_ptr<CURLU, CurlCleanup> parsed(curl_url());
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return false;
  const auto part = [&](CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), which, &text, 0) != CURLUE_OK) return std::string();
    std::string copy(text);
    curl_free(text);
    return copy;
  };
  const std::string host = part(CURLUPART_HOST);
  return part(CURLUPART_SCHEME) == "https" || host == "localhost" || host == "[::1]" ||
         host.rfind("127.", 0) == 0;
}

void run_attempt(const std::string& url, const HttpOptions& options, Attempt& attempt) {
  const CurlHandle owner = make_handle();
  CURL* const handle = attempt.handle = owner.get();
  char error_text[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 1L);
  curl_easy_setopt(handle, CURLOPT_MAXREDIRS, 10L);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "kvevict/" KVEVICT_VERSION);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, 30L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options.stall.count()));
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, error_text);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, &attempt);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, &attempt);
  curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, on_progress);
  curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &attempt);
  if (!options.token.empty() && may_carry_token(url)) {  // libcurl itself drops it for another host
    curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, options.token.c_str());
  }
  const std::string range = fmt::format("{}-", attempt.sink->offset());
  if (attempt.sink->offset() > 0) curl_easy_setopt(handle, CURLOPT_RANGE, range.c_str());
  attempt.code = curl_easy_perform(handle);
  curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &attempt.status);
  attempt.error_text = error_text[0] != '\0' ? error_text : curl_easy_strerror(attempt.code);
}

bool is_good(const Attempt& attempt) {
  return attempt.code == CURLE_OK && (attempt.status == 200 || attempt.status == 206);
}

/// Errors that no further attempt can change.
void throw_if_final(const Attempt& attempt, const std::string& url, bool has_token) {
  if (attempt.code == CURLE_ABORTED_BY_CALLBACK)
    throw Error(ErrorCode::kCancelled, "the download was cancelled");
  if (attempt.code == CURLE_URL_MALFORMAT || attempt.code == CURLE_UNSUPPORTED_PROTOCOL) {
    throw Error(ErrorCode::kInvalidArgument, url + " is no http or https address: set HF_ENDPOINT to one");
  }
  if (attempt.code == CURLE_PEER_FAILED_VERIFICATION) {
    throw Error(ErrorCode::kIo, "the server of " + url + " could not prove who it is: " + attempt.error_text);
  }
  if (attempt.status == 401 || attempt.status == 403) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{} is not open to {} (HTTP {}): {}", url,
                            has_token ? "the token in HF_TOKEN" : "everyone", attempt.status,
                            has_token ? "its terms may have to be accepted on its page first"
                                      : "set HF_TOKEN to a token that may read it, or check the name"));
  }
  if (attempt.status == 404)
    throw Error(ErrorCode::kNotFound, url + " is not there (HTTP 404): check the name");
  if (attempt.status >= 400 && attempt.status < 500 && attempt.status != 416 && attempt.status != 429 &&
      attempt.status != 408) {
    throw Error(ErrorCode::kIo, fmt::format("{} was refused (HTTP {})", url, attempt.status));
  }
}

[[noreturn]] void give_up(const Attempt& attempt, const std::string& url, int n_tries) {
  if (attempt.status == 429) {
    throw Error(
        ErrorCode::kIo,
        fmt::format("the server of {} asks for fewer requests (HTTP 429): try again later, or set HF_TOKEN",
                    url));
  }
  const std::string why =
      attempt.code == CURLE_OK ? fmt::format("HTTP {}", attempt.status) : attempt.error_text;
  throw Error(ErrorCode::kIo,
              fmt::format("{} could not be transferred in {} attempts: {}; the same command goes on "
                          "where it stopped",
                          url, n_tries, why));
}

void wait_before_retry(const HttpOptions& options, const Attempt& attempt, int n_failed) {
  std::chrono::milliseconds wait = options.first_wait * (1 << std::min(n_failed - 1, 10));
  if (attempt.retry_after >= 0)
    wait = std::chrono::seconds(std::min<std::int64_t>(attempt.retry_after, 3600));
  wait = std::min<std::chrono::milliseconds>(wait, options.longest_wait);
  const auto end = std::chrono::steady_clock::now() + wait;
  while (std::chrono::steady_clock::now() < end) {
    if (options.cancel != nullptr && options.cancel->load())
      throw Error(ErrorCode::kCancelled, "the download was cancelled");
    std::this_thread::sleep_for(std::min(wait, std::chrono::milliseconds(50)));
  }
}

/// Attempts until one is good; a failed attempt that brought new bytes does not count.
/// `check_sink` throws if the sink itself failed; `restart` makes it begin anew.
void transfer(const std::string& url, const HttpOptions& options, Sink& sink,
              const std::function<void()>& check_sink, const std::function<void()>& restart) {
  for (int n_failed = 0;;) {
    const std::int64_t offset_before = sink.offset();
    Attempt attempt;
    attempt.sink = &sink;
    attempt.cancel = options.cancel;
    run_attempt(url, options, attempt);
    if (attempt.sink_failed) check_sink();
    if (is_good(attempt)) return;
    throw_if_final(attempt, url, !options.token.empty());
    const bool is_range_refused = attempt.status == 416 || (attempt.status == 206 && !attempt.has_begun);
    if (is_range_refused) restart();
    n_failed = sink.offset() > offset_before ? 1 : n_failed + 1;
    if (n_failed >= options.n_tries) give_up(attempt, url, options.n_tries);
    wait_before_retry(options, attempt, n_failed);
  }
}

}  // namespace

HttpClient::HttpClient(HttpOptions options) : options_(std::move(options)) {
  const bool is_printable =
      std::all_of(options_.token.begin(), options_.token.end(), [](char c) { return c > ' ' && c < 127; });
  if (!is_printable) {
    throw Error(ErrorCode::kInvalidArgument,
                "the token in HF_TOKEN holds characters that a token cannot have (a blank, a line end?)");
  }
}

std::string HttpClient::get(const std::string& url) {
  TextSink sink;
  const auto too_long = [&] { throw Error(ErrorCode::kIo, url + " gave more text than can be right"); };
  transfer(url, options_, sink, too_long, [] {});
  return std::move(sink.text);
}

void HttpClient::download(const std::string& url, const fs::path& path, std::int64_t n_bytes,
                          const TransferProgress& progress) {
  FileSink sink(path, n_bytes, progress);
  if (sink.offset() == n_bytes && n_bytes > 0) return;
  const auto check_sink = [&] {
    throw Error(ErrorCode::kIo, "cannot write " + path.string() + ": " + std::strerror(sink.error) +
                                    "; make room, the same command goes on where it stopped");
  };
  transfer(url, options_, sink, check_sink, [&] { sink.restart(); });
  if (sink.offset() != n_bytes) {
    throw Error(ErrorCode::kIo,
                fmt::format("{} has {} bytes, {} were announced", url, sink.offset(), n_bytes));
  }
}

}  // namespace kvevict
