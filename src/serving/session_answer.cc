#include "serving/session_answer.h"

namespace kvevict::serving {

std::vector<std::optional<Error>> append_tokens(std::span<RunningAnswer* const> answers) {
  std::vector<SessionAnswer*> own;
  std::vector<SessionTokens> all;
  std::vector<std::int64_t> n_before;
  for (RunningAnswer* const one : answers) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): see the header
    own.push_back(static_cast<SessionAnswer*>(one));
    all.push_back(own.back()->token());
    n_before.push_back(all.back().session->stats().n_tokens_seen);
  }
  std::vector<std::optional<Error>> errors(all.size());
  if (!error_of([&] { Session::append_each(all); })) return errors;
  for (std::size_t i = 0; i < all.size(); ++i) {  // each alone, so that the one at fault is the one that ends
    if (all[i].session->stats().n_tokens_seen > n_before[i]) continue;
    errors[i] = error_of([&] { Session::append_each({&all[i], 1}); });
    if (errors[i]) own[i]->note(*errors[i]);
  }
  return errors;
}

}  // namespace kvevict::serving
