#include "plot/cache_picture.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/registry.h"
#include "plot/cache_preview.h"
#include "plot/colours.h"
#include "plot/layout.h"
#include "support/svg_picture.h"

namespace kvevict::plot {
namespace {

/// Where tokens and layers lie in a picture, from the margins alone.
class Axes {
 public:
  Axes(const CachePicture& picture, PictureSize size) : picture_(picture), size_(size) {}
  [[nodiscard]] double x(double token) const {
    const double width = size_.width - margins_.left - margins_.right;
    return margins_.left + width * token / static_cast<double>(picture_.total_len);
  }
  [[nodiscard]] double y(double layer) const {
    const double height = size_.height - margins_.top - margins_.bottom;
    return margins_.top + height * layer / picture_.n_layers;
  }
  [[nodiscard]] bool has(const SvgBox& box) const {
    return box.bottom < y(picture_.n_layers) + 1;
  }  // the legend is below

 private:
  const CachePicture& picture_;
  PictureSize size_;
  Margins margins_;
};

std::string svg_of(const CachePicture& picture) {
  const PictureSize size = cache_picture_size(picture);
  return draw_with_gnuplot(cache_script(picture, size), PictureFormat::kSvg, size);
}

std::vector<SvgBox> boxes_of(const CachePicture& picture, const std::string& svg, Colour colour) {
  const Axes axes(picture, cache_picture_size(picture));
  std::vector<SvgBox> found;
  for (const SvgBox& box : svg_boxes(svg)) {
    if (box.colour == colour && axes.has(box)) found.push_back(box);
  }
  return found;
}

void expect_boxes(const CachePicture& picture, const std::vector<SvgBox>& boxes) {
  const Axes axes(picture, cache_picture_size(picture));
  std::size_t next = 0;
  const auto expect_layer = [&](const KeepSet& kept, int begin, int end) {
    for (const TokenRange& range : kept.ranges()) {
      ASSERT_LT(next, boxes.size());
      const SvgBox& box = boxes[next++];
      EXPECT_NEAR(box.left, axes.x(static_cast<double>(range.begin)), 0.05);
      EXPECT_NEAR(box.right, axes.x(static_cast<double>(range.end)), 0.05);
      EXPECT_NEAR(box.top, axes.y(begin), 0.05);
      EXPECT_NEAR(box.bottom, axes.y(end), 0.05);
    }
  };
  if (picture.layers.size() == 1) {
    expect_layer(picture.layers.front(), 0, picture.n_layers);
  } else {
    for (int i = 0; i < picture.n_layers; ++i)
      expect_layer(picture.layers[static_cast<std::size_t>(i)], i, i + 1);
  }
  EXPECT_EQ(next, boxes.size());
}

TEST(CachePicture, DrawsThePlanOfEveryStrategy) {
  for (const PolicyInfo& info : all_policies()) {
    StrategySpec spec = parse_strategy(info.name);
    if (info.uses("budget")) spec.config.middle_budget_tokens = 256;
    if (make_policy(spec)->looks_into_cache()) {  // without a model there is neither attention nor a key
      EXPECT_THROW((void)picture_of_plan(spec, 4096, 30), Error);
      continue;
    }
    const CachePicture picture = picture_of_plan(spec, 4096, 30);
    const std::string svg = svg_of(picture);
    expect_boxes(picture, boxes_of(picture, svg, kKeptColour));
    const std::vector<SvgBox> evicted = boxes_of(picture, svg, kEvictedColour);
    ASSERT_EQ(evicted.size(), 1U) << info.name;
    EXPECT_NEAR(evicted[0].right - evicted[0].left, 800 - 64 - 18, 0.1);
  }
}

TEST(CachePicture, DrawsTheBoundariesDashed) {
  const CachePicture picture = picture_of_plan(parse_strategy("sink_recent_uniform:256:512:512"), 4096, 30);
  const Axes axes(picture, cache_picture_size(picture));
  const std::vector<SvgLine> lines = svg_dashed_lines(svg_of(picture));
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0].colour, kSinkColour);
  EXPECT_NEAR(lines[0].x, axes.x(256), 0.05);
  EXPECT_EQ(lines[1].colour, kRecentColour);
  EXPECT_NEAR(lines[1].x, axes.x(3584), 0.05);
  EXPECT_NEAR(lines[1].bottom - lines[1].top, axes.y(30) - axes.y(0), 0.05);
}

TEST(CachePicture, HasNoBoundaryWhereTheWindowsMeetTheEdge) {
  EXPECT_TRUE(svg_dashed_lines(svg_of(picture_of_plan(parse_strategy("full"), 100, 2))).empty());
  const CachePicture all_sink = picture_of_plan(parse_strategy("sink_recent:500:5"), 100, 2);
  EXPECT_FALSE(all_sink.sink_end || all_sink.recent_begin);
  const CachePicture no_sink = picture_of_plan(parse_strategy("sink_recent:0:40"), 100, 2);
  EXPECT_FALSE(no_sink.sink_end);
  EXPECT_EQ(no_sink.recent_begin, 60);
}

