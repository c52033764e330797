#include "text/jsonl.h"

#include <fstream>

#include "kvevict/error.h"

namespace kvevict {
namespace {

using Json = nlohmann::json;

/// "expected ':'" out of "[json.exception.parse_error.101] parse error at line 1, column 5: …: expected ':'"
std::string short_reason(const std::string& what) {
  const std::size_t at = what.find("column ");
  const std::size_t colon = at == std::string::npos ? std::string::npos : what.find(": ", at);
  if (what.find("ill-formed UTF-8") != std::string::npos)
    return "it is not UTF-8 (Latin-1?), save the file as UTF-8";
  constexpr std::size_t kLongest = 120;  // the parser quotes all of what it read last
  return (colon == std::string::npos ? what : what.substr(colon + 2)).substr(0, kLongest);
}

/// nlohmann's "column" counts bytes; people count characters.
std::size_t column_of_byte(const std::string& line, std::size_t byte) {
  std::size_t column = 1;
  for (std::size_t i = 0; i + 1 < byte && i < line.size(); ++i) {
    if ((static_cast<unsigned char>(line[i]) & 0xC0U) != 0x80U) ++column;
  }
  return column;
}

Json parse_line(const std::string& line, const std::string& place) {
  try {
    return Json::parse(line);
  } catch (const Json::parse_error& error) {
    throw Error(ErrorCode::kBadData, place + ", column " + std::to_string(column_of_byte(line, error.byte)) +
                                         ": not valid JSON: " + short_reason(error.what()));
  }
}

}  // namespace

void JsonlRow::refuse(const char* name, const std::string& what) const {
  throw Error(ErrorCode::kBadData, place_ + ": the field \"" + name + "\" " + what);
}

std::string JsonlRow::text(const char* name) const {
  const auto field = value_.find(name);
  if (field == value_.end()) refuse(name, "is missing");
  if (!field->is_string()) refuse(name, std::string("is ") + field->type_name() + ", a string is needed");
  return field->get<std::string>();
}

std::string JsonlRow::text_or_empty(const char* name) const {
  const auto field = value_.find(name);
  return field == value_.end() || field->is_null() ? std::string() : text(name);
}

std::int64_t JsonlRow::integer_or_zero(const char* name) const {
  const auto field = value_.find(name);
  if (field == value_.end() || field->is_null()) return 0;
  if (!field->is_number_integer())
    refuse(name, std::string("is ") + field->type_name() + ", an integer is needed");
  return field->get<std::int64_t>();
}

std::vector<std::string> JsonlRow::texts(const char* name, bool is_required) const {
  const auto field = value_.find(name);
  if (field == value_.end() || field->is_null()) {
    if (is_required) refuse(name, "is missing");
    return {};
  }
  if (!field->is_array())
    refuse(name, std::string("is ") + field->type_name() + ", a list of strings is needed");
  std::vector<std::string> texts;
  for (const Json& item : *field) {
    if (!item.is_string())
      refuse(name, std::string("holds ") + item.type_name() + ", a list of strings is needed");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

void for_each_jsonl_row(const std::filesystem::path& path,
                        const std::function<bool(const JsonlRow&)>& visit) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    throw Error(ErrorCode::kNotFound, "there is no file " + path.string());
  std::ifstream file(path, std::ios::binary);
  if (!file || std::filesystem::is_directory(path, ignored)) {
    throw Error(ErrorCode::kIo, "cannot read " + path.string());
  }
  std::string line;
  for (std::int64_t number = 1; std::getline(file, line); ++number) {
    if (number == 1 && line.rfind("\xEF\xBB\xBF", 0) == 0) line.erase(0, 3);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::string place = path.string() + ", line " + std::to_string(number);
    Json value = parse_line(line, place);
    if (!value.is_object()) {
      throw Error(ErrorCode::kBadData,
                  place + ", column 1: " + value.type_name() + " found, an object {…} is needed");
    }
    if (!visit(JsonlRow(std::move(value), place))) return;
  }
  if (file.bad()) throw Error(ErrorCode::kIo, "reading " + path.string() + " failed");
}

}  // namespace kvevict
