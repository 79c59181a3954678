#include "net/tokens.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/files.h"
#include "base/temporary_folder.h"
#include "base/testing.h"

namespace sightline::net {
namespace {

TEST(Tokens, AreKnownByTheirSecretAndKeptAsHashes) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/tokens.json";
  const auto secret = add_token(file, "camera-3", "infer");
  ASSERT_TRUE(secret.ok()) << secret.error().message;
  EXPECT_EQ(add_token(file, "camera-3", "infer").error().kind, ErrorKind::conflict);
  EXPECT_EQ(add_token(file, "a b", "infer").error().kind, ErrorKind::usage);
  EXPECT_EQ(add_token(file, "b", "everything").error().kind, ErrorKind::usage);
  ASSERT_TRUE(add_token(file, "owner", "admin").ok());
  EXPECT_EQ(read_file(file)->find(*secret), std::string::npos);
  struct stat info {};
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);

  const auto tokens = Tokens::read(file);
  ASSERT_TRUE(tokens.ok());
  const auto holder = tokens->holder("Bearer " + *secret);
  ASSERT_TRUE(holder.has_value());
  EXPECT_EQ(holder->name, "camera-3");
  EXPECT_EQ(holder->scope, Scope::infer);
  EXPECT_TRUE(tokens->holder("bearer " + *secret).has_value());
  for (const std::string& wrong : {std::string("Bearer "), "Bearer " + *secret + "0", *secret, std::string("Basic abc"), std::string()})
    EXPECT_FALSE(tokens->holder(wrong).has_value()) << wrong;

  ASSERT_TRUE(remove_token(file, "camera-3").ok());
  EXPECT_EQ(remove_token(file, "camera-3").error().kind, ErrorKind::not_found);
  EXPECT_FALSE(Tokens::read(file)->holder("Bearer " + *secret).has_value());
}

TEST(Tokens, ADamagedFileIsAnErrorThatNamesTheEntry) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/tokens.json";
  ASSERT_TRUE(write_file(file, R"([{"name":"x","scope":"root","sha256":"12","created":""}])").ok());
  const auto tokens = Tokens::read(file);
  ASSERT_FALSE(tokens.ok());
  EXPECT_NE(tokens.error().message.find("\"x\""), std::string::npos);
}

}  // namespace
}  // namespace sightline::net
