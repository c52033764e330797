#include "http/json_body.h"

#include <fmt/format.h>

#include <cstddef>
#include <iterator>
#include <string>
#include <vector>

#include "kvevict/error.h"

namespace kvevict::http {
namespace {

using Json = JsonReader::Json;

/// Counts before anything is made: what comes of a body is copied, compared and written by recursion, and
/// fields are looked for one by one. A reader of its own, since the library's parser with a callback looks at
/// all items of a list again behind each that is an object.
class Limits final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return add(); }
  bool boolean(bool /*value*/) override { return add(); }
  bool number_integer(number_integer_t /*value*/) override { return add(); }
  bool number_unsigned(number_unsigned_t /*value*/) override { return add(); }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return add(); }
  bool string(string_t& /*value*/) override { return add(); }
  bool binary(binary_t& /*value*/) override { return add(); }
  bool start_object(std::size_t /*size*/) override { return open(); }
  bool end_object() override { return close(); }
  bool start_array(std::size_t /*size*/) override { return open(); }
  bool end_array() override { return close(); }
  bool key(string_t& /*name*/) override {
    if (++n_fields_.back() > kMostFields)
      refuse(fmt::format("has an object of more than {} fields", kMostFields));
    return true;
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;  // said by the parser
  }

 private:
  [[noreturn]] static void refuse(const std::string& what) {
    throw Error(ErrorCode::kBadData, "the body " + what);
  }

  bool add() {
    if (std::ssize(n_fields_) > kDeepestJson)
      refuse(fmt::format("is nested deeper than {} levels", kDeepestJson));
    if (++n_values_ > kMostValues) refuse(fmt::format("has more than {} values", kMostValues));
    return true;
  }
  bool open() {
    add();
    n_fields_.push_back(0);
    return true;
  }
  bool close() {
    n_fields_.pop_back();
    return add();
  }

  std::vector<int> n_fields_{};  // of the objects and lists that are open
  int n_values_ = 0;
};

}  // namespace

Json parse_body(std::string_view body) {
  if (body.empty()) throw Error(ErrorCode::kBadData, "the body is empty: a JSON object is needed");
  try {
    Limits limits;
    (void)Json::sax_parse(body, &limits);
    Json json = Json::parse(body);
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
