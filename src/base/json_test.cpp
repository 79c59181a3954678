#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sightline {
namespace {
using ::testing::HasSubstr;

struct Inner {
  double value = 0.5;
  std::vector<std::int64_t> counts;
  static constexpr auto fields() { return std::tuple{field("value", &Inner::value), field("counts", &Inner::counts)}; }
};
struct Outer {
  std::string name = "x";
  Inner inner;
  std::map<std::string, Inner> named;
  std::optional<int> seed;
  std::uint64_t bytes = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &Outer::name), field("inner", &Outer::inner), field("named", &Outer::named),
                      field("seed", &Outer::seed), field("bytes", &Outer::bytes)};
  }
};

Error error_of(const std::string& text) {
  const auto json = parse_json(text, "file.json");
  if (!json.ok()) return json.error();
  const auto read = struct_from_json<Outer>(*json);
  EXPECT_FALSE(read.ok()) << text;
  return read.ok() ? Error{} : read.error();
}

TEST(JsonTest, StructsComeBack) {
  Outer outer;
  outer.name = "größe";
  outer.inner.counts = {1, -2};
  outer.named["a"].value = 1.25;
  outer.seed = 7;
  outer.bytes = ~0ULL;
  const auto again = struct_from_json<Outer>(*parse_json(json_text(to_json(outer)), "text"));
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(json_text(to_json(*again)), json_text(to_json(outer)));
  EXPECT_EQ(again->bytes, ~0ULL);
}

TEST(JsonTest, EqualStructsGiveEqualText) {
  EXPECT_EQ(json_text(to_json(Outer{})), R"({"bytes":0,"inner":{"counts":[],"value":0.5},"name":"x","named":{},"seed":null})");
}

TEST(JsonTest, MistakesNameTheirPath) {
  EXPECT_THAT(error_of(R"({"inner":{"value":"much"}})").message, HasSubstr("inner.value must be a number"));
  EXPECT_THAT(error_of(R"({"inner":{"counts":[1,2.5]}})").message, HasSubstr("inner.counts[1] must be an integer"));
  EXPECT_THAT(error_of(R"({"named":{"a":{"vallue":1}}})").message, HasSubstr("unknown key \"vallue\" in named.a"));
  EXPECT_THAT(error_of(R"({"other":1})").message, HasSubstr("unknown key \"other\""));
  EXPECT_THAT(error_of("[]").message, HasSubstr("must be an object"));
}

TEST(JsonTest, NumbersOutOfRangeAreRefused) {
  EXPECT_THAT(error_of(R"({"seed":2147483648})").message, HasSubstr("range"));
  EXPECT_THAT(error_of(R"({"seed":-2147483649})").message, HasSubstr("range"));
  EXPECT_THAT(error_of(R"({"bytes":-1})").message, HasSubstr("range"));
  EXPECT_THAT(error_of(R"({"inner":{"counts":[9223372036854775808]}})").message, HasSubstr("range"));
  EXPECT_THAT(error_of(R"({"bytes":18446744073709551616})").message, HasSubstr("integer"));
}

TEST(JsonTest, BrokenTextIsAnErrorWithItsSource) {
  for (const char* text : {"", "{", "{\"a\":}", "[1,]", "nul", "{\"a\":1}x", "\"\xFF\"", "{'a':1}"}) {
    const Error error = error_of(text);
    EXPECT_EQ(error.kind, ErrorKind::invalid_data) << text;
    EXPECT_THAT(error.message, HasSubstr("file.json")) << text;
  }
}

TEST(JsonTest, DuplicateKeysAreRefused) {
  EXPECT_THAT(error_of(R"({"name":"a","name":"b"})").message, HasSubstr("stands twice"));
  EXPECT_THAT(error_of(R"({"inner":{"value":1,"value":1}})").message, HasSubstr("stands twice"));
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":1}])", "x").ok());
}

TEST(JsonTest, DepthBombsAreRefused) {
  for (const char* unit : {"[", "{\"a\":"}) {
    std::string bomb;
    for (int i = 0; i < 200'000; ++i) bomb += unit;
    EXPECT_THAT(error_of(bomb).message, HasSubstr("nested deeper"));
  }
  EXPECT_TRUE(parse_json(std::string(100, '[') + std::string(100, ']'), "x").ok());
}

}  // namespace
}  // namespace sightline
