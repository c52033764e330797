#include "cli/comparison_report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/paragraph.h"
#include "cli/table.h"

namespace kvevict::cli {
namespace {

using Json = nlohmann::ordered_json;
using Rows = std::vector<std::vector<std::string>>;

constexpr double kMiB = 1 << 20;

std::string number_or_dash(const std::optional<double>& number) {
  return number ? fmt::format("{:.1f}", *number) : "-";
}

std::string p_text(const eval::PairedComparison& c) {
  return fmt::format("{:.3f}{}", c.p_value, c.is_exact ? "" : "~");
}

const std::vector<std::string> kHeader = {"data set", "run",           "n",           "score",
                                          "delta",    "95% CI",        "p",           "kept",
                                          "KV MiB",   "prefill tok/s", "decode tok/s"};

Rows table_rows(const eval::Comparison& comparison) {
  Rows rows;
  for (const eval::ComparedDataset& dataset : comparison.datasets) {
    for (std::size_t i = 0; i < dataset.runs.size(); ++i) {
      const eval::ComparedRun& run = dataset.runs[i];
      const auto& against = run.against_first;
      rows.push_back(
          {dataset.dataset, comparison.names[i], std::to_string(dataset.n_examples),
           fmt::format("{:.2f}", run.score), against ? fmt::format("{:+.2f}", against->difference) : "",
           against ? fmt::format("[{:+.1f}, {:+.1f}]", against->interval.low, against->interval.high) : "",
           against ? p_text(*against) : "", fmt::format("{:.0f}", run.kept_tokens),
           fmt::format("{:.1f}", run.kv_bytes / kMiB), number_or_dash(run.prefill_tokens_per_second),
           number_or_dash(run.decode_tokens_per_second)});
    }
  }
  return rows;
}

/// How to read the columns, in as few words as possible.
std::string legend(const eval::Comparison& comparison) {
  std::string text = fmt::format(
      "delta: points against {} over the same examples; 95% CI: paired bootstrap; p: paired sign-flip "
      "permutation test, "
      "two-sided (~: 10000 drawn sign patterns, else all)\n",
      comparison.names.front());
  bool is_shared = false;
  for (const eval::ComparedDataset& dataset : comparison.datasets) {
    for (const eval::ComparedRun& run : dataset.runs) is_shared = is_shared || !run.decode_tokens_per_second;
  }
  if (is_shared) text += "-: the strategies were answered together, their times cannot be told apart\n";
  if (comparison.n_left_out > 0) {
    text += fmt::format("{} examples are not in every run and are left out\n", comparison.n_left_out);
  }
  return text;
}

std::string flip_lines(const eval::Comparison& comparison, std::size_t n_most) {
  std::string text = comparison.flips.empty()
                         ? "no example flipped (a score of 0.5 or more on one side only)\n"
                         : fmt::format("{} examples flipped:\n", comparison.flips.size());
  for (std::size_t i = 0; i < std::min(n_most, comparison.flips.size()); ++i) {
    const eval::Flip& flip = comparison.flips[i];
    text +=
        fmt::format("  {}\n    {} ({:.2f}): {}\n    {} ({:.2f}): {}\n    right: {}\n",
                    eval::example_name(flip.dataset, flip.id), comparison.names.front(), flip.score_first,
                    one_line(flip.prediction_first), comparison.names[flip.run], flip.score,
                    one_line(flip.prediction), one_line(fmt::format("{}", fmt::join(flip.answers, " | "))));
  }
  if (n_most < comparison.flips.size())
    text += fmt::format("  and {} more (--flips)\n", comparison.flips.size() - n_most);
  return text;
}

std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (const char c : one_line(text)) cell += c == '|' ? "\\|" : std::string(1, c);
  return cell;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string text = "|";
  for (const std::string& cell : cells) text += " " + markdown_cell(cell) + " |";
  return text + "\n";
}

std::string markdown_table(const std::vector<std::string>& header, const Rows& rows) {
  std::string text = markdown_row(header) + "|";
  for (std::size_t i = 0; i < header.size(); ++i) text += i < 2 ? " --- |" : " ---: |";
  text += "\n";
  for (const auto& row : rows) text += markdown_row(row);
  return text;
}

std::string csv_cell(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string cell = "\"";
  for (const char c : text) cell += c == '"' ? "\"\"" : std::string(1, c);
  return cell + "\"";
}

Json number_or_null(const std::optional<double>& number) {
  return number ? Json(*number) : Json();
}

Json against_json(const eval::PairedComparison& c) {
  return {{"pairs", c.n_pairs},
          {"delta", c.difference},
          {"interval", {c.interval.low, c.interval.high}},
          {"p", c.p_value},
          {"test", c.is_exact ? "sign-flip permutation, exact" : "sign-flip permutation, drawn"}};
}

Json compared_run_json(const std::string& name, const eval::ComparedRun& run) {
  return {{"run", name},
          {"score", run.score},
          {"kept_tokens", run.kept_tokens},
          {"kv_bytes", run.kv_bytes},
          {"prefill_tokens_per_second", number_or_null(run.prefill_tokens_per_second)},
          {"decode_tokens_per_second", number_or_null(run.decode_tokens_per_second)},
          {"against_first", run.against_first ? against_json(*run.against_first) : Json()}};
}

}  // namespace

