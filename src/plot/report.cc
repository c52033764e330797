#include "plot/report.h"

#include <fmt/format.h>

#include "kvevict/error.h"
#include "plot/comparison_picture.h"
#include "plot/html.h"
#include "plot/report_assets.h"
#include "plot/report_examples.h"

namespace kvevict::plot {
namespace {

constexpr double kMiB = 1 << 20;

HtmlCell number_cell(double value, int n_places, const char* unit = "") {
  return {.text = fmt::format("{:.{}f}{}", value, n_places, unit), .number = value, .chip = {}};
}

HtmlCell text_cell(const std::string& text) {
  return {.text = text, .number = {}, .chip = {}};
}

/// Sums over all examples of a run.
struct Totals {
  std::int64_t n_examples = 0, n_prompt = 0, n_kept = 0, n_generated = 0;
  double kv_bytes = 0, seconds_prefill = 0, seconds_decode = 0;
  bool is_shared = false;
};

Totals totals_of(const eval::RunResult& run) {
  Totals t;
  for (const eval::DatasetResult& dataset : run.datasets) {
    for (const eval::ExampleResult& e : dataset.examples) {
      ++t.n_examples;
      t.n_prompt += e.n_prompt_tokens;
      t.n_kept += e.n_kept_tokens;
      t.n_generated += e.n_generated_tokens;
      t.seconds_prefill += e.seconds_prefill;
      t.seconds_decode += e.seconds_decode;
      t.is_shared = t.is_shared || e.has_shared_timings();
    }
  }
  return t;
}

HtmlCell speed_cell(std::int64_t n_tokens, double seconds, bool is_shared) {
  if (is_shared || seconds <= 0) return text_cell("–");
  return number_cell(static_cast<double>(n_tokens) / seconds, 1);
}

std::string summary_table(const PlottedRuns& runs) {
  HtmlTable table({"run", "data sets", "examples", "score", "95 % interval", "kept tokens", "saved", "KV MiB",
                   "prefill tok/s", "decode tok/s", "status"});
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    const eval::RunResult& run = *runs.runs[r].run;
    const Totals t = totals_of(run);
    const ScorePoint score = overall_score(run);
    const double n_prompt = static_cast<double>(t.n_prompt);
    const double saved = t.n_prompt > 0 ? 100 * (1 - static_cast<double>(t.n_kept) / n_prompt) : 0;
    table.add({{.text = runs.runs[r].name, .number = {}, .chip = runs.styles[r].colour},
               number_cell(static_cast<double>(run.datasets.size()), 0),
               number_cell(static_cast<double>(t.n_examples), 0),
               number_cell(score.score, 2),
               {.text = fmt::format("{:.1f} to {:.1f}", score.interval.low, score.interval.high),
                .number = score.interval.low,
                .chip = {}},
               number_cell(static_cast<double>(t.n_kept) / static_cast<double>(t.n_examples), 0),
               number_cell(saved, 1, " %"),
               number_cell(mean_kv_bytes(run) / kMiB, 1),
               speed_cell(t.n_prompt, t.seconds_prefill, t.is_shared),
               speed_cell(t.n_generated, t.seconds_decode, t.is_shared),
               text_cell(run.info.status)});
  }
  return table.html();
}

/// The runs against the first one, or why they cannot be compared.
std::string comparison_table(const PlottedRuns& runs) {
  if (runs.runs.size() < 2) return "<p class=\"quiet\">There is one run: nothing to compare it with.</p>\n";
  try {
    const eval::Comparison comparison = eval::compare_runs(runs.runs, false);
    HtmlTable table({"data set", "run", "examples", "score", "difference", "95 % interval", "p",
                     "kept tokens", "KV MiB"});
    for (const eval::ComparedDataset& dataset : comparison.datasets) {
      for (std::size_t r = 0; r < dataset.runs.size(); ++r) {
        const eval::ComparedRun& run = dataset.runs[r];
        const auto& against = run.against_first;
        table.add({text_cell(dataset.dataset),
                   {.text = runs.runs[r].name, .number = {}, .chip = runs.styles[r].colour},
                   number_cell(static_cast<double>(dataset.n_examples), 0),
                   number_cell(run.score, 2),
                   against ? HtmlCell{fmt::format("{:+.2f}", against->difference), against->difference, {}}
                           : text_cell("–"),
                   text_cell(against ? fmt::format("{:+.1f} to {:+.1f}", against->interval.low,
                                                   against->interval.high)
                                     : "–"),
                   against ? number_cell(against->p_value, 3) : text_cell("–"),
                   number_cell(run.kept_tokens, 0),
                   number_cell(run.kv_bytes / kMiB, 1)});
      }
    }
    return fmt::format(
               "<p class=\"quiet\">Differences in points against {} over the same examples: paired "
               "bootstrap, two-sided "
               "sign-flip permutation test.</p>\n",
               html_escaped(comparison.names.front())) +
           table.html();
  } catch (const Error& error) {
    return fmt::format("<p class=\"quiet\">The runs are not compared pair by pair: {}.</p>\n",
                       html_escaped(error.what()));
  }
}

std::string legend_html(const PlottedRuns& runs) {
  std::string html = "<p class=\"legend\">";
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    html += fmt::format("<span class=\"item\"><span class=\"chip\" style=\"background:{}\"></span>{}</span> ",
                        to_hex(runs.styles[r].colour), html_escaped(runs.runs[r].name));
  }
  return html + "</p>\n";
}

