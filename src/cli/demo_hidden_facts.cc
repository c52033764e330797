// Part 2 of kvevict demo: facts that are asked for once tokens were evicted.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "cli/demo_parts.h"
#include "cli/longbench_job.h"
#include "cli/model_run.h"
#include "cli/paragraph.h"
#include "cli/table.h"
#include "engine/trained_context.h"
#include "experiments/needle.h"
#include "experiments/prose.h"

namespace kvevict::cli {
namespace {

constexpr std::int64_t kPassages = 3;
constexpr std::int64_t kSink = 4;
constexpr std::int64_t kBlock = 32;
constexpr std::int64_t kPassageTokens = 1024;

/// Tokens of a passage, of which a fourth is kept, and of the recent window.
struct PassageSize {
  std::int64_t n_tokens = kPassageTokens;
  std::int64_t n_recent = kPassageTokens / 16;

  [[nodiscard]] std::int64_t n_kept() const { return n_tokens / 4; }
};

/// A model's own windows must stay, and a short context has room for less.
PassageSize size_for(const Model& model) {
  PassageSize size;
  size.n_recent = std::max<std::int64_t>(size.n_recent, model.info().n_window);
  size.n_tokens += 4 * (size.n_recent - kPassageTokens / 16);
  const std::int64_t n_trained = context_limit(model);
  if (n_trained > 0) size.n_tokens = std::min(size.n_tokens, n_trained * 3 / 4);
  size.n_recent = std::min(size.n_recent, size.n_kept() / 4);
  return size;
}

/// The seed's strategies and keydiff, which keep equally many tokens.
std::vector<std::string> strategies_for(const std::shared_ptr<const Model>& model, const PassageSize& size) {
  const std::int64_t n_kept = size.n_kept();
  const std::int64_t n_between = n_kept - kSink - size.n_recent;
  const std::int64_t n_blocks = n_between / kBlock;
  std::vector<std::string> strategies = {
      "full", fmt::format("sink_recent:{}:{}", kSink, n_kept - kSink),
      fmt::format("sink_recent_uniform:{}:{}:{}:block={}", kSink, n_kept - kSink - kBlock * n_blocks,
                  kBlock * n_blocks, kBlock)};
  const std::string by_keys = fmt::format("keydiff:{}:{}:{}", kSink, size.n_recent, n_between);
  if (can_compare_keys(model, parse_strategy(by_keys))) strategies.push_back(by_keys);
  return strategies;
}

const eval::NeedleAnswer& answer_of(const eval::NeedleMap& map, std::size_t strategy, std::size_t number) {
  std::size_t n_before = 0;
  const auto is_it = [&](const eval::NeedleAnswer& a) {
    return a.strategy == strategy && n_before++ == number;
  };
  return *std::find_if(map.answers.begin(), map.answers.end(), is_it);
}

/// The first code that the last strategy finds and the ones by position do not; the first of all if there is
/// none.
std::size_t telling_case(const eval::NeedleMap& map) {
  const std::size_t n_cases = map.answers.size() / map.strategies.size();
  for (std::size_t i = 0; i < n_cases; ++i) {
    bool is_telling = answer_of(map, 0, i).is_found;
    for (std::size_t s = 1; s < map.strategies.size(); ++s)
      is_telling = is_telling && answer_of(map, s, i).is_found == (s + 1 == map.strategies.size());
    if (is_telling) return i;
  }
  return 0;
}

std::string trimmed(const std::string& text) {
  const std::size_t first = text.find_first_not_of(' ');
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

void print_answers(const eval::NeedleMap& map) {
  const std::size_t n_cases = map.answers.size() / map.strategies.size();
  const std::size_t shown = telling_case(map);
  Table table(
      {"strategy", "tokens", "codes found", fmt::format("\"{} code:\"", answer_of(map, 0, shown).subject)});
  for (std::size_t s = 0; s < map.strategies.size(); ++s) {
    const auto n_found = std::ranges::count_if(
        map.answers, [&](const eval::NeedleAnswer& a) { return a.strategy == s && a.is_found; });
    const eval::NeedleAnswer& one = answer_of(map, s, shown);
    table.add({map.strategies[s], with_commas(one.n_kept_tokens), fmt::format("{} of {}", n_found, n_cases),
               trimmed(one_line(one.prediction)) + (one.is_found ? " right" : " wrong")});
  }
  fmt::print("{}\n", table.text());
}

}  // namespace

void ask_for_hidden_facts(const Demo& demo) {
  const PassageSize size = size_for(*demo.model);
  const eval::NeedleKind& kind = eval::needle_kind("codes");
  eval::NeedleJob job{.model = demo.model,
                      .strategies = {},
                      .session = demo.session,
                      .kind = &kind,
                      .question = eval::QuestionOrder::kAfter,
                      .texts = {},
                      .lengths = {size.n_tokens},
                      .depths = kind.depths,
                      .n_keys = kPassages};
  for (const std::string& text : demo_texts(demo.data)) {
    if (auto sentences = eval::prose_sentences(text); !sentences.empty())
      job.texts.push_back(std::move(sentences));
  }
  const std::vector<std::string> strategies = strategies_for(demo.model, size);
  for (const std::string& strategy : strategies)
    job.strategies.push_back(make_strategy(demo.flags.engine, {parse_strategy(strategy), {}}, *demo.model));
  print_heading(
      demo, "2. What is asked for once tokens were evicted",
      fmt::format(
          "{} passages of these documents, of {} tokens each, hide {} lines like \"bakery code: "
          "20665.\" Each strategy keeps a fourth of a passage, without a question. Then the codes are "
          "asked for, one by one, on top of what is kept. The last column is the first code that tells "
          "the strategies apart.",
          kPassages, with_commas(size.n_tokens), kind.depths.size()));
  const std::int64_t n_cases = job.n_cases();
  std::int64_t n_done = 0;
  demo.status.show(fmt::format("code 1 of {}", n_cases));
  const eval::NeedleMap map = eval::run_needle(job, [&](std::int64_t, std::int64_t) {
    if (++n_done < n_cases) demo.status.show(fmt::format("code {} of {}", n_done + 1, n_cases));
  });
  demo.status.clear();
  print_answers(map);
  fmt::print(
      "{}",
      paragraph(
          strategies.size() > 3
              ? "keydiff keeps tokens whose keys are unlike the rest: what stands out in a text. It is for "
                "documents that are asked later, not for predicting what comes next."
              : "The keys of this model cannot be compared without their positions: keydiff, which "
                "keeps what stands out in a text, is left out."));
}

}  // namespace kvevict::cli
