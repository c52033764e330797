// Masks and animations of a bounded prefill: the boxes that are drawn against the schedule itself.
#include <gtest/gtest.h>

#include <array>
#include <set>
#include <sstream>

#include "kvevict/bounded_schedule.h"
#include "kvevict/policy.h"
#include "plot/mask_picture.h"
#include "plot/stream_animation.h"

namespace kvevict::plot {
namespace {

/// begin, end (columns), begin, end (rows).
using Box = std::array<double, 4>;

/// The rows of a data block of a script.
std::multiset<Box> boxes_of(const std::string& script, const std::string& name) {
  std::istringstream lines(script);
  std::string line;
  while (std::getline(lines, line) && line.rfind("$" + name + " <<", 0) != 0) {
  }
  const std::string end = line.substr(line.find("<<") + 3);
  std::multiset<Box> boxes;
  while (std::getline(lines, line) && line != end) {
    std::istringstream numbers(line);
    Box box{};
    if (numbers >> box[0] >> box[1] >> box[2] >> box[3]) boxes.insert(box);
  }
  return boxes;
}

Box box_of(const TokenRange& columns, const TokenRange& rows) {
  return {static_cast<double>(columns.begin), static_cast<double>(columns.end),
          static_cast<double>(rows.begin), static_cast<double>(rows.end)};
}

struct Case {
  const char* strategy;
  int layer;
};
constexpr Case kCases[] = {{"sink_recent:16:48", 0},
                           {"sink_recent_uniform:8:40:64:block=16", 0},
                           {"ladder:4:20:40:span=2", 0},
                           {"ladder:4:20:40:span=2", 3}};
constexpr std::int64_t kTokens = 256;
constexpr std::int64_t kChunk = 32;
constexpr int kLayers = 6;

TEST(MaskPictureTest, DrawsWhatEachChunkSees) {
  for (const auto& [strategy, layer] : kCases) {
    const StrategySpec spec = parse_strategy(strategy);
    std::multiset<Box> expected;
    for_each_bounded_chunk(*make_policy(spec), kTokens, kChunk, kLayers,
                           [&, l = layer](const BoundedChunk& chunk) {
                             const KeepSet cached = chunk.cached.layer(static_cast<std::size_t>(l));
                             for (const TokenRange& range : cached.ranges())
                               expected.insert(box_of(range, chunk.tokens));
                           });
    const MaskPicture picture{
        .spec = spec, .n_tokens = kTokens, .n_chunk = kChunk, .n_layers = kLayers, .layer = layer};
    EXPECT_EQ(boxes_of(mask_script(picture, {800, 800}).text(), "seen"), expected)
        << strategy << " " << layer;
  }
}

TEST(StreamAnimationTest, DrawsWhatTheCacheHolds) {
  for (const auto& [strategy, layer] : kCases) {
    const StrategySpec spec = parse_strategy(strategy);
    std::multiset<Box> expected;
    for_each_bounded_chunk(*make_policy(spec), kTokens, kChunk, kLayers,
                           [&, l = layer](const BoundedChunk& chunk) {
                             KeepSet held = chunk.cached.layer(static_cast<std::size_t>(l));
                             held.append(chunk.tokens.begin, chunk.tokens.end);
                             for (const TokenRange& range : held.ranges())
                               expected.insert(box_of(range, chunk.tokens));
                           });
    const StreamAnimation animation{.spec = spec,
                                    .n_tokens = kTokens,
                                    .n_frames = static_cast<int>(kTokens / kChunk),
                                    .n_layers = kLayers,
                                    .layer = layer};
    EXPECT_EQ(boxes_of(stream_script(animation, {720, 480}).text(), "held"), expected)
        << strategy << " " << layer;
  }
}

}  // namespace
}  // namespace kvevict::plot
