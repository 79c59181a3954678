#include "base/base64.h"

#include <gtest/gtest.h>

#include <random>

namespace sightline {
namespace {

TEST(Base64, KnowsTheTestVectorsOfTheStandard) {
  const std::pair<const char*, const char*> vectors[] = {
      {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(base64_decoded(text), std::string(bytes));
  }
}

TEST(Base64, RoundTripsAnyBytes) {
  std::mt19937 draw(1);
  for (int size = 0; size < 200; ++size) {
    std::string bytes;
    for (int i = 0; i < size; ++i) bytes.push_back(static_cast<char>(draw() & 255U));
    EXPECT_EQ(base64_decoded(base64(bytes)), bytes);
  }
}

TEST(Base64, RefusesWhatIsNone) {
  for (const char* wrong : {"Z", "Zg", "Zg=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9v", "Zh==", "Zm9=", "Zm9v=AAA"})
    EXPECT_FALSE(base64_decoded(wrong).has_value()) << wrong;
}

}  // namespace
}  // namespace sightline
