#include "net/admission.h"

#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace sightline::net {
namespace {

TEST(Admission, KnowsTheNamesOfThisMachine) {
  for (const char* host : {"localhost", "127.0.0.1", "127.8.9.1", "[::1]", "::1"}) EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host :
       {"", "0.0.0.0", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "127.1", "2130706433", "[", "[]"})
    EXPECT_FALSE(is_loopback(host)) << host;
}

TEST(Admission, WithoutTokensGoesByNameAndOrigin) {
  const Admission admission({}, "127.0.0.1", {"box.local"});
  const auto status = [&](const std::string& host, const std::string& origin = "") {
    Request request{.headers = {{"host", host}}};
    if (!origin.empty()) request.headers["origin"] = origin;
    const auto refused = admission.refused(request, Scope::admin);
    return refused ? refused->status : 200;
  };
  for (const char* host : {"localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000", "box.local:8000"})
    EXPECT_EQ(status(host), 200) << host;
  for (const char* host : {"", "evil.example", "evil.example:8000", "localhost@evil.example", "box.local.evil.example"})
    EXPECT_EQ(status(host), 403) << host;
  EXPECT_EQ(status("localhost", "http://localhost:8000"), 200);
  for (const char* origin : {"http://evil.example", "null", "http://localhost.evil.example", "http://localhost@evil.example"})
    EXPECT_EQ(status("localhost", origin), 403) << origin;
}

TEST(Admission, WithTokensGoesByWhatTheyAllow) {
  const TemporaryFolder folder;
  const std::string reader = *add_token(folder / "t", "reader", "read"), owner = *add_token(folder / "t", "owner", "admin");
  const Admission admission(*Tokens::read(folder / "t"), "0.0.0.0", {});
  const auto status = [&](const std::string& secret, Scope scope) {
    Request request{.headers = {{"host", "anything"}}};
    if (!secret.empty()) request.headers["authorization"] = "Bearer " + secret;
    const auto refused = admission.refused(request, scope);
    return refused ? refused->status : 200;
  };
  EXPECT_EQ(status("", Scope::open), 200);
  EXPECT_EQ(status("", Scope::read), 401);
  EXPECT_EQ(status("wrong", Scope::read), 401);
  EXPECT_EQ(status(reader, Scope::read), 200);
  EXPECT_EQ(status(reader, Scope::infer), 403);
  EXPECT_EQ(status(owner, Scope::infer), 200);
  Request request{.headers = {{"authorization", "Bearer " + owner}}};
  EXPECT_FALSE(admission.refused(request, Scope::admin).has_value());
  EXPECT_EQ(request.caller.who, "owner");
}

}  // namespace
}  // namespace sightline::net
