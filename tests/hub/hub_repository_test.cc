#include "hub/hub_repository.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "hub/locations.h"
#include "kvevict/error.h"

namespace kvevict {
namespace {

using Paths = std::vector<std::string>;

TEST(ModelName, IsARepositoryWithOrWithoutAQuant) {
  EXPECT_EQ(parse_model_name("org/repo-GGUF:Q4_K_M")->repository, "org/repo-GGUF");
  EXPECT_EQ(parse_model_name("org/repo-GGUF:Q4_K_M")->quant, "Q4_K_M");
  EXPECT_EQ(parse_model_name("org/repo")->quant, "");
  for (const char* bad :
       {"", "repo", "/repo", "org/", "a/b/c", "../b", "a/..", "org/repo:", "org/re po", "-a/b"}) {
    EXPECT_FALSE(parse_model_name(bad).has_value()) << bad;
  }
}

TEST(ParseRepository, RefusesWhatCouldDoHarm) {
  const std::string commit(40, 'a');
  const auto answer = [&](const std::string& file) {
    return R"({"sha": ")" + commit + R"(", "siblings": [)" + file + "]}";
  };
  EXPECT_EQ(parse_repository("o/r", answer(R"({"rfilename": "a/b.gguf", "size": 3})")).files[0].path,
            "a/b.gguf");
  for (const char* bad :
       {R"({"rfilename": "../b"})", R"({"rfilename": "/b"})", R"({"rfilename": "a/../../b"})",
        R"({"rfilename": 3})", R"({"rfilename": "b", "lfs": {"sha256": "../../x", "size": 3}})",
        R"({"rfilename": "b", "size": -1})"}) {
    EXPECT_THROW(static_cast<void>(parse_repository("o/r", answer(bad))), Error) << bad;
  }
  EXPECT_THROW(static_cast<void>(parse_repository("o/r", "<html>")), Error);
  EXPECT_THROW(static_cast<void>(parse_repository("o/r", R"({"sha": "main", "siblings": []})")), Error);
}

TEST(FindModel, SaysHowToGetAModelOfAnotherFormat) {
  setenv("HF_HUB_CACHE", KVEVICT_TEST_WORK_DIR "/no-cache", 1);
  try {
    static_cast<void>(find_model("meta-llama/Meta-Llama-3-8B-Instruct"));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("kvevict fetch meta-llama/Meta-Llama-3-8B-Instruct"),
              std::string::npos);
    EXPECT_NE(std::string(error.what()).find("convert_hf_to_gguf.py"), std::string::npos);
  }
  unsetenv("HF_HUB_CACHE");
}

}  // namespace
}  // namespace kvevict
