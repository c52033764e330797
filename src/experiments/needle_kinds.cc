#include "experiments/needle_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "experiments/pass_key.h"
#include "kvevict/error.h"

namespace kvevict::eval {
namespace {

using namespace std::string_view_literals;

constexpr std::array kPlaces = {"harbour"sv,    "library"sv,  "museum"sv,     "bakery"sv,
                                "lighthouse"sv, "hospital"sv, "theatre"sv,    "castle"sv,
                                "railway"sv,    "garden"sv,   "laboratory"sv, "warehouse"sv};
constexpr std::array kPersons = {"Anna Keller"sv,  "Peter Novak"sv,  "Maria Santos"sv, "David Brown"sv,
                                 "Laura Jensen"sv, "Samuel Okoro"sv, "Emma Fischer"sv, "Robert Hill"sv,
                                 "Julia Moreau"sv, "Thomas Berg"sv,  "Nina Petrova"sv, "Oscar Lopez"sv};
constexpr std::array kTowns = {"Lisbon"sv, "Vienna"sv, "Dublin"sv,  "Prague"sv, "Toronto"sv, "Madrid"sv,
                               "Oslo"sv,   "Cairo"sv,  "Chicago"sv, "Athens"sv, "Berlin"sv,  "Sydney"sv};

std::vector<NeedleKind> make_kinds() {
  return {
      {.name = "passkey",
       .instruction = kPassKeyInstruction,
       .fact = [](const std::string&, const std::string& key) { return pass_key_sentences(key); },
       .question = [](const std::string&) { return std::string(kPassKeyQuestion); },
       .answer_beginning = [](const std::string&) { return std::string(kPassKeyAnswer); },
       .subjects = {},
       .answers = {},
       .depths = {0, 25, 50, 75, 100},
       .n_answer_tokens = kAnswerTokens},
      {.name = "codes",
       .instruction =
           "There are codes hidden inside a lot of irrelevant text. Find them and memorize them. I will quiz "
           "you about one of them.\n",
       .fact = [](const std::string& place,
                  const std::string& code) { return fmt::format("\n\n{} code: {}.\n\n", place, code); },
       .question = [](const std::string&) { return std::string(); },
       .answer_beginning = [](const std::string& place) { return fmt::format("\n{} code:", place); },
       .subjects = kPlaces,
       .answers = {},
       .depths = {10, 35, 60, 85},
       .n_answer_tokens = 8},
      {.name = "birthplaces",
       .instruction =
           "Inside a lot of irrelevant text it is said where some persons were born. Find these towns and "
           "memorize them. I will quiz you about one of them.\n",
       .fact = [](const std::string& person,
                  const std::string& town) { return fmt::format("{} was born in {}.", person, town); },
       .question = [](const std::string& person) { return fmt::format("Where was {} born?", person); },
       .answer_beginning = [](const std::string& person) { return fmt::format(" {} was born in", person); },
       .subjects = kPersons,
       .answers = kTowns,
       .depths = {10, 35, 60, 85},
       .n_answer_tokens = 5}};
}

}  // namespace

const std::vector<NeedleKind>& needle_kinds() {
  static const std::vector<NeedleKind> kinds = make_kinds();
  return kinds;
}

const NeedleKind& needle_kind(std::string_view name) {
  std::string known;
  for (const NeedleKind& kind : needle_kinds()) {
    if (kind.name == name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("there are no needles \"{}\": {} are known", name, known), "needles");
}

}  // namespace kvevict::eval
