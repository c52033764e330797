// kvevict plan --prefill bounded: the set that a stream keeps, and the mask.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "support/program.h"

namespace kvevict::test {
namespace {

using Json = nlohmann::json;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/// The mask of a NumPy file of bools, checked for its header.
std::vector<std::vector<bool>> read_npy(const std::string& path, std::size_t n) {
  const std::string file = read_file(path);
  EXPECT_EQ(file.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const std::size_t n_header =
      10 + static_cast<unsigned char>(file[8]) + 256U * static_cast<unsigned char>(file[9]);
  EXPECT_EQ(n_header % 64, 0U);
  EXPECT_NE(file.find("'descr': '|b1', 'fortran_order': False, 'shape': (" + std::to_string(n) + ", " +
                      std::to_string(n) + ")"),
            std::string::npos);
  EXPECT_EQ(file.size(), n_header + n * n);
  std::vector<std::vector<bool>> mask(n, std::vector<bool>(n));
  for (std::size_t i = 0; i < n * n; ++i) mask[i / n][i % n] = file[n_header + i] == 1;
  return mask;
}

TEST(BoundedPlan, MaskIsWhatACacheOfSinkAndRecentHeld) {
  const std::string path = make_work_folder() + "/mask.npy";
  constexpr std::size_t kTokens = 200;
  const ProgramResult result = run_kvevict({"plan", "--prefill", "bounded", "--chunk", "16", "--total_len",
                                            "200", "--strategy", "sink_recent:4:24", "--mask", path});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const auto mask = read_npy(path, kTokens);
  std::set<std::size_t> cached;  // the obvious cache: a set of indices
  for (std::size_t begin = 0; begin < kTokens; begin += 16) {
    std::erase_if(cached, [&](std::size_t j) { return j >= 4 && j + 24 < begin; });
    for (std::size_t i = begin; i < std::min(kTokens, begin + 16); ++i) {
      for (std::size_t j = 0; j < kTokens; ++j) {
        EXPECT_EQ(mask[i][j], cached.contains(j) || (j >= begin && j <= i)) << i << " sees " << j;
      }
    }
    for (std::size_t i = begin; i < begin + 16; ++i) cached.insert(i);
  }
}

TEST(BoundedPlan, MaskOfALadderIsThatOfOneLayer) {
  const std::string path = make_work_folder() + "/mask.npy";
  std::vector<std::vector<std::vector<bool>>> masks;
  for (const char* layer : {"0", "1", "3"}) {
    const ProgramResult result =
        run_kvevict({"plan", "--prefill", "bounded", "--chunk", "16", "--total_len", "200", "--strategy",
                     "ladder:4:24:32:span=2", "--n_layers", "6", "--layer", layer, "--mask", path});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    masks.push_back(read_npy(path, 200));
    for (std::size_t i = 100; i < 200; ++i) {  // the cache is full by then
      EXPECT_TRUE(masks.back()[i][0] && masks.back()[i][i / 16 * 16 - 24] && masks.back()[i][i]);
      EXPECT_LE(std::count(masks.back()[i].begin(), masks.back()[i].end(), true), 4 + 24 + 32 + 16);
    }
  }
  EXPECT_NE(masks[0], masks[1]);
  EXPECT_EQ(masks[0], masks[2]);  // groups of 3 rows: three phases
}

TEST(BoundedPlan, JsonIsTheRulerOrdersSet) {
  const ProgramResult result = run_kvevict({"plan", "--json", "--prefill", "bounded", "--total_len", "1216",
                                            "--strategy", "sink_recent_uniform:128:64:512:block=128"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  // the middle [128, 1152) has pieces 0 … 7; of highest value: 0, 4, 6 (newer than 2), 2
  EXPECT_EQ(
      Json::parse(result.out),
      Json::parse(
          R"({"total_len":1216,"kept":704,"ranges":[[0,256],[384,512],[640,768],[896,1024],[1152,1216]]})"));
}

TEST(BoundedPlan, DrawsAPngOfAtMost2048Pixels) {
  const std::string path = make_work_folder() + "/mask.png";
  const ProgramResult result = run_kvevict({"plan", "--prefill", "bounded", "--total_len", "5000",
                                            "--strategy", "sink_recent:64:256", "--mask", path});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string file = read_file(path);
  EXPECT_EQ(file.substr(1, 3), "PNG");
  const auto number_at = [&](std::size_t i) {
    return (static_cast<unsigned char>(file[i + 2]) << 8) + static_cast<unsigned char>(file[i + 3]);
  };
  EXPECT_EQ(number_at(16), 1667);  // three tokens a pixel
  EXPECT_EQ(number_at(20), 1667);
}

TEST(BoundedPlan, RefusesInOneSentence) {
  const std::string folder = make_work_folder();
  struct Case {
    std::vector<std::string> arguments;
    const char* sentence;
  };
  for (const Case& c :
       {Case{{"--mask", folder + "/a.png"}, "it needs --prefill bounded"},
        Case{{"--prefill", "bounded", "--mask", folder + "/a.gif"}, "ends in .png or .npy"},
        Case{{"--prefill", "bounded", "--total_len", "20000", "--mask", folder + "/a.npy"},
             "too large for an .npy"},
        Case{{"--prefill", "bounded", "--total_len", "0", "--mask", folder + "/a.png"},
             "1 or more is needed"},
        Case{{"--prefill", "bounded", "--layer", "30", "--mask", folder + "/a.png"}, "--layer is 30"},
        Case{{"--prefill", "bounded", "--chunk", "0", "--mask", folder + "/a.png"}, "chunk"},
        Case{{"--prefill", "bounded", "--strategy", "sink_recent_uniform:4:8:stride=2"}, "stride"}}) {
    std::vector<std::string> words = {"plan"};
    words.insert(words.end(), c.arguments.begin(), c.arguments.end());
    const ProgramResult result = run_kvevict(words);
    EXPECT_EQ(result.exit_code, 2) << c.sentence;
    EXPECT_NE(result.err.find(c.sentence), std::string::npos) << result.err;
  }
}

}  // namespace
}  // namespace kvevict::test
