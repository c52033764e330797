#include "hub/tcp_probe.h"

#include <curl/curl.h>

#include <memory>

namespace kvevict {

bool accepts_connection(const std::string& endpoint) {
  constexpr long kLongestWaitSeconds = 10;
  const std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> handle(curl_easy_init(), &curl_easy_cleanup);
  if (!handle) return false;
  curl_easy_setopt(handle.get(), CURLOPT_URL, ("http://" + endpoint).c_str());
  curl_easy_setopt(handle.get(), CURLOPT_CONNECT_ONLY, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(handle.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_CONNECTTIMEOUT, kLongestWaitSeconds);
  return curl_easy_perform(handle.get()) == CURLE_OK;
}

}  // namespace kvevict
