#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace kvevict {

/// A value of a JSON document that knows where it stands, so that a wrong one is named: "file.json,
/// runs[0].datasets: …". Views the document, which must outlive it. Every reader throws
/// Error(kBadData), whose field is the place, for a missing field or another type. An empty place is that of
/// a document without a name: its fields are named by themselves, "runs[0].datasets".
class JsonReader {
 public:
  using Json = nlohmann::ordered_json;

  JsonReader(const Json& value, std::string place) : value_(value), place_(std::move(place)) {}

  [[nodiscard]] JsonReader member(const char* name) const;
  [[nodiscard]] bool has(const char* name) const;  ///< Is there and not null.
  [[nodiscard]] const Json& json() const noexcept { return value_; }

  [[nodiscard]] std::string text() const;
  [[nodiscard]] std::int64_t integer() const;
  [[nodiscard]] double number() const;
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::vector<std::string> texts() const;
  [[nodiscard]] std::map<std::string, std::string> text_map() const;
  [[nodiscard]] std::map<std::string, std::int64_t> integer_map() const;
  void for_each_item(const std::function<void(const JsonReader&)>& visit) const;

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void require(bool is_right, const char* wanted) const;

  const Json& value_;
  std::string place_;
};

/// The document in a file. Errors: kNotFound that says there is no `kind` ("results file") of this name, kIo,
/// and kBadData with the byte where the text stops being JSON, or for a number that no double holds.
[[nodiscard]] JsonReader::Json read_json_file(const std::filesystem::path& path, const char* kind);

}  // namespace kvevict
