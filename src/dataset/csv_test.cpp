#include "dataset/csv.h"

#include <gmock/gmock.h>

#include "base/random.h"

namespace sightline::dataset {
namespace {

using Rows = std::vector<std::vector<std::string>>;

Rows read(std::string_view text) {
  CsvReader reader(text, "t.csv");
  Rows rows;
  std::vector<std::string> fields;
  while (true) {
    const auto more = reader.next(fields);
    if (!more.ok()) {
      rows.push_back({"error", more.error().message});
      return rows;
    }
    if (!*more) return rows;
    rows.push_back(fields);
  }
}

TEST(Csv, QuotesSeparatorsAndLineEnds) {
  EXPECT_EQ(read("path,label\na.png,cat\n"), (Rows{{"path", "label"}, {"a.png", "cat"}}));
  EXPECT_EQ(read("\xEF\xBB\xBFpath,label\r\na,b\r\n\r\nc,d"), (Rows{{"path", "label"}, {"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(read("a,b\n\"x,\"\"y\"\"\nz\",\n,\"\"\n"), (Rows{{"a", "b"}, {"x,\"y\"\nz", ""}, {"", ""}}));
  EXPECT_EQ(read("path;label\na,1;cat\n"), (Rows{{"path", "label"}, {"a,1", "cat"}}));
  EXPECT_EQ(read("path\tlabel\na\tb"), (Rows{{"path", "label"}, {"a", "b"}}));
  EXPECT_EQ(read("a,b\rc,d\r"), (Rows{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(read("a,"), (Rows{{"a", ""}}));
  EXPECT_EQ(read(""), Rows{});
  EXPECT_EQ(read("\n\r\n\n"), Rows{});
  EXPECT_EQ(read("a,it's 5\" long"), (Rows{{"a", "it's 5\" long"}}));
}

TEST(Csv, FaultsNameTheirLine) {
  EXPECT_EQ(read("a,b\nc,\"d\ne,f\n").back(), (std::vector<std::string>{"error", "t.csv:2: a quote is opened and never closed"}));
  EXPECT_THAT(read("a,b\n\"x\ny\",1\n\"c\"d,e\n").back()[1], testing::StartsWith("t.csv:4: text after a closing quote"));
  EXPECT_THAT(read(std::string_view("a,b\nc\0,d\n", 9)).back()[1], testing::StartsWith("t.csv:2: a zero byte"));
}

TEST(Csv, AnyBytesAreReadOrRefused) {
  Random random(2);
  constexpr std::string_view alphabet = "ab,;\t\"\"\n\r\xEF";
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text;
    for (std::uint64_t i = random.below(30); i > 0; --i) text += alphabet[random.below(alphabet.size())];
    for (const auto& row : read(text)) ASSERT_FALSE(row.empty()) << text;
  }
}

}  // namespace
}  // namespace sightline::dataset
