#include "runtime/generate_options.h"

#include <string>
#include <vector>

namespace kvevict {

GenerateOptions generate_options(const AnswerOptions& form) {
  GenerateOptions options{.max_new_tokens = form.max_new_tokens,
                          .sampling = form.sampling,
                          .grammar = form.grammar,
                          .stop = form.stop,
                          .on_drawn = form.on_drawn,
                          .n_best = form.n_best};
  if (!form.format) return options;
  if (form.grammar.empty()) {
    options.grammar = form.format->grammar();
    options.grammar_start = form.format->grammar_start();
  }
  options.shown_tokens = form.format->shown_tokens();
  const std::vector<std::string>& stops = form.format->stops();
  options.stop.insert(options.stop.end(), stops.begin(), stops.end());
  return options;
}

}  // namespace kvevict
