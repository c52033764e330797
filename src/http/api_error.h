#pragma once

#include <cstdint>
#include <string>

#include "kvevict/error.h"

namespace kvevict::http {

/// An error as OpenAI's interface says it.
struct ApiError {
  int status = 500;
  std::string message{};
  std::string type = "invalid_request_error";
  std::string param{};               ///< The field that it is about; empty: none.
  std::string code{};                ///< For programs; empty: none.
  std::int64_t seconds_to_wait = 0;  ///< Before the same may be asked again (Retry-After); 0: not said.

  /// {"error":{"message","type","param","code"}}
  [[nodiscard]] std::string json() const;
};

/// The error of the library: a request that cannot be answered is the client's (400), what failed is ours.
[[nodiscard]] ApiError api_error_of(const Error& error);

/// What a status without a body means: of a path that is not there, of a body that is too large.
[[nodiscard]] ApiError api_error_of_status(int status);

}  // namespace kvevict::http
