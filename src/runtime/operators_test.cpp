// The table of operators as a whole: every operator of it has a proof in ONNX's backend tests (tests/onnx_backend_test.cpp) or in the tests
// of its family.
#include "runtime/operators.h"

#include <fstream>
#include <set>
#include <sstream>

#include "base/text.h"
#include "runtime/operator_cases_test.h"

namespace sightline::runtime {
namespace {

TEST(RuntimeOperators, TheTableIsSortedAndKnownToShapeInference) {
  const auto names = supported_operators();
  EXPECT_TRUE(std::ranges::is_sorted(names));
  std::set<std::string> known;
  for (const auto& row : graph::operators()) known.insert(row.op_type);
  for (const std::string& name : names) EXPECT_TRUE(known.contains(name)) << name;
}

// docs/runtime.md lists the operators for people; the list is this one.
TEST(RuntimeOperators, TheDocumentListsThemAll) {
  std::ifstream file("docs/runtime.md");
  if (!file) GTEST_SKIP() << "run from the source folder";
  std::stringstream text;
  text << file.rdbuf();
  const std::string all = text.str();
  const auto begin = all.find("## Operators"), end = all.find("\n## ", begin + 1);
  ASSERT_NE(begin, std::string::npos);
  std::set<std::string> listed;
  std::istringstream section(all.substr(begin, end - begin));
  for (std::string line; std::getline(section, line);) {
    if (!line.starts_with("|")) continue;
    const auto words = split(line, '`');  // every second one stands between backticks
    for (std::size_t i = 1; i < words.size(); i += 2) listed.insert(words[i]);
  }
  const auto names = supported_operators();
  EXPECT_EQ(listed, std::set<std::string>(names.begin(), names.end()));
}

}  // namespace
}  // namespace sightline::runtime
