#include "plot/comparison_panels.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "kvevict/error.h"

namespace kvevict::plot {
namespace {

constexpr double kMiB = 1 << 20;
constexpr int kRowHeight = 15;
constexpr double kSideStep = 0.011;  // of the axis, between points that would lie on each other
constexpr Colour kIntervalColour = 0x333333;

/// Data sets of all runs in the order in which they first occur, with an example at least.
std::vector<std::string> dataset_names(const PlottedRuns& runs) {
  std::vector<std::string> names;
  for (const eval::NamedRun& run : runs.runs) {
    for (const eval::DatasetResult& dataset : run.run->datasets) {
      const bool is_new = std::find(names.begin(), names.end(), dataset.name) == names.end();
      if (is_new && !dataset.examples.empty()) names.push_back(dataset.name);
    }
  }
  return names;
}

const eval::DatasetResult* find_dataset(const eval::RunResult& run, const std::string& name) {
  for (const eval::DatasetResult& dataset : run.datasets) {
    if (dataset.name == name && !dataset.examples.empty()) return &dataset;
  }
  return nullptr;
}

/// "$bars0" and "$intervals0" of run 0, and so on; returns the largest value.
double add_score_data(GnuplotScript& script, const PlottedRuns& runs,
                      const std::vector<std::string>& datasets) {
  double most = 10;
  const std::size_t n_rows = runs.runs.size() + 1;
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    std::vector<std::pair<double, ScorePoint>> points;
    for (std::size_t d = 0; d < datasets.size(); ++d) {
      const eval::DatasetResult* const dataset = find_dataset(*runs.runs[r].run, datasets[d]);
      if (dataset != nullptr)
        points.emplace_back(static_cast<double>(d * n_rows + r) + 0.5, dataset_score_point(*dataset));
    }
    script.begin_data(fmt::format("bars{}", r));
    for (const auto& [y, point] : points) script.row({0, point.score, y - 0.42, y + 0.42});
    script.end_data();
    script.begin_data(fmt::format("intervals{}", r));
    for (const auto& [y, point] : points) {
      script.row({point.score, y, point.interval.low, point.interval.high});
      most = std::max({most, point.score, point.interval.high});
    }
    script.end_data();
  }
  return most;
}

void draw_scores(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip) {
  const Margins margins = {.left = 170, .right = 56, .top = 64, .bottom = 34};
  const std::vector<std::string> datasets = dataset_names(runs);
  const std::size_t n_rows = runs.runs.size() + 1;
  add_margins(script, margins, strip);
  add_titles(script, "Score by data set",
             "points; lines: 95 % bootstrap interval of the mean over the examples", margins, strip);
  add_plain_axes(script);
  const double most = add_score_data(script, runs, datasets);
  std::string ticks;
  for (std::size_t d = 0; d < datasets.size(); ++d) {
    ticks += fmt::format("{}{} {:.2f}", d == 0 ? "" : ", ", quoted_tick(shortened(datasets[d], 22)),
                         static_cast<double>(d * n_rows) + static_cast<double>(runs.runs.size()) / 2);
  }
  script.add(fmt::format("set ytics ({})\nset yrange [{}:-0.5]\nset xrange [0:{}]\nunset key", ticks,
                         static_cast<double>(datasets.size() * n_rows) - 0.5,
                         std::min(100.0, std::ceil(most / 10) * 10)));
  std::string plots;
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    plots += (r == 0 ? "plot " : ", ") + boxes(fmt::format("bars{}", r), runs.styles[r].colour, "");
    plots += fmt::format(
        ", $intervals{0} using 1:2:3:4 with xerrorbars pointtype -1 linewidth 1.2 linecolor rgb '{1}' "
        "notitle, "
        "$intervals{0} using 4:2:(sprintf('%.1f', $1)) with labels left offset 0.7,0 font ',9' notitle",
        r, to_hex(kIntervalColour));
  }
  script.add(plots);
}