std::string plots_html(const PlottedRuns& runs, const std::vector<NeedlePicture>& needles) {
  std::string html = runs.runs.empty() ? "" : legend_html(runs);
  if (!runs.runs.empty()) {
    for (const Panel& panel : comparison_panels(runs)) {
      html += "<figure>" + inline_svg(panel_svg(panel, runs), panel.id) + "</figure>\n";
    }
  }
  for (std::size_t i = 0; i < needles.size(); ++i) {
    PictureSize size;
    const GnuplotScript script = needle_script(needles[i], size);
    const std::string id = fmt::format("needle{}", i);
    html +=
        "<figure>" +
        inline_svg(draw_with_gnuplot(script, PictureFormat::kSvg, size, {.is_inline = true, .id = id}), id) +
        "</figure>\n";
  }
  return html;
}

/// What the runs ran on and with.
std::string conditions_html(const PlottedRuns& runs) {
  HtmlTable table({"run", "model", "description", "machine", "llama.cpp", "started", "positions", "prefill"});
  const auto value = [](const std::map<std::string, std::string>& map, const char* key) {
    const auto found = map.find(key);
    return text_cell(found == map.end() ? "–" : found->second);
  };
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    const eval::RunInfo& info = runs.runs[r].run->info;
    table.add({{.text = runs.runs[r].name, .number = {}, .chip = runs.styles[r].colour},
               text_cell(info.model_name),
               text_cell(info.model_description),
               value(info.machine, "cpu"),
               value(info.versions, "llama.cpp"),
               text_cell(info.started_utc),
               value(info.configuration, "positions"),
               value(info.configuration, "prefill")});
  }
  return table.html();
}

std::string page(const std::string& title, const std::string& body, const std::string& data) {
  return "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
         "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
         "'unsafe-inline'; "
         "script-src 'unsafe-inline'; img-src data:\">\n<title>" +
         html_escaped(title) + "</title><style>" + report_style() + "</style></head>\n<body>\n" + body +
         "<script type=\"application/json\" id=\"data\">" + script_json(data) + "</script>\n<script>" +
         report_script() + "</script>\n</body></html>\n";
}

}  // namespace

std::string report_html(const std::vector<eval::NamedRun>& named, const std::vector<NeedlePicture>& needles,
                        const ReportOptions& options) {
  PlottedRuns runs;
  if (!named.empty() || needles.empty()) runs = plotted_runs(named);
  const ReportExamples examples = report_examples(runs, options);
  std::string body = fmt::format(
      "<header><div><h1>{}</h1><p class=\"quiet\">Quality, memory and speed of a language model whose KV "
      "cache is evicted by position.</p></div><button type=\"button\" id=\"theme\" class=\"toggle\">"
      "light / dark</button></header>\n",
      html_escaped(options.title));
  if (!runs.runs.empty()) body += "<h2>Summary</h2>\n" + summary_table(runs);
  body += "<h2>Plots</h2>\n" + plots_html(runs, needles);
  if (!runs.runs.empty()) {
    body += "<h2>Data sets</h2>\n" + comparison_table(runs);
    body +=
        "<h2>Examples</h2>\n<p class=\"quiet\">Open one to see what was left of its prompt when it was "
        "answered.</p>\n" +
        examples.html;
    body += "<h2>Conditions</h2>\n" + conditions_html(runs);
  }
  return page(options.title, body,
              examples.data.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace kvevict::plot
