#include "results/word_hmm.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "kvevict/error.h"
#include "text/unicode_text.h"

namespace kvevict::eval {
namespace {

constexpr double kImpossible = -3.14e100;  // jieba's MIN_FLOAT

/// The states in the order of their letters, by which jieba breaks ties: the larger one wins.
enum State : std::size_t { kBegin, kEnd, kMiddle, kSingle };
constexpr std::array<const char*, 4> kLetters = {"B", "E", "M", "S"};
/// The states that may come before each state.
constexpr std::array<std::array<std::size_t, 2>, 4> kBefore = {
    {{kEnd, kSingle}, {kBegin, kMiddle}, {kBegin, kMiddle}, {kEnd, kSingle}}};

}  // namespace

WordHmm::WordHmm(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::kNotFound, "there is no word model " + path.string());
  try {
    const auto json = nlohmann::json::parse(file);
    for (std::size_t s = 0; s < kStates; ++s) {
      start_[s] = json.at("start").at(kLetters[s]);
      transition_[s].fill(kImpossible);
      for (std::size_t t = 0; t < kStates; ++t) {
        const auto& row = json.at("trans").at(kLetters[s]);
        if (row.contains(kLetters[t])) transition_[s][t] = row.at(kLetters[t]);
      }
      for (const auto& [character, probability] : json.at("emit").at(kLetters[s]).items()) {
        emission_[s][decode_utf8(character).at(0)] = probability;
      }
    }
  } catch (const std::exception& error) {
    throw Error(ErrorCode::kBadData, path.string() + " is not a word model: " + error.what());
  }
}

double WordHmm::emission(std::size_t state, char32_t c) const {
  const auto found = emission_[state].find(c);
  return found == emission_[state].end() ? kImpossible : found->second;
}

std::vector<std::size_t> WordHmm::best_states(std::u32string_view han) const {
  std::vector<std::array<std::size_t, kStates>> came_from(han.size());
  std::array<double, kStates> score{};
  for (std::size_t s = 0; s < kStates; ++s) score[s] = start_[s] + emission(s, han[0]);
  for (std::size_t i = 1; i < han.size(); ++i) {
    std::array<double, kStates> next{};
    for (std::size_t s = 0; s < kStates; ++s) {
      const double emitted = emission(s, han[i]);
      const auto [a, b] = kBefore[s];  // a < b: equal scores go to b
      const double from_a = score[a] + transition_[a][s] + emitted;
      const double from_b = score[b] + transition_[b][s] + emitted;
      next[s] = from_b >= from_a ? from_b : from_a;
      came_from[i][s] = from_b >= from_a ? b : a;
    }
    score = next;
  }
  std::vector<std::size_t> states(han.size());
  states.back() = score[kSingle] >= score[kEnd] ? kSingle : kEnd;
  for (std::size_t i = han.size() - 1; i > 0; --i) states[i - 1] = came_from[i][states[i]];
  return states;
}

std::vector<std::u32string_view> WordHmm::cut(std::u32string_view han) const {
  std::vector<std::u32string_view> words;
  if (han.empty()) return words;
  const std::vector<std::size_t> states = best_states(han);
  std::size_t begin = 0;
  std::size_t next = 0;
  for (std::size_t i = 0; i < han.size(); ++i) {
    if (states[i] == kBegin) begin = i;
    if (states[i] != kEnd && states[i] != kSingle) continue;
    const std::size_t from = states[i] == kEnd ? begin : i;
    words.push_back(han.substr(from, i + 1 - from));
    next = i + 1;
  }
  if (next < han.size()) words.push_back(han.substr(next));
  return words;
}

}  // namespace kvevict::eval
