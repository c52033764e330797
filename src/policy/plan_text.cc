// Plans as text, for what policies save.
#include <charconv>

#include "kvevict/error.h"
#include "kvevict/keep_plan.h"

namespace kvevict {
namespace {

[[noreturn]] void refuse_text(std::string_view text) {
  constexpr std::size_t kQuoted = 80;
  throw Error(ErrorCode::kBadData,
              "\"" + std::string(text.substr(0, kQuoted)) +
                  "\" is not a keep plan: ranges such as 0-256,640-768 in ascending order are needed");
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  if (text.empty()) return parts;
  for (std::size_t from = 0;;) {
    const std::size_t at = text.find(separator, from);
    parts.push_back(text.substr(from, at - from));
    if (at == std::string_view::npos) return parts;
    from = at + 1;
  }
}

std::int64_t number_in(std::string_view text, std::string_view whole) {
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || number < 0) refuse_text(whole);
  if (text.size() > 1 && text.front() == '0') refuse_text(whole);
  return number;
}

KeepSet set_in(std::string_view text) {
  KeepSet set;
  for (const std::string_view part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    if (dash == std::string_view::npos) refuse_text(text);
    const std::int64_t begin = number_in(part.substr(0, dash), text);
    const std::int64_t end = number_in(part.substr(dash + 1), text);
    if (begin >= end || (!set.empty() && begin <= set.end())) refuse_text(text);
    set.append(begin, end);
  }
  return set;
}

}  // namespace

std::string to_text(const KeepPlan& plan) {
  std::string text;
  for (const KeepSet& set : plan.distinct_sets()) {
    if (&set != plan.distinct_sets().data()) text += '|';
    for (const TokenRange& range : set.ranges()) {
      if (&range != set.ranges().data()) text += ',';
      text += std::to_string(range.begin) + "-" + std::to_string(range.end);
    }
  }
  for (std::size_t l = 0; l < plan.n_layers(); ++l)
    text += (l == 0 ? "@" : ",") + std::to_string(plan.set_number(l));
  return text;
}

KeepPlan keep_plan_from_text(std::string_view text) {
  const std::size_t at = text.find('@');
  std::vector<KeepSet> sets;
  for (const std::string_view part : split(text.substr(0, at), '|')) sets.push_back(set_in(part));
  if (sets.empty()) sets.emplace_back();
  if (at == std::string_view::npos) {
    if (sets.size() != 1) refuse_text(text);
    return KeepPlan(std::move(sets.front()));
  }
  std::vector<std::size_t> set_of_layer;
  for (const std::string_view part : split(text.substr(at + 1), ',')) {
    const std::int64_t number = number_in(part, text);
    if (number >= static_cast<std::int64_t>(sets.size())) refuse_text(text);
    set_of_layer.push_back(static_cast<std::size_t>(number));
  }
  if (set_of_layer.empty()) refuse_text(text);
  return {std::move(sets), std::move(set_of_layer)};
}

}  // namespace kvevict
