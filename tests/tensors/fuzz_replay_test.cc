// The fuzz target on random inputs, so that it is built and holds wherever the tests run.
#include <gtest/gtest.h>

#include <random>

#include "../../fuzz/fuzz_cache_evict.cc"

namespace {

TEST(FuzzReplayTest, RandomInputsHold) {
  std::mt19937 random(77);
  std::vector<std::uint8_t> data;
  for (int round = 0; round < 4000; ++round) {
    data.resize(random() % 160);
    for (std::uint8_t& byte : data) byte = static_cast<std::uint8_t>(random());
    LLVMFuzzerTestOneInput(data.data(), data.size());
  }
}

}  // namespace