/// What to add to each of `x` so that those of (nearly) one place stand side by side, `step` apart.
std::vector<double> side_by_side(const std::vector<double>& x, double step) {
  std::vector<double> shifts;
  for (std::size_t i = 0; i < x.size(); ++i) {
    int n_before = 0;
    int n_after = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
      if (k != i && std::abs(x[k] - x[i]) < step / 2) ++(k < i ? n_before : n_after);
    }
    shifts.push_back(step * (n_before - n_after) / 2);
  }
  return shifts;
}

void draw_memory(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip) {
  const Margins margins = {.left = 64, .right = 24, .top = 64, .bottom = 60};
  add_margins(script, margins, strip);
  add_titles(
      script, "Quality against KV memory",
      "mean score, 95 % interval; runs of one size side by side; line: what no other run beats in both",
      margins, strip);
  add_plain_axes(script);
  std::vector<std::pair<double, double>> points;
  std::vector<double> memory;
  std::vector<eval::Interval> intervals;
  double most_score = 10;
  for (const eval::NamedRun& run : runs.runs) {
    const ScorePoint score = overall_score(*run.run);
    memory.push_back(mean_kv_bytes(*run.run) / kMiB);
    points.emplace_back(memory.back(), score.score);
    intervals.push_back(score.interval);
    most_score = std::max({most_score, score.score, score.interval.high});
  }
  const double x_end = std::max(*std::max_element(memory.begin(), memory.end()) * 1.08, 1e-3);
  const std::vector<double> shifts = side_by_side(memory, x_end * kSideStep);
  for (std::size_t r = 0; r < points.size(); ++r) {
    script.begin_data(fmt::format("point{}", r));
    script.row({memory[r] + shifts[r], points[r].second, intervals[r].low, intervals[r].high});
    script.end_data();
  }
  script.begin_data("front");
  for (const std::size_t i : pareto_front(points)) script.row({points[i].first, points[i].second});
  script.end_data();
  script.add(fmt::format("set xrange [0:{:.6g}]\nset yrange [0:{}]\nset format x '%g'\nunset key", x_end,
                         std::min(105.0, std::ceil(most_score / 10) * 10 + 2)));
  script.add("set xlabel 'MiB of K and V after the eviction, mean over the examples'\nset ylabel 'score'");
  std::string plots =
      "plot $front using 1:2 with steps linewidth 1.5 dashtype (4,3) linecolor rgb '#888888' notitle";
  for (std::size_t r = 0; r < runs.runs.size(); ++r) {
    plots += fmt::format(
        ", $point{} using 1:2:3:4 with yerrorbars pointtype {} pointsize 1.1 linewidth 1.5 linecolor rgb "
        "'{}' notitle",
        r, runs.styles[r].point, to_hex(runs.styles[r].colour));
  }
  script.add(plots);
}

using Speed = double (eval::ExampleResult::*)() const;

/// The examples of a run that were answered by themselves: tokens of the prompt, tokens a second.
std::vector<std::pair<double, double>> speed_points(const eval::RunResult& run, Speed speed) {
  std::vector<std::pair<double, double>> points;
  for (const eval::DatasetResult& dataset : run.datasets) {
    for (const eval::ExampleResult& example : dataset.examples) {
      if (example.has_shared_timings() || (example.*speed)() <= 0) continue;
      points.emplace_back(static_cast<double>(example.n_prompt_tokens), (example.*speed)());
    }
  }
  return points;
}

void draw_speed(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip, const char* title,
                Speed speed) {
  const Margins margins = {.left = 64, .right = 24, .top = 64, .bottom = 60};
  add_margins(script, margins, strip);
  add_titles(script, title, "tokens a second; a point for each example answered by itself, runs side by side",
             margins, strip);
  add_plain_axes(script);
  double most_tokens = 1;
  double most_speed = 1e-3;
  std::vector<std::vector<std::pair<double, double>>> points;
  for (const eval::NamedRun& run : runs.runs) {
    points.push_back(speed_points(*run.run, speed));
    for (const auto& [n_tokens, per_second] : points.back()) {
      most_tokens = std::max(most_tokens, n_tokens);
      most_speed = std::max(most_speed, per_second);
    }
  }
  const std::vector<double> shifts =
      side_by_side(std::vector<double>(points.size(), 0), most_tokens * kSideStep);
  std::string plots;
  for (std::size_t r = 0; r < points.size(); ++r) {
    if (points[r].empty()) continue;
    script.begin_data(fmt::format("speed{}", r));
    for (const auto& [n_tokens, per_second] : points[r]) script.row({n_tokens + shifts[r], per_second});
    script.end_data();
    plots +=
        fmt::format("{}$speed{} using 1:2 with points pointtype {} pointsize 0.9 linecolor rgb '{}' notitle",
                    plots.empty() ? "plot " : ", ", r, runs.styles[r].point, to_hex(runs.styles[r].colour));
  }
  script.add(
      fmt::format("set xrange [0:{:.6g}]\nset yrange [0:{:.6g}]", most_tokens * 1.06, most_speed * 1.1));
  script.add("set xlabel 'tokens of the prompt'\nset ylabel 'tokens a second'\nunset key");
  script.add(plots);
}

