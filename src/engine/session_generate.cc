// Sampling from a session and going on with what was sampled.
#include "engine/session_impl.h"
#include "kvevict/answer_draw.h"

namespace kvevict {

Generation Session::generate(const GenerateOptions& options) {
  AnswerDraw answer(impl_->model, options);
  while (const std::optional<Token> token = answer.next(*this)) {
    make_room(1);
    append({&*token, 1}, {.prefill = PrefillMode::kFull});
  }
  return answer.finish();
}

}  // namespace kvevict
