#include "text/json_reader.h"

#include <fstream>
#include <limits>

#include "kvevict/error.h"

namespace kvevict {

void JsonReader::refuse(const std::string& what) const {
  throw Error(ErrorCode::kBadData, place_.empty() ? what : place_ + ": " + what, place_);
}

void JsonReader::require(bool is_right, const char* wanted) const {
  if (!is_right) refuse(std::string(value_.type_name()) + " found, " + wanted + " is needed");
}

JsonReader JsonReader::member(const char* name) const {
  require(value_.is_object(), "an object {…}");
  const auto found = value_.find(name);
  if (found == value_.end()) refuse(std::string("the field \"") + name + "\" is missing");
  return {*found, place_.empty() ? name : place_ + "." + name};
}

bool JsonReader::has(const char* name) const {
  if (!value_.is_object()) return false;
  const auto found = value_.find(name);
  return found != value_.end() && !found->is_null();
}

std::string JsonReader::text() const {
  require(value_.is_string(), "a string");
  return value_.get<std::string>();
}

std::int64_t JsonReader::integer() const {
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool is_too_large = value_.is_number_unsigned() && value_.get<std::uint64_t>() > kMost;
  require(value_.is_number_integer() && !is_too_large, "an integer of 64 bits");
  return value_.get<std::int64_t>();
}

double JsonReader::number() const {
  require(value_.is_number(), "a number");
  return value_.get<double>();
}

bool JsonReader::boolean() const {
  require(value_.is_boolean(), "true or false");
  return value_.get<bool>();
}

std::vector<std::string> JsonReader::texts() const {
  std::vector<std::string> texts;
  for_each_item([&](const JsonReader& item) { texts.push_back(item.text()); });
  return texts;
}

std::map<std::string, std::string> JsonReader::text_map() const {
  require(value_.is_object(), "an object {…}");
  std::map<std::string, std::string> map;
  for (const auto& item : value_.items()) map[item.key()] = member(item.key().c_str()).text();
  return map;
}

std::map<std::string, std::int64_t> JsonReader::integer_map() const {
  require(value_.is_object(), "an object {…}");
  std::map<std::string, std::int64_t> map;
  for (const auto& item : value_.items()) map[item.key()] = member(item.key().c_str()).integer();
  return map;
}

void JsonReader::for_each_item(const std::function<void(const JsonReader&)>& visit) const {
  require(value_.is_array(), "a list […]");
  std::size_t index = 0;
  for (const Json& item : value_) visit({item, place_ + "[" + std::to_string(index++) + "]"});
}

JsonReader::Json read_json_file(const std::filesystem::path& path, const char* kind) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw Error(ErrorCode::kNotFound, std::string("there is no ") + kind + " " + path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, ignored))
    throw Error(ErrorCode::kIo, "cannot read " + path.string());
  try {
    return JsonReader::Json::parse(file);
  } catch (const JsonReader::Json::parse_error& error) {
    throw Error(ErrorCode::kBadData, path.string() + " is not valid JSON at byte " +
                                         std::to_string(error.byte) + " (NaN and Infinity are not either)");
  } catch (const JsonReader::Json::out_of_range&) {
    throw Error(ErrorCode::kBadData,
                path.string() + " holds a number that is too large to be one of results");
  }
}

}  // namespace kvevict
