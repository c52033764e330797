#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "support/program.h"

namespace kvevict::cli {
namespace {

TEST(Models, TheTableOfArchitecturesFitsAPageAndSaysWhyNot) {
  const test::ProgramResult run = test::run_kvevict({"models", "--architectures"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::istringstream lines(run.out);
  std::string of_llama;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_LE(line.size(), 80U) << line;
    if (line.starts_with("llama ")) of_llama = line;
  }
  for (int column = 0; column < 9; ++column) {
    const std::size_t at = of_llama.find("yes");
    ASSERT_NE(at, std::string::npos) << of_llama << column;
    of_llama.erase(at, 3);
  }
  EXPECT_NE(run.out.find("  1  no: "), std::string::npos) << run.out;
}

TEST(Models, TheTableOfArchitecturesAsJsonIsTheOneInTheFile) {
  const test::ProgramResult run = test::run_kvevict({"models", "--architectures", "--json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const nlohmann::json table = nlohmann::json::parse(run.out);
  EXPECT_GE(table.at("architectures").size(), 120U);
  for (const nlohmann::json& row : table.at("architectures")) {
    for (const nlohmann::json& column : table.at("columns")) {
      EXPECT_TRUE(row.at(column.get<std::string>()).is_string()) << row;
    }
  }
}

TEST(Models, JsonIsOfTheArchitecturesAlone) {
  const test::ProgramResult run = test::run_kvevict({"models", "--json"});
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_NE(run.err.find("--architectures"), std::string::npos) << run.err;
}

}  // namespace
}  // namespace kvevict::cli
