#include "engine/grammar_sampler.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <regex>
#include <vector>

#include "engine/llama_log.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"
#include "text/utf8.h"

namespace kvevict {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorCode::kInvalidArgument, "the grammar cannot be read: " + why, "grammar");
}

/// What llama.cpp's parser says: without the grammar, which it repeats, and with a line for the rest of the
/// grammar that it quotes.
std::string parser_words(const LlamaLogCapture& log, const std::string& grammar) {
  constexpr std::string_view kOpening = "error parsing grammar: ";
  const std::size_t begin = log.text().find(kOpening);
  if (begin == std::string::npos) return log.reason();
  std::string words = log.text().substr(begin + kOpening.size());
  words.resize(std::min(words.size(), words.rfind("\n\n" + grammar)));
  const std::size_t at = words.find(" at ");
  const std::string rest = at == std::string::npos ? "" : words.substr(at + 4);
  if (at == std::string::npos || !grammar.ends_with(rest)) return words;
  const auto end = grammar.end() - static_cast<std::ptrdiff_t>(rest.size());
  const auto n_line = 1 + std::count(grammar.begin(), end, '\n');
  std::string quoted = rest.substr(0, std::min<std::size_t>(rest.find('\n'), 40));
  quoted.resize(valid_utf8_prefix(quoted).n_bytes);
  return words.substr(0, at) + " in line " + std::to_string(n_line) +
         (quoted.empty() ? ", at its end" : ": " + quoted);
}

llama_sampler* sampler_from(const llama_vocab* vocab, const std::string& grammar,
                            const std::vector<std::string>& triggers) {
  if (triggers.empty()) return llama_sampler_init_grammar(vocab, grammar.c_str(), "root");
  std::vector<const char*> patterns;
  for (const std::string& trigger : triggers) patterns.push_back(trigger.c_str());
  try {
    return llama_sampler_init_grammar_lazy_patterns(vocab, grammar.c_str(), "root", patterns.data(),
                                                    patterns.size(), nullptr, 0);
  } catch (const std::regex_error& error) {
    refuse(std::string("a trigger is no regular expression: ") + error.what());
  }
}

llama_sampler* make_sampler(const Model& model, const std::string& grammar,
                            const std::vector<std::string>& triggers) {
  if (grammar.find_first_not_of(" \t\r\n") == std::string::npos) refuse("it is empty");
  if (grammar.find('\0') != std::string::npos) refuse("it has a NUL character");
  require_utf8(grammar, "the grammar");
  const LlamaLogCapture log;
  llama_sampler* const sampler = sampler_from(llama_model_get_vocab(model.handle()), grammar, triggers);
  if (sampler == nullptr) refuse(parser_words(log, grammar));
  return sampler;
}

bool is_excluded(const llama_token_data& candidate) {
  return std::isinf(candidate.logit) && candidate.logit < 0;
}

}  // namespace

void require_grammar(const Model& model, const std::string& grammar) {
  const GrammarSampler sampler(model, grammar);
}

GrammarSampler::GrammarSampler(const Model& model, const std::string& grammar, const GrammarStart& start)
    : sampler_(make_sampler(model, grammar, start.triggers)) {
  if (start.written.empty() || !start.triggers.empty()) return;
  for (const Token token : model.tokenize(std::vector<TextPart>{{start.written, true}}, false)) {
    if (!allows(token)) refuse("it does not begin with the text that stands before the answer");
    accept(token);
  }
}

bool GrammarSampler::allows(Token token) const {
  llama_token_data candidate{.id = token, .logit = 0.0F, .p = 0.0F};
  llama_token_data_array array{.data = &candidate, .size = 1, .selected = -1, .sorted = false};
  llama_sampler_apply(sampler_.get(), &array);
  return !is_excluded(candidate);
}

void GrammarSampler::restrict(llama_token_data_array& candidates) const {
  llama_sampler_apply(sampler_.get(), &candidates);
  if (!std::all_of(candidates.data, candidates.data + candidates.size, is_excluded)) return;
  throw Error(ErrorCode::kUnsupported, "the grammar allows none of the model's tokens to come next",
              "grammar");
}

void GrammarSampler::accept(Token token) {
  try {
    llama_sampler_accept(sampler_.get(), token);
  } catch (const std::exception& e) {
    throw Error(ErrorCode::kEngine, std::string("llama.cpp could not go on in the grammar: ") + e.what());
  }
}

}  // namespace kvevict
