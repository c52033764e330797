#include "http/api_error.h"

#include "http/json_body.h"
#include "serving/chat_request.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

/// Where a request has what an error is about: a strategy is a field of the extension.
std::string place_in_request(const std::string& field) {
  return field == "strategy" ? "kvevict.strategy" : field;
}

}  // namespace

std::string ApiError::json() const {
  const Json error = {
      {"message", message}, {"type", type}, {"param", text_or_null(param)}, {"code", text_or_null(code)}};
  return json_text({{"error", error}});
}

ApiError api_error_of(const Error& error) {
  if (error.field() == serving::kElsewhereField)
    return {.status = 409, .message = error.what(), .code = "conversation_busy", .seconds_to_wait = 1};
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kBadData:
    case ErrorCode::kUnsupported:
      return {.status = 400, .message = error.what(), .param = place_in_request(error.field())};
    case ErrorCode::kNotFound:
      return {.status = 404, .message = error.what(), .code = "not_found"};
    case ErrorCode::kCancelled:
      return {.status = 503,
              .message = "the server is shutting down",
              .type = "server_error",
              .code = "shutdown",
              .seconds_to_wait = 1};
    default:
      return {.status = 500, .message = error.what(), .type = "server_error"};
  }
}

ApiError api_error_of_status(int status) {
  if (status == 404) return {.status = 404, .message = "there is nothing at this path", .code = "not_found"};
  if (status == 413) return {.status = 413, .message = "the body is too large", .code = "body_too_large"};
  if (status == 414) return {.status = 414, .message = "the path is too long"};
  if (status >= 500) return {.status = status, .message = "the request failed", .type = "server_error"};
  return {.status = status, .message = "this is no HTTP request that can be read"};
}

}  // namespace kvevict::http