TEST(CachePicture, DrawsEveryLayerWherePoliciesDiffer) {
  CachePicture picture{.title = "ladder", .total_len = 100, .layers = {}, .n_layers = 5};
  for (int i = 0; i < 5; ++i)
    picture.layers.push_back(KeepSet::from_ranges({{0, 10}, {20 + 10 * i, 30 + 10 * i}, {90, 100}}));
  expect_boxes(picture, boxes_of(picture, svg_of(picture), kKeptColour));
  EXPECT_NE(summary_line(picture).find("30.0 of 100 tokens kept in a layer, on average over 5: 70.0 %"),
            std::string::npos);
}

TEST(CachePicture, OfALadderHasItsOwnRowForEachLayer) {
  const CachePicture picture = picture_of_plan(parse_strategy("ladder:2:10:24:span=1"), 300, 8);
  ASSERT_EQ(picture.layers.size(), 8U);
  for (std::size_t l = 1; l < 8; ++l) EXPECT_NE(picture.layers[l], picture.layers[l - 1]) << l;
  expect_boxes(picture, boxes_of(picture, svg_of(picture), kKeptColour));
}

TEST(CachePicture, ShowsHostileTitlesAsTheyAre) {
  CachePicture picture = picture_of_plan(parse_strategy("full"), 10, 1);
  const std::string flag = testing::TempDir() + "kvevict-plot-pwned";
  std::remove(flag.c_str());
  picture.title = "'; system \"touch " + flag + "\"; print '`touch " + flag +
                  "` @x </text><script>1</script>\n\\U+2028 {/Bold q}_1";
  PictureSize size{2000, 300};
  const std::string svg = draw_with_gnuplot(cache_script(picture, size), PictureFormat::kSvg, size);
  EXPECT_FALSE(std::ifstream(flag).good());
  EXPECT_EQ(svg.find("<script"), std::string::npos);
  bool is_shown = false;
  for (const std::string& text : svg_texts(svg)) {
    is_shown = is_shown || (text.find("@x &lt;/text>&lt;script>1") != std::string::npos &&
                            text.find("{/Bold q}_1") != std::string::npos);
  }
  EXPECT_TRUE(is_shown) << svg;
}

TEST(CachePicture, RefusesNothingToDraw) {
  const StrategySpec spec = parse_strategy("full");
  EXPECT_THROW(static_cast<void>(picture_of_plan(spec, 0, 1)), Error);
  EXPECT_THROW(static_cast<void>(picture_of_plan(spec, -1, 1)), Error);
  EXPECT_THROW(static_cast<void>(cache_script(picture_of_plan(spec, 1, 0), {})), Error);
  EXPECT_THROW(static_cast<void>(cache_script(picture_of_plan(spec, 1, kMaxDrawnLayers + 1), {})), Error);
  EXPECT_EQ(svg_boxes(svg_of(picture_of_plan(spec, 1, 1))).size(),
            4U);  // one token: grey, blue, and the legend's two
}

/// 1,048,576 tokens and 128 layers that all differ: what is drawn does not grow with the tokens.
TEST(CachePicture, DrawsAMillionTokensAndManyLayers) {
  constexpr std::int64_t kTokens = 1048576;
  CachePicture picture{.title = "many", .total_len = kTokens, .layers = {}, .n_layers = 128};
  for (std::int64_t layer = 0; layer < 128; ++layer) {
    KeepSet kept;
    for (std::int64_t block = layer % 3; block < kTokens / 128; block += 2 + layer % 5)
      kept.append(block * 128, (block + 1) * 128);
    picture.layers.push_back(std::move(kept));
  }
  const std::string svg = svg_of(picture);
  EXPECT_LT(svg.size(), 20U << 20U);
#ifndef __SANITIZE_ADDRESS__                              // whose shadow memory counts too
  for (const int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {  // gnuplot is a child
    rusage usage{};
    ASSERT_EQ(getrusage(who, &usage), 0);
    EXPECT_LT(usage.ru_maxrss, 500 * 1024) << "KiB";
  }
#endif
  double blue = 0;  // pixels, weighted by how blue they are
  for (const SvgBox& box : svg_boxes(svg)) {
    if (box.top < 63 || box.bottom > 640 - 100 + 1) continue;
    const double share = (0xD0 - static_cast<double>(box.colour >> 16U)) / 0xD0;
    blue += share * (box.right - box.left) * (box.bottom - box.top);
  }
  double kept = 0;
  for (const KeepSet& layer : picture.layers) kept += static_cast<double>(layer.count());
  const double area = (800.0 - 64 - 18) * (640.0 - 64 - 100);
  EXPECT_NEAR(blue / area, kept / 128 / static_cast<double>(kTokens), 0.03);
}

TEST(CachePreview, MarksKeptAndEvictedTokens) {
  const CachePicture picture = picture_of_plan(parse_strategy("sink_recent:25:25"), 100, 2);
  const std::string text = cache_preview(picture, {.width = 50});  // 40 columns of 2.5 tokens
  std::string row;
  for (int i = 0; i < 40; ++i) row += i < 10 || i >= 30 ? "█" : "░";
  EXPECT_NE(text.find("       0 " + row + "\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\n" + std::string(9 + 10, ' ') + "S" + std::string(19, ' ') + "R"), std::string::npos)
      << text;
  EXPECT_NE(text.find("50 of 100 tokens kept in each of 2 layers: 50.0 %"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(cache_preview(picture, {.width = 50, .has_colours = true}).find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace kvevict::plot
