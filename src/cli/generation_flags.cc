#include "cli/generation_flags.h"

#include <fmt/format.h>

#include <algorithm>

#include "cli/flags.h"
#include "cli/model_run.h"
#include "kvevict/error.h"
#include "kvevict/grammar.h"
#include "text/utf8.h"

namespace kvevict::cli {

void GenerationFlags::add_to(CLI::App& app) {
  add_count(app, "max_new_tokens", max_new_tokens, "Most tokens of an answer")->capture_default_str();
  add_option(app, "temperature", sampling.temperature, "Sampling temperature (0: greedy)")->option_text("T");
  add_count(app, "top_k", sampling.top_k, "Best tokens considered (0: all)")->capture_default_str();
  add_option(app, "top_p", sampling.top_p, "Share of probability considered")->option_text("P");
  add_option(app, "min_p", sampling.min_p, "Least probability, relative to the best token's")
      ->option_text("P");
  add_option(app, "repeat_penalty", sampling.repeat_penalty,
             "Above 1: the last 64 tokens are less likely to come again")
      ->option_text("X");
  add_option(app, "presence_penalty", sampling.presence_penalty,
             "Taken from the logits of tokens among the last 64 (-2 to 2)")
      ->option_text("X");
  add_option(app, "frequency_penalty", sampling.frequency_penalty,
             "The same, for each time that they are there (-2 to 2)")
      ->option_text("X");
  add_flag(app, "ignore_eos", sampling.ignores_end,
           "Go on to --max_new_tokens: the model cannot end an answer");
  add_option(app, "stop", stop, "A text that ends an answer where it begins; may be given several times")
      ->allow_extra_args(false)
      ->option_text("TEXT");
  add_option(app, "grammar", grammar_file,
             "Every answer has the form that this file says, in llama.cpp's GBNF: root ::= \"yes\" | \"no\"")
      ->option_text("FILE");
  add_option(app, "json_schema", json_schema_file, "Every answer is JSON that this JSON schema describes")
      ->option_text("FILE");
  add_count(app, "seed", sampling.seed, "Seed of the sampler, where the temperature is above 0");
}

void GenerationFlags::validate() const {
  if (std::find(stop.begin(), stop.end(), "") != stop.end())
    throw Error(ErrorCode::kInvalidArgument, "--stop is empty: a text of one or more characters is needed");
  for (const std::string& text : stop) require_utf8(text, "--stop");
  if (!grammar_file.empty() && !json_schema_file.empty())
    throw Error(ErrorCode::kInvalidArgument, "--grammar and --json_schema are both given: give one of them");
  if (sampling.ignores_end && !(grammar_file + json_schema_file).empty())
    throw Error(ErrorCode::kInvalidArgument,
                "--ignore_eos is given with --grammar or --json_schema: an answer ends where its form does");
  if (max_new_tokens >= 1) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("--max_new_tokens is {}: 1 or more is needed", max_new_tokens));
}

std::string GenerationFlags::grammar(const Model& model) const {
  const std::string& file = grammar_file.empty() ? json_schema_file : grammar_file;
  if (file.empty()) return {};
  const std::string text = read_text(file);
  try {
    const std::string grammar = grammar_file.empty() ? grammar_of_json_schema(text) : text;
    require_grammar(model, grammar);
    return grammar;
  } catch (const Error& error) {
    throw Error(error.code(), file + ": " + error.what(), error.field());
  }
}

}  // namespace kvevict::cli
