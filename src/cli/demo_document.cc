// Parts 3 and 4 of kvevict demo: a document that is too long, and decoding behind a long prompt.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/demo_parts.h"
#include "cli/model_run.h"
#include "cli/paragraph.h"
#include "cli/table.h"
#include "experiments/decode_speed.h"
#include "experiments/long_document.h"
#include "experiments/longbench_reader.h"
#include "kvevict/strategy_spec.h"

namespace kvevict::cli {
std::vector<std::string> demo_texts(const std::filesystem::path& folder) {
  std::vector<std::string> texts;
  for (const std::string& dataset : english_demo_datasets()) {
    for (auto& example :
         eval::read_longbench_file(eval::find_longbench_file(folder, dataset), std::nullopt)) {
      if (std::find(texts.begin(), texts.end(), example.context) == texts.end())
        texts.push_back(std::move(example.context));
    }
  }
  return texts;
}

namespace {

/// Few recent tokens: of the more a small model sees, the less it finds in its first lines. A model's own
/// windows must stay.
StrategySpec strategy_for_document(const Model& model) {
  constexpr std::int64_t kMost = 128;
  StrategySpec spec = default_strategy_for(model);
  spec.config.sink_tokens = std::min(spec.config.sink_tokens, kMost);
  spec.config.recent_tokens =
      std::max(std::min(spec.config.recent_tokens, kMost), static_cast<std::int64_t>(model.info().n_window));
  return spec;
}

ModelRun run_of(const Demo& demo, const StrategySpec& spec, PrefillMode prefill) {
  EngineFlags engine = demo.flags.engine;
  engine.prefill = to_string(prefill);
  ModelRun run = make_run(engine, spec, demo.model);
  run.options.cancel = demo.session.cancel;
  return run;
}

auto tokens_read(const Demo& demo, std::int64_t n_tokens) {
  return [&demo, n_tokens](std::int64_t n_done) {
    demo.status.show(fmt::format("{} of {} tokens read", with_commas(n_done), with_commas(n_tokens)));
  };
}

/// A line that begins with a label, wrapped behind it.
void print_labelled(const std::string& label, const std::string& text) {
  constexpr std::size_t kLabelWidth = 15;
  fmt::print("{:<{}}{}", label, kLabelWidth, paragraph(text, kLabelWidth, true));
}

void print_long_answers(const eval::LongDocument& document, const eval::LongAnswers& answers) {
  fmt::print("\n");
  for (std::size_t i = 0; i < answers.all.size(); ++i) {
    const eval::StatedFact& fact = document.facts[i];
    const bool is_right = answers.all[i].is_right;
    fmt::print("{}", paragraph(fmt::format("{}{} {}", fact.question, fact.opening,
                                           one_line(answers.all[i].text) +
                                               (is_right ? " [right]" : " [wrong: " + fact.answer + "]")),
                               2, true));
  }
}

}  // namespace

void read_long_document(const Demo& demo) {
  const Model& model = *demo.model;
  const StrategySpec spec = strategy_for_document(model);
  const eval::LongDocument document = eval::make_long_document(
      model, demo_texts(demo.data), demo.flags.document_tokens, spec.config.sink_tokens);
  const auto n_tokens = static_cast<std::int64_t>(document.tokens.size());
  print_heading(
      demo, "3. A document that is longer than the model's context",
      fmt::format(
          "{} tokens; the model was trained on {}. The first lines say {} things that have nothing to do "
          "with "
          "the rest, such as \"{}\" {} keeps the first {} tokens, with these lines in them, and the last {} "
          "while it reads. Then each of them is asked for.",
          with_commas(n_tokens), with_commas(model.info().n_context_trained), document.facts.size(),
          document.facts.front().statement, to_string(spec), spec.config.sink_tokens,
          spec.config.recent_tokens));
  const auto refusal = eval::refusal_in_full(demo.model, demo.session, document);
  const double full_bytes = static_cast<double>(eval::kv_bytes_in_full(model, demo.session, document));
  print_labelled("full", refusal ? "refused: " + *refusal
                                 : "possible: this model was trained on contexts that are long enough");
  print_labelled("", fmt::format("K and V would take {}", mib_text(full_bytes)));
  std::fflush(stdout);
  const eval::LongAnswers answers = eval::answer_long_document(run_of(demo, spec, PrefillMode::kBounded),
                                                               document, tokens_read(demo, n_tokens));
  demo.status.clear();
  const auto share = [&](std::int64_t bytes) {
    return fmt::format("{} ({:.0f} %)", mib_text(static_cast<double>(bytes)),
                       100 * static_cast<double>(bytes) / full_bytes);
  };
  print_labelled("bounded",
                 fmt::format("read in {:.0f} s: {} tokens are kept. K and V take {}, and took {} "
                             "at the peak. {} answers in {:.1f} s:",
                             answers.seconds_reading, with_commas(answers.n_kept), share(answers.kv_bytes),
                             share(answers.kv_bytes_peak), answers.all.size(), answers.seconds_answers));
  print_long_answers(document, answers);
  fmt::print(
      "\n{}",
      paragraph("A fact in a part that is evicted would be lost: part 2 shows which strategies keep one, "
                "kvevict needle at which depths."));
}

void time_decoding(const Demo& demo) {
  const std::int64_t n_new = demo.flags.new_tokens;
  const std::int64_t n_trained = demo.model->info().n_context_trained;
  const std::int64_t n_wanted =
      n_trained > 0 ? std::min(demo.flags.prompt_tokens, n_trained - n_new) : demo.flags.prompt_tokens;
  const eval::LongDocument document =
      eval::make_long_document(*demo.model, demo_texts(demo.data), n_wanted, 0);
  const auto n_prompt = static_cast<std::int64_t>(document.tokens.size());
  print_heading(
      demo, "4. Decoding behind a long prompt",
      fmt::format("One prefill of {} tokens, then {} tokens decoded with the whole cache. Then {} evicts "
                  "in place, and {} tokens are decoded again.",
                  with_commas(n_prompt), n_new, to_string(default_strategy_for(*demo.model)), n_new));
  const eval::DecodeSpeeds speeds =
      eval::compare_decode_speed(run_of(demo, default_strategy_for(*demo.model), PrefillMode::kFull),
                                 document.tokens, n_new, tokens_read(demo, n_prompt));
  demo.status.clear();
  Table table({"cache", "tokens", "K and V", "tokens/s"});
  for (const auto& [name, speed] : {std::pair("full", speeds.full), std::pair("evicted", speeds.evicted)}) {
    table.add({name, with_commas(speed.n_tokens_held), mib_text(static_cast<double>(speed.kv_bytes)),
               fmt::format("{:.1f}", speed.tokens_per_second)});
  }
  fmt::print("{}\n{}", table.text(),
             paragraph(fmt::format("{:.1f} times as fast. The prefill took {:.0f} s, the eviction {:.0f} ms.",
                                   speeds.evicted.tokens_per_second / speeds.full.tokens_per_second,
                                   speeds.seconds_prefill, 1000 * speeds.seconds_eviction)));
}

}  // namespace kvevict::cli
