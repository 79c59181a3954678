#include "app/web/page_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/web/call_for_test.h"
#include "app/web/page_files.h"

namespace sightline::web {
namespace {

using testing::HasSubstr;

std::string header_of(const net::Response& response, const std::string& name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return "";
}

TEST(PageRoutes, SendEachFileCompressedWithItsKindAndAPolicy) {
  const auto routes = page_routes();
  for (const auto& [path, type] : {std::pair{"/", "text/html"},
                                   {"/page/app.js", "text/javascript"},
                                   {"/page/app.css", "text/css"},
                                   {"/page/icon.svg", "image/svg+xml"}}) {
    const net::Response response = call(routes, "GET", path, "", {{"accept-encoding", "gzip, br"}});
    EXPECT_EQ(response.status, 200) << path;
    EXPECT_THAT(response.content_type, HasSubstr(type));
    EXPECT_EQ(header_of(response, "Content-Encoding"), "gzip");
    EXPECT_THAT(header_of(response, "Content-Security-Policy"), HasSubstr("default-src 'self'"));
    EXPECT_EQ(response.body.substr(0, 2), "\x1f\x8b") << "not gzip";
  }
}

TEST(PageRoutes, AFileThatTheClientHasIsNotSentAgain) {
  const auto routes = page_routes();
  const std::string tag = header_of(call(routes, "GET", "/page/app.js", "", {{"accept-encoding", "gzip"}}), "ETag");
  ASSERT_FALSE(tag.empty());
  const net::Response again = call(routes, "GET", "/page/app.js", "", {{"accept-encoding", "gzip"}, {"if-none-match", tag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  const net::Response other = call(routes, "GET", "/page/app.js", "", {{"accept-encoding", "gzip"}, {"if-none-match", "\"x\""}});
  EXPECT_EQ(other.status, 200);
}

TEST(PageRoutes, WhoTakesNoGzipIsTold) { EXPECT_EQ(call(page_routes(), "GET", "/").status, 406); }

TEST(PageRoutes, FirstLoadIsSmall) {
  std::size_t bytes = 0;
  for (const PageFile& file : page_files()) bytes += file.packed.size();
  EXPECT_GT(bytes, 5'000U);
  EXPECT_LE(bytes, 100'000U);
}

}  // namespace
}  // namespace sightline::web
