#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace kvevict::eval {

/// A template that is filled in.
struct FilledPrompt {
  std::string text;
  std::optional<std::size_t> context_end;  ///< Bytes up to the end of the (last) context, if it has one.
};

/// Prompts and generation lengths by data set, from `dataset2prompt.json` and
/// `dataset2maxlen.json` in LongBench's layout.
class PromptTemplates {
 public:
  /// Reads the shipped folder, then, if it is not empty, `own`: what it has replaces the
  /// shipped entries, what it lacks falls back to them. Either file may be missing from `own`.
  /// Errors: kNotFound (a folder that is not there, or `own` with neither file), kBadData.
  PromptTemplates(const std::filesystem::path& shipped, const std::filesystem::path& own);

  /// The template of `dataset` with `{context}` and `{input}` filled in, in one pass: braces inside
  /// the fillings stay as they are. `{{` and `}}` stand for braces. Errors: kNotFound for a data
  /// set without a template; kBadData for a template with another placeholder.
  [[nodiscard]] FilledPrompt fill(const std::string& dataset, std::string_view context,
                                  std::string_view input) const;

  /// New tokens for `dataset`. Errors: kNotFound.
  [[nodiscard]] std::int64_t max_new_tokens(const std::string& dataset) const;

  /// SHA-256 of the template's text, for results.
  [[nodiscard]] std::string template_sha256(const std::string& dataset) const;

 private:
  [[nodiscard]] const std::string& template_of(const std::string& dataset) const;

  std::map<std::string, std::string> prompts_;
  std::map<std::string, std::int64_t> max_new_tokens_;
};

}  // namespace kvevict::eval
