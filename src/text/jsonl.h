#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace kvevict {

/// A line of a JSONL file: an object, and where it stands for messages.
class JsonlRow {
 public:
  JsonlRow(nlohmann::json value, std::string place) : value_(std::move(value)), place_(std::move(place)) {}

  [[nodiscard]] bool has(const char* name) const { return value_.contains(name); }
  /// The string field `name`. Errors: kBadData naming file, line and field.
  [[nodiscard]] std::string text(const char* name) const;
  /// Likewise, but "" if the field is absent or null.
  [[nodiscard]] std::string text_or_empty(const char* name) const;
  /// An integer field; 0 if it is absent or null.
  [[nodiscard]] std::int64_t integer_or_zero(const char* name) const;
  /// A list of strings; empty if it is absent or null and not `is_required`.
  [[nodiscard]] std::vector<std::string> texts(const char* name, bool is_required) const;

  /// "file.jsonl, line 3"
  [[nodiscard]] const std::string& place() const noexcept { return place_; }

 private:
  [[noreturn]] void refuse(const char* name, const std::string& what) const;

  nlohmann::json value_;
  std::string place_;
};

/// Calls `visit` for every line of the file until it returns false. Blank lines and a byte-order
/// mark are passed over. Errors: kNotFound, kIo, and kBadData naming file, line and column of what
/// does not parse or is no object.
void for_each_jsonl_row(const std::filesystem::path& path, const std::function<bool(const JsonlRow&)>& visit);

}  // namespace kvevict
