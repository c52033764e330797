#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

#include "serving/answer_backend.h"

namespace kvevict::test {

/// Goes on with all of them, step by step, until each has ended.
inline std::vector<serving::ChatResult> run_all(
    serving::AnswerBackend& backend, std::vector<std::unique_ptr<serving::RunningAnswer>> answers) {
  std::vector<serving::ChatResult> results(answers.size());
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    std::vector<serving::RunningAnswer*> drawn;
    for (std::size_t i = 0; i < answers.size(); ++i) {
      if (!answers[i]) continue;
      goes_on = true;
      if (answers[i]->n_prompt_left() > 0) {
        answers[i]->take_in();
      } else if (answers[i]->draw()) {
        drawn.push_back(answers[i].get());
      } else {
        results[i] = answers[i]->finish();
        answers[i].reset();
      }
    }
    if (drawn.empty()) continue;
    for (const auto& error : backend.append(drawn)) EXPECT_FALSE(error) << error->what();
  }
  return results;
}

inline serving::ChatResult run_one(serving::AnswerBackend& backend,
                                   std::unique_ptr<serving::RunningAnswer> answer) {
  std::vector<std::unique_ptr<serving::RunningAnswer>> answers;
  answers.push_back(std::move(answer));
  return run_all(backend, std::move(answers)).front();
}

}  // namespace kvevict::test
