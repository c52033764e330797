#include "http/json_body.h"

#include <fmt/format.h>

#include <vector>

#include "kvevict/error.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// Counts while the parser reads: what comes of it is copied, compared and written by recursion, and fields
/// are looked for one by one.
class Limits {
 public:
  bool operator()(int depth, Json::parse_event_t event, const Json& /*value*/) {
    using Event = Json::parse_event_t;
    if (depth > kDeepestJson) refuse(fmt::format("is nested deeper than {} levels", kDeepestJson));
    if (event == Event::object_start) n_fields_.push_back(0);
    if (event == Event::object_end) n_fields_.pop_back();
    if (event == Event::key && ++n_fields_.back() > kMostFields)
      refuse(fmt::format("has an object of more than {} fields", kMostFields));
    if (event != Event::key && ++n_values_ > kMostValues)
      refuse(fmt::format("has more than {} values", kMostValues));
    return true;
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) {
    throw Error(ErrorCode::kBadData, "the body " + what);
  }

  std::vector<int> n_fields_{};
  int n_values_ = 0;
};

}  // namespace

Json parse_body(std::string_view body) {
  if (body.empty()) throw Error(ErrorCode::kBadData, "the body is empty: a JSON object is needed");
  try {
    Limits limits;
    Json json = Json::parse(body, [&](int depth, Json::parse_event_t event, const Json& value) {
      return limits(depth, event, value);
    });
    if (json.is_object()) return json;
  } catch (const Json::parse_error& error) {
    throw Error(ErrorCode::kBadData, fmt::format("the body is not valid JSON at byte {}", error.byte));
  } catch (const Json::out_of_range&) {
    throw Error(ErrorCode::kBadData, "the body holds a number that is too large");
  }
  throw Error(ErrorCode::kBadData, "the body is JSON, but no object {…}");
}

bool flag(const JsonReader& object, const char* name, bool otherwise) {
  return object.has(name) ? object.member(name).boolean() : otherwise;
}

std::string json_text(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace kvevict::http
