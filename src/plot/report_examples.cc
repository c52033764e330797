#include "plot/report_examples.h"

#include <fmt/format.h>

#include <map>

#include "plot/html.h"
#include "plot/prompt_segments.h"

namespace kvevict::plot {
namespace {

using Json = nlohmann::json;

/// An example and what each run answered; null if a run has not got it.
struct JoinedExample {
  std::string dataset, id;
  std::vector<const eval::ExampleResult*> answers;
};

/// In the order in which they first occur.
std::vector<JoinedExample> joined_examples(const PlottedRuns& runs) {
  std::vector<JoinedExample> examples;
  std::map<std::pair<std::string, std::string>, std::size_t> places;
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    for (const eval::DatasetResult& dataset : runs.runs[r].run->datasets) {
      for (const eval::ExampleResult& e : dataset.examples) {
        const auto [place, is_new] = places.try_emplace({dataset.name, e.id}, examples.size());
        if (is_new)
          examples.push_back({dataset.name, e.id, std::vector<const eval::ExampleResult*>(runs.runs.size())});
        examples[place->second].answers[r] = &e;
      }
    }
  }
  return examples;
}

Json segments_json(const std::vector<TextSegment>& segments) {
  Json json = Json::array();
  for (const TextSegment& segment : segments) json.push_back({segment.end, static_cast<int>(segment.fate)});
  return json;
}

/// Adds the prompt and its segments to the answer of one run.
void add_prompt(Json& answer, Json& prompts, const eval::NamedRun& run, const eval::ExampleResult& e,
                const TokenEnds& token_ends) {
  const auto prompt = run.file->prompts.find(e.prompt_sha256);
  if (prompt == run.file->prompts.end() || e.kept_ranges.empty()) return;
  std::optional<std::vector<std::size_t>> ends;
  if (token_ends) ends = token_ends(run.run->info, prompt->second);
  const bool is_exact = ends && static_cast<std::int64_t>(ends->size()) == e.n_prompt_tokens;
  if (!is_exact) ends = even_token_ends(prompt->second, e.n_prompt_tokens);
  prompts[e.prompt_sha256] = prompt->second;
  answer["segments"] = segments_json(text_segments(prompt->second, *ends, e.kept_ranges));
  answer["exact"] = is_exact;
}

Json answer_json(const eval::ExampleResult& e) {
  return {{"score", e.score},        {"prediction", e.prediction},    {"prompt", e.prompt_sha256},
          {"kept", e.n_kept_tokens}, {"evicted", e.n_evicted_tokens}, {"truncated", e.is_truncated}};
}

std::string summary_html(const JoinedExample& example, std::size_t number, const PlottedRuns& runs) {
  std::string html =
      fmt::format("<details class=\"example\" data-example=\"{}\" id=\"example-{}\"><summary>{}", number,
                  number, html_escaped(eval::example_name(example.dataset, example.id)));
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    if (example.answers[r] == nullptr) continue;
    html += fmt::format(
        "<span class=\"score\" title=\"{}\"><span class=\"chip\" "
        "style=\"background:{}\"></span>{:.2f}</span>",
        html_escaped(runs.runs[r].name), to_hex(runs.styles[r].colour), example.answers[r]->score);
  }
  return html + "</summary><div></div></details>\n";
}

}  // namespace

ReportExamples report_examples(const PlottedRuns& runs, const ReportOptions& options) {
  ReportExamples report{
      .html = {},
      .data = {{"runs", Json::array()}, {"prompts", Json::object()}, {"examples", Json::array()}}};
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    report.data["runs"].push_back({{"name", runs.runs[r].name}, {"colour", to_hex(runs.styles[r].colour)}});
  }
  std::map<std::string, std::size_t> n_prompts;
  std::size_t n_without = 0;
  const std::vector<JoinedExample> examples = joined_examples(runs);
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const JoinedExample& example = examples[i];
    const bool has_prompt = n_prompts[example.dataset]++ < options.n_prompts;
    n_without += has_prompt ? 0 : 1;
    Json json = {{"answers", Json::array()}, {"runs", Json::array()}};
    for (std::size_t r = 0; r < example.answers.size(); ++r) {
      const eval::ExampleResult* const e = example.answers[r];
      json["runs"].push_back(e == nullptr ? Json() : answer_json(*e));
      if (e == nullptr) continue;
      json["answers"] = e->answers;
      if (has_prompt)
        add_prompt(json["runs"].back(), report.data["prompts"], runs.runs[r], *e, options.token_ends);
    }
    report.data["examples"].push_back(std::move(json));
    report.html += summary_html(example, i, runs);
  }
  if (n_without > 0) {
    report.html += fmt::format(
        "<p class=\"quiet\">The prompts of {} more examples are left out to keep the page small: {} of each "
        "data set are in it.</p>\n",
        n_without, options.n_prompts);
  }
  return report;
}

}  // namespace kvevict::plot