std::string comparison_table(const eval::Comparison& comparison, std::size_t n_most_flips) {
  Table table(kHeader);
  for (auto& row : table_rows(comparison)) table.add(std::move(row));
  return table.text() + legend(comparison) + flip_lines(comparison, n_most_flips);
}

std::string comparison_markdown(const eval::Comparison& comparison, std::size_t n_most_flips) {
  std::string text = markdown_table(kHeader, table_rows(comparison)) + "\n" + legend(comparison);
  Rows rows;
  for (std::size_t i = 0; i < std::min(n_most_flips, comparison.flips.size()); ++i) {
    const eval::Flip& flip = comparison.flips[i];
    rows.push_back({eval::example_name(flip.dataset, flip.id), comparison.names[flip.run],
                    fmt::format("{:.2f}", flip.score_first), flip.prediction_first,
                    fmt::format("{:.2f}", flip.score), flip.prediction,
                    fmt::format("{}", fmt::join(flip.answers, " / "))});
  }
  const std::string& first = comparison.names.front();
  if (!rows.empty()) {
    text +=
        "\n" + markdown_table(
                   {"flipped", "run", first + " score", first + " answer", "score", "answer", "right"}, rows);
  }
  return text;
}

std::string comparison_csv(const eval::Comparison& comparison) {
  std::string text =
      "data "
      "set,run,examples,score,delta,low,high,p,kept_tokens,kv_bytes,prefill_tokens_per_second,decode_tokens_"
      "per_second\n";
  const auto number = [](const std::optional<double>& value) {
    return value ? fmt::format("{}", *value) : "";
  };
  for (const eval::ComparedDataset& dataset : comparison.datasets) {
    for (std::size_t i = 0; i < dataset.runs.size(); ++i) {
      const eval::ComparedRun& run = dataset.runs[i];
      const auto& a = run.against_first;
      text += fmt::format(
          "{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_cell(dataset.dataset), csv_cell(comparison.names[i]),
          dataset.n_examples, run.score, a ? number(a->difference) : "", a ? number(a->interval.low) : "",
          a ? number(a->interval.high) : "", a ? number(a->p_value) : "", run.kept_tokens, run.kv_bytes,
          number(run.prefill_tokens_per_second), number(run.decode_tokens_per_second));
    }
  }
  return text;
}

std::string comparison_json(const eval::Comparison& comparison) {
  Json json = {
      {"schema", "kvevict-comparison/1"}, {"runs", comparison.names}, {"left_out", comparison.n_left_out}};
  json["datasets"] = Json::array();
  for (const eval::ComparedDataset& dataset : comparison.datasets) {
    Json runs = Json::array();
    for (std::size_t i = 0; i < dataset.runs.size(); ++i)
      runs.push_back(compared_run_json(comparison.names[i], dataset.runs[i]));
    json["datasets"].push_back(
        {{"dataset", dataset.dataset}, {"examples", dataset.n_examples}, {"runs", std::move(runs)}});
  }
  json["flips"] = Json::array();
  for (const eval::Flip& flip : comparison.flips) {
    json["flips"].push_back({{"dataset", flip.dataset},
                             {"id", flip.id},
                             {"run", comparison.names[flip.run]},
                             {"score_first", flip.score_first},
                             {"score", flip.score},
                             {"prediction_first", flip.prediction_first},
                             {"prediction", flip.prediction},
                             {"answers", flip.answers}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace kvevict::cli
