// What `sightline serve` and `sightline token` say; that a server answers is tested in src/serving and by the soak.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/cli/call_for_test.h"
#include "base/temporary_folder.h"

namespace sightline::cli {
namespace {

using ::testing::HasSubstr;

TEST(Serve, RefusesInWordsWhatCannotBeServed) {
  const TemporaryFolder folder;
  EXPECT_EQ(call({"serve", "--models", folder / "none"}).code, 4);
  const Outcome nothing = call({"serve", "--workspace", folder / "none"});
  EXPECT_EQ(nothing.code, 4);
  EXPECT_THAT(nothing.err, HasSubstr("sightline build"));
  const Outcome open = call({"serve", "--models", folder.path(), "--address", "0.0.0.0"});
  EXPECT_EQ(open.code, 2);
  EXPECT_THAT(open.err, HasSubstr("sightline token add"));
  EXPECT_EQ(call({"serve", "--models", folder.path(), "--port", "70000"}).code, 2);
  EXPECT_EQ(call({"serve", "--models", folder.path(), "--batch", "0"}).code, 2);
  EXPECT_EQ(call({"serve", "--models", folder.path(), "--tokens", folder / "none.json"}).code, 4);
}

TEST(Token, IsShownOnceAndListedWithoutItsSecret) {
  const TemporaryFolder folder;
  const std::string file = folder / "tokens.json";
  const Outcome added = call({"token", "add", "camera-3", "--tokens", file, "--json"});
  ASSERT_EQ(added.code, 0) << added.err;
  const auto secret = added.json()["secret"].get<std::string>();
  EXPECT_EQ(call({"token", "add", "camera-3", "--tokens", file}).code, 7);
  EXPECT_EQ(call({"token", "add", "x", "--scope", "everything", "--tokens", file}).code, 2);
  const Outcome listed = call({"token", "list", "--tokens", file});
  EXPECT_THAT(listed.out, HasSubstr("camera-3"));
  EXPECT_THAT(listed.out, ::testing::Not(HasSubstr(secret)));
  EXPECT_EQ(call({"token", "remove", "camera-3", "--tokens", file}).code, 0);
  EXPECT_EQ(call({"token", "remove", "camera-3", "--tokens", file}).code, 4);
  EXPECT_EQ(call({"token", "remove", "--tokens", file}).code, 2);
  EXPECT_EQ(call({"token", "throw", "x", "--tokens", file}).code, 2);
}

}  // namespace
}  // namespace sightline::cli
