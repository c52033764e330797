#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/flags.h"
#include "experiments/held_back_question.h"

namespace kvevict::cli {

/// Behind the name of a run whose question came after the eviction: tables and comparisons tell the two
/// apart.
inline constexpr const char* kQuestionAfterSuffix = ":question=after";

/// What a table says below such runs.
inline constexpr const char* kQuestionAfterLegend =
    "question=after: the question was not there when tokens were evicted; it and the answer come on top of "
    "the\nbudget, for every strategy.\n";

/// `--question before|after`.
inline CLI::Option* add_question(CLI::App& app, std::string& order) {
  return add_option(
             app, "question", order,
             "When the question is asked: before the eviction, as in LongBench, or after it, of what a "
             "policy kept that did not know it. Then nothing more is evicted: question and answer come on "
             "top of the budget")
      ->check(CLI::IsMember({"before", "after"}))
      ->capture_default_str();
}

[[nodiscard]] inline eval::QuestionOrder question_order(const std::string& text) {
  return text == "after" ? eval::QuestionOrder::kAfter : eval::QuestionOrder::kBefore;
}

}  // namespace kvevict::cli
