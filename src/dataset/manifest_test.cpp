#include "dataset/manifest.h"

#include <gmock/gmock.h>

#include <chrono>
#include <limits>

#include "base/random.h"
#include "dataset/json_lines.h"

namespace sightline::dataset {
namespace {

Manifest example(std::size_t count) {
  Manifest manifest{.root = "/data/\"quoted\" and ünï",
                    .format = "folders",
                    .licence = "CC0",
                    .origin = "https://example.org",
                    .classes = {"cat", "dog\n", "Ankle boot"},
                    .given_test = true,
                    .given_validation = false,
                    .rejected = {{"notes.txt", "side file (.txt)"}, {"cat/\x01.png", "not an image (text)"}},
                    .samples = {}};
  Random random(7);
  for (std::size_t i = 0; i < count; ++i) {
    manifest.samples.push_back({.path = fmt::format("cat/straße \\ {}\t.png", i),
                                .digest = sha256_of(std::to_string(i)),
                                .label = static_cast<int>(random.below(3)),
                                .group = i % 3 == 0 ? "" : "patient 😀",
                                .split = static_cast<Split>(random.below(3)),
                                .width = 28,
                                .height = 1 + static_cast<int>(random.below(9000)),
                                .channels = 3,
                                .perceptual_hash = random.next(),
                                .mean = random.uniform(0, 255),
                                .deviation = random.uniform(),
                                .sharpness = random.uniform() * 1e-12});
  }
  return manifest;
}

TEST(Manifest, RoundTripsToTheLastBit) {
  Manifest manifest = example(50);
  manifest.samples[0].perceptual_hash = std::numeric_limits<std::uint64_t>::max();
  manifest.samples[1].perceptual_hash = (1ULL << 53U) + 1;  // not a double
  const auto parsed = parse_manifest(write_manifest(manifest), "m");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->root, manifest.root);
  EXPECT_EQ(parsed->format, manifest.format);
  EXPECT_EQ(parsed->licence, manifest.licence);
  EXPECT_EQ(parsed->origin, manifest.origin);
  EXPECT_EQ(parsed->classes, manifest.classes);
  EXPECT_TRUE(parsed->given_test);
  EXPECT_FALSE(parsed->given_validation);
  ASSERT_EQ(parsed->rejected.size(), 2U);
  EXPECT_TRUE(equal_fields(parsed->rejected[1], manifest.rejected[1]));
  ASSERT_EQ(parsed->samples.size(), manifest.samples.size());
  for (std::size_t i = 0; i < manifest.samples.size(); ++i) EXPECT_TRUE(equal_fields(parsed->samples[i], manifest.samples[i])) << i;
}

TEST(Manifest, LinesAreJson) {
  const std::string text = write_manifest(example(3));
  for (const std::string& line : split(trim(text), '\n')) {
    const auto json = parse_json(line, "line");
    ASSERT_TRUE(json.ok()) << json.error().message;
  }
  EXPECT_EQ(struct_from_json<Sample>(*parse_json(split(text, '\n')[3], "line"))->perceptual_hash, example(3).samples[0].perceptual_hash);
}

TEST(Manifest, SeventyThousandSamplesAreQuick) {
  const Manifest manifest = example(70000);
  const auto begin = std::chrono::steady_clock::now();
  const std::string text = write_manifest(manifest);
  const auto written = std::chrono::steady_clock::now();
  const auto parsed = parse_manifest(text, "m");
  const auto done = std::chrono::steady_clock::now();
  ASSERT_TRUE(parsed.ok());
  const auto ms = [](auto duration) { return std::chrono::duration<double, std::milli>(duration).count(); };
  RecordProperty("write_ms", fmt::format("{:.0f}", ms(written - begin)));
  RecordProperty("parse_ms", fmt::format("{:.0f}", ms(done - written)));
  EXPECT_LT(ms(done - begin), 10000);  // an order of magnitude above what a quiet machine takes: catches a tree parser, not noise
}

TEST(Manifest, EveryTruncationIsNoticed) {
  const std::string text = write_manifest(example(2));
  for (std::size_t length = 0; length + 1 < text.size(); ++length)  // the last line break may be missing
    ASSERT_FALSE(parse_manifest(text.substr(0, length), "m").ok()) << length;
}

TEST(Manifest, DamageNeverCrashes) {
  const std::string text = write_manifest(example(2));
  Random random(11);
  for (int trial = 0; trial < 5000; ++trial) {
    std::string damaged = text;
    for (std::uint64_t i = 1 + random.below(3); i > 0; --i) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    const auto parsed = parse_manifest(damaged, "m");
    if (!parsed.ok()) continue;
    for (const Sample& sample : parsed->samples) ASSERT_LT(static_cast<std::size_t>(sample.label), parsed->classes.size());
  }
}

struct Fault {
  const char* from;
  const char* to;
  const char* says;
};

TEST(Manifest, ErrorsNameTheLineAndTheFault) {
  const std::string text = write_manifest(example(2));
  const Fault faults[] = {{"\"label\":", "\"lable\":", "m:4: unknown key \"lable\"; did you mean \"label\"?"},
                          {"\"label\":", "\"width\":1,\"label\":", "m:4: the key \"width\" stands twice"},
                          {"\"channels\":3,", "", "m:4: \"channels\" is missing"},
                          {"\"channels\":3,", "\"channels\":2,", "m:4: impossible size"},
                          {"\"width\":28", "\"width\":28.5", "m:4: \"width\" has no usable value"},
                          {"\"width\":28", "\"width\":99999999999", "m:4: \"width\" has no usable value"},
                          {"\"width\":28", "\"width\":null", "m:4: \"width\" has no usable value"},
                          {"\"phash\":", "\"phash\":-", "m:4: \"phash\" has no usable value"},
                          {"\"mean\":", "\"mean\":1e999,\"deviation\":", "m:4: \"mean\" has no usable value"},
                          {"\"digest\":\"", "\"digest\":\"x", "m:4: \"digest\" is not 64 hexadecimal characters"},
                          {"\"rejected\":2", "\"rejected\":1", "m:3: unknown key \"reason\""},
                          {"\"samples\":2", "\"samples\":3", "m:5: the file ends after 2 of 3 samples"},
                          {"\"samples\":2", "\"samples\":1", "m:5: more lines than the header announces"},
                          {"\"samples\":2", "\"samples\":18446744073709551615", "m:5: the file ends after 2 of"},
                          {"\"sightline_manifest\":1", "\"sightline_manifest\":2", "version 2"},
                          {"\"sightline_manifest\":1", "\"other\":1", "not a manifest"},
                          {"[\"cat\"", "[\"cat\",7", "classes[1] must be a string"}};
  for (const Fault& fault : faults) {
    std::string damaged = text;
    // In the last occurrence's line of interest: the first sample is line 4.
    const std::size_t at = damaged.find(fault.from);
    ASSERT_NE(at, std::string::npos) << fault.from;
    damaged.replace(at, std::string(fault.from).size(), fault.to);
    const auto parsed = parse_manifest(damaged, "m");
    ASSERT_FALSE(parsed.ok()) << fault.to;
    EXPECT_THAT(parsed.error().message, testing::HasSubstr(fault.says)) << fault.to;
  }
}

TEST(JsonLines, EscapesAreRead) {
  const auto path_of = [](const std::string& escaped) -> std::string {
    Rejection rejection;
    const auto status = parse_json_line("{ \"path\" : \"" + escaped + "\" , \"reason\" : \"\" } ", rejection);
    return status.ok() ? rejection.path : "error";
  };
  EXPECT_EQ(path_of(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(path_of(R"(A\u00e4\u20AC\ud83d\ude00)"), "Aä€😀");
  EXPECT_EQ(path_of(R"(\ud83d)"), "error");
  EXPECT_EQ(path_of(R"(\ud83dx\ude00)"), "error");
  EXPECT_EQ(path_of(R"(\ude00)"), "error");
  EXPECT_EQ(path_of(R"(\u12g4)"), "error");
  EXPECT_EQ(path_of(R"(\x)"), "error");
  EXPECT_EQ(path_of("\x01"), "error");
}

}  // namespace
}  // namespace sightline::dataset
