#include "net/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sightline::net {
namespace {

Route route(std::string method, std::string pattern) {
  return answered(std::move(method), std::move(pattern), Scope::open, "", [](const Request&) { return json_response({}); });
}

std::string found_pattern(const Router& router, const std::string& method, const std::string& target, Request& request) {
  request.method = method;
  const Router::Found found = router.find(request, target);
  return found.route == nullptr ? "(" + found.allowed + ")" : found.route->pattern;
}

TEST(Router, FindsTheFirstRouteThatFits) {
  const Router router({route("GET", "/v1/models"), route("GET", "/v1/models/{model}"), route("POST", "/v1/models/{model}:predict"),
                       route("GET", "/page/{file...}"), route("GET", "/")});
  Request request;
  EXPECT_EQ(found_pattern(router, "GET", "/v1/models?x=1", request), "/v1/models");
  EXPECT_EQ(found_pattern(router, "GET", "/v1/models/a%20b", request), "/v1/models/{model}");
  EXPECT_EQ(request.parameter("model"), "a b");
  EXPECT_EQ(found_pattern(router, "POST", "/v1/models/shoes:predict", request), "/v1/models/{model}:predict");
  EXPECT_EQ(request.parameter("model"), "shoes");
  EXPECT_EQ(found_pattern(router, "HEAD", "/page/a/b%2Fc", request), "/page/{file...}");
  EXPECT_EQ(request.parameter("file"), "a/b/c");
  EXPECT_EQ(found_pattern(router, "GET", "/", request), "/");
  EXPECT_EQ(found_pattern(router, "GET", "/nothing", request), "()");
  EXPECT_EQ(found_pattern(router, "DELETE", "/v1/models", request), "(GET)");
  EXPECT_EQ(found_pattern(router, "GET", "/v1/models/", request), "()");  // an empty name is none
  EXPECT_EQ(found_pattern(router, "GET", "/v1/models/%00", request), "()");
}

TEST(Router, ReadsPathAndQuery) {
  Request request;
  ASSERT_TRUE(read_target("/a%2Fb?draw=1&label=a+b%21&empty&draw=2", request).ok());
  EXPECT_EQ(request.path, "/a/b");
  EXPECT_EQ(request.asked("draw"), "2");
  EXPECT_EQ(request.asked("label"), "a b!");
  EXPECT_EQ(request.query.count("empty"), 1U);
  for (const std::string_view wrong :
       {std::string_view(""), std::string_view("a"), std::string_view("http://x/"), std::string_view("/%"), std::string_view("/%4"),
        std::string_view("/%zz"), std::string_view("/%00"), std::string_view("/?a=%f"), std::string_view("/a\0b", 4)}) {
    Request other;
    EXPECT_FALSE(read_target(wrong, other).ok()) << wrong;
  }
}

TEST(Openapi, TellsEachRouteWithItsParameters) {
  const Json document = openapi({route("GET", "/v1/models/{model}"), route("POST", "/v1/models/{model}:predict")}, "t", "1");
  EXPECT_EQ(document["paths"].size(), 2U);
  EXPECT_EQ(document["paths"]["/v1/models/{model}"]["get"]["parameters"][0]["name"], "model");
}

}  // namespace
}  // namespace sightline::net
