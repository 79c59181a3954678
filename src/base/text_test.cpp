#include "base/text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/clock.h"

namespace sightline {
namespace {
using ::testing::ElementsAre;

TEST(Text, SplitsJoinsAndTrims) {
  EXPECT_THAT(split("a,,b", ','), ElementsAre("a", "", "b"));
  EXPECT_THAT(split("", ','), ElementsAre(""));
  EXPECT_EQ(join({"a", "b"}, ", "), "a, b");
  EXPECT_EQ(join({}, ", "), "");
  EXPECT_EQ(trim(" \t a b\r\n"), "a b");
  EXPECT_EQ(trim(" \n"), "");
}

TEST(Text, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0);
  EXPECT_EQ(edit_distance("abc", ""), 3);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
  EXPECT_EQ(edit_distance("build", "biuld"), 1);  // neighbours swapped
}

TEST(Text, NearestMatch) {
  const std::vector<std::string> verbs{"build", "predict", "list", "fsck"};
  EXPECT_EQ(nearest_match("biuld", verbs), "build");
  EXPECT_EQ(nearest_match("predct", verbs), "predict");
  EXPECT_EQ(nearest_match("pre", verbs), "predict");  // a beginning
  EXPECT_EQ(nearest_match("zebra", verbs), "");
  EXPECT_EQ(nearest_match(std::string(100'000, 'x'), verbs), "");
  EXPECT_EQ(nearest_match("x", {}), "");
  EXPECT_EQ(did_you_mean("lst", verbs), "; did you mean \"list\"?");
  EXPECT_EQ(did_you_mean("zebra", verbs), "");
}

TEST(Text, SizesTimesAndCounts) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1'000), "1.00 kB");
  EXPECT_EQ(human_bytes(1'234'567), "1.23 MB");
  EXPECT_EQ(human_bytes(999'999'999), "1.00 GB");
  EXPECT_EQ(human_bytes(~0ULL), "18447 PB");
  EXPECT_EQ(human_seconds(0.42), "420 ms");
  EXPECT_EQ(human_seconds(12.3), "12.3 s");
  EXPECT_EQ(human_seconds(185), "3 min 05 s");
  EXPECT_EQ(human_seconds(59.96), "1 min 00 s");
  EXPECT_EQ(human_seconds(7'800), "2 h 10 min");
  EXPECT_EQ(human_seconds(-1), "?");
  EXPECT_EQ(human_seconds(std::nan("")), "?");
  EXPECT_EQ(human_count(7), "7");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(70'000), "70,000");
  EXPECT_EQ(human_count(1'234'567), "1,234,567");
  EXPECT_EQ(plural(1, "image"), "1 image");
  EXPECT_EQ(plural(70'000, "image"), "70,000 images");
  EXPECT_EQ(plural(2, "class"), "2 classes");
  EXPECT_EQ(plural(0, "box"), "0 boxes");
  EXPECT_EQ(plural(2, "entry"), "2 entries");
}

TEST(Text, HtmlIsEscaped) { EXPECT_EQ(escape_html("<a href=\"x\" b='y'>&"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;"); }

TEST(Text, TablesCountLettersNotBytes) {
  EXPECT_EQ(table({"name", "top1"}, {{"größe", "0.9"}, {"a", "10.25"}}),
            "name    top1\n"
            "größe    0.9\n"
            "a      10.25\n");
  EXPECT_EQ(table({"a", "b"}, {}), "a  b\n");
  EXPECT_EQ(table({"a", "b"}, {{"x"}}), "a  b\nx\n");
}

TEST(Clock, MomentsAsText) {
  const std::string now = utc_now();
  EXPECT_EQ(now.size(), 20U);
  EXPECT_EQ(now.back(), 'Z');
  EXPECT_EQ(local_minute(now).size(), 16U);
  EXPECT_EQ(local_minute("yesterday"), "yesterday");
  EXPECT_EQ(local_minute("2026-11-23T09:12:05Z and more"), "2026-11-23T09:12:05Z and more");
}

}  // namespace
}  // namespace sightline
