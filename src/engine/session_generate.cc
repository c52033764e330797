// Sampling from a session and going on with what was sampled.
#include <algorithm>

#include "engine/sampler.h"
#include "engine/session_impl.h"
#include "engine/stop_text.h"
#include "engine/text_stream.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

void require_sound(const GenerateOptions& options) {
  for (const std::string& stop : options.stop) {
    if (stop.empty())
      throw Error(ErrorCode::kInvalidArgument,
                  "a text that ends an answer is empty: one or more characters are needed", "stop");
  }
}

/// `text` up to where the first of `stops` begins.
std::string up_to_stop(std::string text, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) text.resize(std::min(text.size(), text.find(stop)));
  return text;
}

}  // namespace

Generation Session::generate(const GenerateOptions& options) {
  if (logits().empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "nothing was appended to the session: there is nothing to go on from");
  }
  require_sound(options);
  Sampler sampler(options.sampling, *impl_->model, options.recent, options.grammar);
  const bool has_end = options.stop_at_end_of_generation || !options.grammar.empty();
  TextStream stream(*impl_->model);
  StopText text(options.stop);
  Generation generation;
  for (std::int64_t i = 0; i < options.max_new_tokens; ++i) {
    const Token token = sampler.sample(logits(), impl_->record.map().n_seen());
    if (has_end && impl_->model->is_end_of_generation(token)) {
      generation.reached_end = true;
      break;
    }
    generation.tokens.push_back(token);
    const std::string shown = text.add(stream.add(token));
    generation.reached_end = text.is_reached();
    if ((options.on_token && !options.on_token(token, shown)) || generation.reached_end) break;
    if (i + 1 == options.max_new_tokens) break;
    make_room(1);
    append({&token, 1}, {.prefill = PrefillMode::kFull});
  }
  if (const std::string rest = text.take_rest(); options.on_rest && !rest.empty()) options.on_rest(rest);
  generation.text = up_to_stop(impl_->model->detokenize(generation.tokens), options.stop);
  return generation;
}

}  // namespace kvevict
