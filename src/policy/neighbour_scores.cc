#include "policy/neighbour_scores.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <iterator>

#include "kvevict/error.h"
#include "kvevict/simple_evict.h"
#include "policy/highest_ranked.h"

namespace kvevict {
namespace {

using Scores = NeighbourScores::Scores;

/// `known` with the new scores laid over it.
Scores merged(const Scores& known, std::span<const std::int64_t> held, std::span<const float> scores) {
  Scores all;
  all.reserve(known.size() + held.size());
  auto next = known.begin();
  for (std::size_t i = 0; i < held.size(); ++i) {
    for (; next != known.end() && next->first < held[i]; ++next) all.push_back(*next);
    if (next != known.end() && next->first == held[i]) ++next;
    all.emplace_back(held[i], finite_rank(scores[i]));
  }
  all.insert(all.end(), next, known.end());
  return all;
}

/// Those of `all` that a token of `held` reaches.
Scores within_reach(const Scores& all, std::span<const std::int64_t> held, std::int64_t reach) {
  Scores near;
  std::size_t i = 0;
  for (const auto& entry : all) {
    while (i < held.size() && held[i] < entry.first - reach) ++i;
    if (i == held.size()) break;
    if (held[i] <= entry.first + reach) near.push_back(entry);
  }
  return near;
}

}  // namespace

std::vector<float> NeighbourScores::smoothed(std::size_t list, std::span<const std::int64_t> held,
                                             std::span<const float> scores, std::int64_t reach) {
  if (lists_.size() <= list) lists_.resize(list + 1);
  const Scores all = merged(lists_[list], held, scores);
  std::vector<double> sums_before{0};  // of the scores in front of an entry
  sums_before.reserve(all.size() + 1);
  for (const auto& entry : all) sums_before.push_back(sums_before.back() + static_cast<double>(entry.second));
  std::vector<float> means;
  means.reserve(held.size());
  std::size_t begin = 0;
  std::size_t end = 0;
  for (const std::int64_t token : held) {
    while (all[begin].first < token - reach) ++begin;
    while (end < all.size() && all[end].first <= token + reach) ++end;
    means.push_back(
        static_cast<float>((sums_before[end] - sums_before[begin]) / static_cast<double>(end - begin)));
  }
  lists_[list] = within_reach(all, held, reach);
  return means;
}

void NeighbourScores::trim(std::int64_t n_tokens, const KeepPlan& /*held*/) {
  for (Scores& scores : lists_) {
    std::erase_if(scores, [&](const auto& entry) { return entry.first >= n_tokens; });
  }
}

/// "12:1.8p-1 13:-1p-3|…": f32 in hexadecimal, which loses nothing.
std::string NeighbourScores::save() const {
  std::string text;
  std::array<char, 64> number{};
  for (std::size_t l = 0; l < lists_.size(); ++l) {
    if (l > 0) text += '|';
    for (const auto& [token, score] : lists_[l]) {
      if (!text.empty() && text.back() != '|') text += ' ';
      const auto end =
          std::to_chars(number.data(), number.data() + number.size(), score, std::chars_format::hex);
      text += std::to_string(token) + ":" + std::string(number.data(), end.ptr);
    }
  }
  return text;
}

std::unique_ptr<NeighbourScores> NeighbourScores::load(std::string_view text, std::size_t n_most) {
  auto memory = std::make_unique<NeighbourScores>();
  memory->lists_.emplace_back();
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  bool is_sound = true;
  while (at != end && is_sound) {
    Scores& scores = memory->lists_.back();
    std::pair<std::int64_t, float> entry;
    if (*at == '|') {
      memory->lists_.emplace_back();
      ++at;
      continue;
    }
    if (!scores.empty()) ++at;  // the space; `save` below says whether it was one
    const auto token = std::from_chars(at, end, entry.first);
    is_sound = token.ec == std::errc() && token.ptr != end && *token.ptr == ':';
    if (!is_sound) break;
    const auto score = std::from_chars(token.ptr + 1, end, entry.second, std::chars_format::hex);
    is_sound = score.ec == std::errc() && std::isfinite(entry.second) && entry.first >= 0 &&
               entry.first < kMaxTokens && (scores.empty() || scores.back().first < entry.first);
    scores.push_back(entry);
    at = score.ptr;
  }
  if (!is_sound || memory->lists_.size() > n_most || memory->save() != text)
    throw Error(ErrorCode::kBadData, "the saved scores of keys contradict each other");
  return memory;
}

}  // namespace kvevict
