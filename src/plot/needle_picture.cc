#include "plot/needle_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "kvevict/error.h"
#include "plot/colours.h"
#include "plot/layout.h"
#include "text/json_reader.h"

namespace kvevict::plot {
namespace {

constexpr const char* kNeedleSchema = "kvevict-needle/1";
constexpr int kPanelWidth = 400;
constexpr int kHead = 66;

std::vector<double> sorted_numbers(const JsonReader& json) {
  std::vector<double> numbers;
  json.for_each_item([&](const JsonReader& item) { numbers.push_back(item.number()); });
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

std::size_t place_of(const std::vector<double>& numbers, const JsonReader& item) {
  const auto found = std::find(numbers.begin(), numbers.end(), item.number());
  if (found == numbers.end()) item.refuse("is not among the lengths and depths of the file");
  return static_cast<std::size_t>(found - numbers.begin());
}

NeedlePanel panel_from(const JsonReader& run, const NeedlePicture& picture) {
  struct Count {
    double n_asked = 0, n_found = 0;
  };
  std::map<std::pair<std::size_t, std::size_t>, Count> counts;
  run.member("answers").for_each_item([&](const JsonReader& answer) {
    Count& count = counts[{place_of(picture.lengths, answer.member("length")),
                           place_of(picture.depths, answer.member("depth"))}];
    count.n_asked += 1;
    count.n_found += answer.member("found").boolean() ? 1 : 0;
  });
  NeedlePanel panel{.name = run.member("run").member("name").text(),
                    .found = std::vector<std::vector<double>>(
                        picture.lengths.size(), std::vector<double>(picture.depths.size(), -1))};
  for (const auto& [place, count] : counts)
    panel.found[place.first][place.second] = count.n_found / count.n_asked;
  return panel;
}

std::string ticks_of(const std::vector<double>& numbers) {
  const std::size_t step = numbers.size() / 9 + 1;  // labels never overlap
  std::string ticks;
  for (std::size_t i = 0; i < numbers.size(); i += step) {
    ticks += fmt::format("{}'{:g}' {}.5", i == 0 ? "" : ", ", numbers[i], i);
  }
  return "(" + ticks + ")";
}

void add_panel(GnuplotScript& script, const NeedlePicture& picture, const NeedlePanel& panel, int left,
               const Strip& strip, std::size_t number) {
  constexpr int kLeft = 62;
  script.add(fmt::format("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}", strip.x(left + kLeft),
                         strip.x(left + kPanelWidth - 16)));
  script.add(fmt::format("set tmargin at screen {:.6f}\nset bmargin at screen {:.6f}", strip.y(30),
                         strip.y(strip.height - 52)));
  script.add(fmt::format("set label 5 {} at screen {:.6f},{:.6f} left",
                         gnuplot_quoted(shortened(panel.name, 42)), strip.x(left + kLeft), strip.y(14)));
  add_plain_axes(script);
  script.add(fmt::format("set xrange [0:{}]\nset yrange [{}:0]\nset xtics {}\nset ytics {}\nunset key",
                         picture.lengths.size(), picture.depths.size(), ticks_of(picture.lengths),
                         ticks_of(picture.depths)));
  script.add("set xlabel 'tokens of the prompt'\nset ylabel 'depth in %'");
  std::map<double, std::vector<std::pair<double, double>>> by_share;
  for (std::size_t l = 0; l < panel.found.size(); ++l) {
    for (std::size_t d = 0; d < panel.found[l].size(); ++d) {
      if (panel.found[l][d] >= 0) by_share[panel.found[l][d]].emplace_back(l, d);
    }
  }
  std::string plots;
  for (const auto& [share, cells] : by_share) {
    const std::string name = fmt::format("found{}x{}", number, plots.size());
    script.begin_data(name);
    for (const auto& [l, d] : cells) script.row({l + 0.03, l + 0.97, d + 0.04, d + 0.96});
    script.end_data();
    plots += (plots.empty() ? "plot " : ", ") + boxes(name, mix(kEvictedColour, kKeptColour, share), "");
  }
  script.add(plots.empty() ? "plot NaN notitle" : plots);
}

}  // namespace

bool is_needle_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string beginning(200, '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  return beginning.find(std::string("\"") + kNeedleSchema + "\"") != std::string::npos;
}

NeedlePicture read_needle_picture(const std::filesystem::path& path) {
  const JsonReader::Json json = read_json_file(path, "needle map");
  const JsonReader file(json, path.string());
  const std::string schema = file.member("schema").text();
  if (schema != kNeedleSchema)
    file.refuse("the schema is \"" + schema + "\", \"" + kNeedleSchema + "\" is needed");
  NeedlePicture picture{.lengths = sorted_numbers(file.member("lengths")),
                        .depths = sorted_numbers(file.member("depths")),
                        .panels = {}};
  file.member("runs").for_each_item(
      [&](const JsonReader& run) { picture.panels.push_back(panel_from(run, picture)); });
  return picture;
}

GnuplotScript needle_script(const NeedlePicture& picture, PictureSize& size) {
  if (picture.panels.empty() || picture.lengths.empty() || picture.depths.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "there is nothing to draw: the needle map holds no run, no length or no depth");
  }
  const auto n_rows = static_cast<int>(picture.panels.size() + 1) / 2;
  const int panel_height = std::clamp(110 + 22 * static_cast<int>(picture.depths.size()), 200, 500);
  size = {picture.panels.size() > 1 ? 2 * kPanelWidth : kPanelWidth + 120, kHead + n_rows * panel_height};
  GnuplotScript script;
  const Margins margins = {.left = 62, .right = 16};
  script.add("set multiplot");
  add_titles(script, "Passkeys found", "blue: all of them, grey: none", margins, Strip(size));
  for (std::size_t i = 0; i < picture.panels.size(); ++i) {
    if (i > 0) script.add("reset");
    const Strip strip(size, kHead + static_cast<int>(i / 2) * panel_height, panel_height);
    add_panel(script, picture, picture.panels[i], static_cast<int>(i % 2) * kPanelWidth, strip, i);
  }
  script.add("unset multiplot");
  return script;
}

void save_needle_picture(const NeedlePicture& picture, const std::filesystem::path& path) {
  PictureSize size;
  const GnuplotScript script = needle_script(picture, size);
  save_with_gnuplot(script, size, path);
}

}  // namespace kvevict::plot
