#include "plot/gnuplot.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>

#include "kvevict/error.h"
#include "kvevict/policy.h"
#include "kvevict/registry.h"
#include "plot/cache_picture.h"
#include "plot/colours.h"

namespace kvevict::plot {
namespace {

namespace fs = std::filesystem;

CachePicture small_picture() {
  return picture_of_plan(parse_strategy("sink_recent:10:20"), 100, 4);
}

std::string beginning_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(5, '\0');
  file.read(bytes.data(), 5);
  return bytes;
}

TEST(Gnuplot, WritesEachKindOfFile) {
  const fs::path folder = fs::path(testing::TempDir()) / "kvevict-plot-kinds";
  fs::remove_all(folder);
  save_cache_picture(small_picture(), folder / "a.png");  // makes the folder
  save_cache_picture(small_picture(), folder / "it's `odd` $name.pdf");
  save_cache_picture(small_picture(), folder / "a.svg");
  EXPECT_EQ(beginning_of(folder / "a.png"), std::string("\x89PNG\r"));
  EXPECT_EQ(beginning_of(folder / "it's `odd` $name.pdf"), "%PDF-");
  EXPECT_EQ(beginning_of(folder / "a.svg"), "<?xml");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 3);  // nothing unfinished is left
}

TEST(Gnuplot, RefusesUnknownEndings) {
  for (const char* name : {"a.jpg", "a", "a.png.txt", ".png"}) {
    try {
      static_cast<void>(picture_format(name));
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
      EXPECT_NE(std::string(error.what()).find(".png, .svg, .pdf"), std::string::npos);
    }
  }
}

TEST(Gnuplot, SaysWhatToInstallWhereItIsMissing) {
  const std::string path = std::getenv("PATH") == nullptr ? "" : std::getenv("PATH");
  ::setenv("PATH", "/nowhere", 1);
  try {
    save_cache_picture(small_picture(), fs::path(testing::TempDir()) / "kvevict-plot-missing.png");
    ADD_FAILURE() << "gnuplot was found";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kUnsupported);
    EXPECT_NE(std::string(error.what()).find("apt-get install gnuplot-nox"), std::string::npos);
  }
  ::setenv("PATH", path.c_str(), 1);
}

TEST(Gnuplot, PassesItsComplaintsOn) {
  GnuplotScript script;
  script.add("this is no command");
  try {
    static_cast<void>(draw_with_gnuplot(script, PictureFormat::kSvg, {}));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kIo);
    EXPECT_NE(std::string(error.what()).find("invalid command"), std::string::npos) << error.what();
  }
}

TEST(GnuplotQuoted, KeepsTextAndDropsControl) {
  EXPECT_EQ(gnuplot_quoted("it's"), R"("it\047s")");
  EXPECT_EQ(gnuplot_quoted("a\nb\x01"), R"("a b ")");
  EXPECT_EQ(gnuplot_quoted("\xff\xe4\xb8\xad"), "\"\xef\xbf\xbd\xe4\xb8\xad\"");
}

TEST(Colours, AreTheSameForAStrategyWhereverItStands) {
  const auto alone = run_styles({"sink_recent"});
  const auto among = run_styles({"full", "sink_recent", "unheard_of", "sink_recent"});
  EXPECT_EQ(alone[0].colour, among[1].colour);
  EXPECT_EQ(among[2].colour, strategy_colour("unheard_of"));
  EXPECT_NE(among[3].colour, among[1].colour);  // a second run of the strategy: paler, another point
  EXPECT_NE(among[3].point, among[1].point);
  EXPECT_EQ(mix(0x000000, 0xFFFFFF, 0.5), 0x808080U);
}

TEST(Colours, EveryStrategyHasItsOwn) {
  std::set<Colour> colours;
  for (const PolicyInfo& info : all_policies()) colours.insert(strategy_colour(info.name));
  EXPECT_EQ(colours.size(), all_policies().size());
}

}  // namespace
}  // namespace kvevict::plot