void draw_prefill(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip) {
  draw_speed(script, runs, strip, "Prefill speed against prompt length",
             &eval::ExampleResult::prefill_tokens_per_second);
}

void draw_decode(GnuplotScript& script, const PlottedRuns& runs, const Strip& strip) {
  draw_speed(script, runs, strip, "Decode speed against prompt length",
             &eval::ExampleResult::decode_tokens_per_second);
}

bool has_speed(const PlottedRuns& runs, Speed speed) {
  return std::any_of(runs.runs.begin(), runs.runs.end(),
                     [&](const eval::NamedRun& run) { return !speed_points(*run.run, speed).empty(); });
}

}  // namespace

PlottedRuns plotted_runs(const std::vector<eval::NamedRun>& runs) {
  PlottedRuns plotted;
  std::vector<std::string> strategies;
  for (const eval::NamedRun& run : runs) {
    const bool has_examples = std::any_of(run.run->datasets.begin(), run.run->datasets.end(),
                                          [](const eval::DatasetResult& d) { return !d.examples.empty(); });
    if (!has_examples) continue;
    plotted.runs.push_back(run);
    strategies.push_back(run.run->info.strategy);
  }
  if (plotted.runs.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "there is nothing to draw: none of the runs has an answered example");
  }
  plotted.styles = run_styles(strategies);
  return plotted;
}

std::vector<Panel> comparison_panels(const PlottedRuns& runs) {
  const auto n_rows = static_cast<int>(dataset_names(runs).size() * (runs.runs.size() + 1));
  std::vector<Panel> panels = {{"scores", 100 + kRowHeight * std::max(n_rows, 4), draw_scores},
                               {"memory", 340, draw_memory}};
  if (has_speed(runs, &eval::ExampleResult::prefill_tokens_per_second))
    panels.push_back({"prefill", 300, draw_prefill});
  if (has_speed(runs, &eval::ExampleResult::decode_tokens_per_second))
    panels.push_back({"decode", 300, draw_decode});
  return panels;
}

ScorePoint dataset_score_point(const eval::DatasetResult& dataset) {
  std::vector<double> scores;
  for (const eval::ExampleResult& example : dataset.examples) scores.push_back(100 * example.score);
  return {eval::mean_of(scores), eval::bootstrap_mean(scores)};
}

ScorePoint overall_score(const eval::RunResult& run) {
  const eval::GroupedMean points = eval::bootstrap_groups(eval::points_by_dataset(run));
  return {points.mean, points.interval};
}

double mean_kv_bytes(const eval::RunResult& run) {
  std::vector<double> bytes;
  for (const eval::DatasetResult& dataset : run.datasets) {
    for (const eval::ExampleResult& e : dataset.examples)
      bytes.push_back(static_cast<double>(e.kv_bytes_after_eviction));
  }
  return eval::mean_of(bytes);
}

std::vector<std::size_t> pareto_front(const std::vector<std::pair<double, double>>& points) {
  std::vector<std::size_t> order(points.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (points[a].first != points[b].first) return points[a].first < points[b].first;
    return points[a].second > points[b].second;
  });
  std::vector<std::size_t> front;
  for (const std::size_t i : order) {
    if (front.empty() || points[i].second > points[front.back()].second) front.push_back(i);
  }
  return front;
}

}  // namespace kvevict::plot
