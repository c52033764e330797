// Sampling from a session and going on with what was sampled.
#include "engine/sampler.h"
#include "engine/session_impl.h"
#include "engine/text_stream.h"
#include "kvevict/error.h"

namespace kvevict {

Generation Session::generate(const GenerateOptions& options) {
  if (logits().empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "nothing was appended to the session: there is nothing to go on from");
  }
  Sampler sampler(options.sampling);
  TextStream stream(*impl_->model);
  Generation generation;
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const Token token = sampler.sample(logits(), impl_->record.map().n_seen());
    if (options.stop_at_end_of_generation && impl_->model->is_end_of_generation(token)) {
      generation.reached_end = true;
      break;
    }
    generation.tokens.push_back(token);
    if (options.on_token && !options.on_token(token, stream.add(token))) break;
    if (i + 1 == options.max_new_tokens) break;
    make_room(1);
    append({&token, 1}, {.prefill = PrefillMode::kFull});
  }
  generation.text = impl_->model->detokenize(generation.tokens);
  return generation;
}

}  // namespace kvevict
