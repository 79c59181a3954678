#include "store/release_name.h"

#include <gtest/gtest.h>

namespace sightline::store {
namespace {

TEST(ReleaseName, IsANameWithOrWithoutAVersion) {
  EXPECT_EQ(parse_release_name("apparel")->name, "apparel");
  EXPECT_EQ(parse_release_name("apparel")->version, 0);
  EXPECT_EQ(parse_release_name("apparel:3")->name, "apparel");
  EXPECT_EQ(parse_release_name("apparel:3")->version, 3);
  for (const char* wrong : {"", "a/b", "./apparel", "apparel:", "apparel:0", "apparel:x", "apparel:-1", ":3", "apparel:1234567890123456"})
    EXPECT_EQ(parse_release_name(wrong).error().kind, ErrorKind::usage) << wrong;
}

}  // namespace
}  // namespace sightline::store
