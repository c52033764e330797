#include "cli/poll.h"

#include <gtest/gtest.h>

#include "support/program.h"

namespace kvevict::cli {
namespace {

std::optional<int> poll_of(std::vector<std::string> arguments) {
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  return poll_in(pointers);
}

TEST(Poll, IsFoundInBothForms) {
  EXPECT_EQ(poll_of({"kvevict", "generate", "--poll", "7"}), 7);
  EXPECT_EQ(poll_of({"kvevict", "generate", "--poll=0", "--prompt", "x"}), 0);
  EXPECT_EQ(poll_of({"kvevict", "generate", "--prompt", "x"}), std::nullopt);
  EXPECT_EQ(poll_of({"kvevict"}), std::nullopt);
}

TEST(Poll, IsLeftToTheParserIfItIsNoNumberOfTheRange) {
  for (const char* value : {"101", "-1", "x", "5x", ""})
    EXPECT_EQ(poll_of({"kvevict", "--poll", value}), std::nullopt) << value;
  EXPECT_EQ(poll_of({"kvevict", "--poll"}), std::nullopt);
}

test::ProgramResult dry_run(const std::string& poll, std::vector<std::string> environment = {}) {
  environment.emplace_back("OMP_DISPLAY_ENV=VERBOSE");  // GNU's OpenMP then says what it took
  return test::run_kvevict({"generate", "--prompt", "x", "--dry_run", "--poll", poll},
                           {.environment = environment});
}

TEST(Poll, ReachesOpenMp) {
  const test::ProgramResult result = dry_run("7");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_NE(result.err.find("GOMP_SPINCOUNT = '7000'"), std::string::npos) << result.err;
}

TEST(Poll, StandsAboveTheEnvironment) {
  const test::ProgramResult result = dry_run("100", {"OMP_WAIT_POLICY=passive", "GOMP_SPINCOUNT=3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const std::size_t last = result.err.rfind("OMP_WAIT_POLICY");
  ASSERT_NE(last, std::string::npos) << result.err;
  EXPECT_NE(result.err.find("ACTIVE", last), std::string::npos) << result.err;
}

TEST(Poll, OutOfRangeIsOneSentence) {
  const test::ProgramResult result = dry_run("101");
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_NE(result.err.find("--poll"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace kvevict::cli
