#include "tasks/read.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.h"
#include "base/text.h"
#include "tasks/ctc.h"
#include "tasks/golden_for_test.h"
#include "tasks/read_metrics.h"

namespace sightline::tasks {
namespace {

using annotation::Annotation;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> symbols{"A", "B", "1"};

std::string text_of(const Symbols& text) {
  std::string out;
  for (const std::int32_t k : text) out += symbols[static_cast<std::size_t>(k)];
  return out;
}
Symbols symbols_of(const std::string& text) {
  Symbols out;
  for (const std::string& character : characters_of(text))
    out.push_back(static_cast<std::int32_t>(std::ranges::find(symbols, character) - symbols.begin()));
  return out;
}

// ---- against tests/golden/read_golden.py, which sums over every way through the columns ----

class Golden : public testing::Test {
 protected:
  void SetUp() override {
    auto json = read_json_file("tests/golden/read.json");
    ASSERT_TRUE(json.ok()) << json.error().message;
    document = *std::move(json);
  }
  static std::vector<float> columns_of(const Json& rows) {
    std::vector<float> columns;
    for (const Json& row : rows)
      for (const Json& each : row) columns.push_back(each.get<float>());
    return columns;
  }
  Json document;
};

constexpr double as_floats = 2e-6;  // the columns are given in f32

TEST_F(Golden, TextsAreAsProbableAsAllTheirWaysTogether) {
  for (const Json& each : document["ctc"]) {
    const std::vector<float> columns = columns_of(each["columns"]);
    double sum = 0;
    for (const auto& [text, probability] : each["texts"].items()) {
      const double got = std::exp(log_probability(columns, 3, symbols_of(text)));
      EXPECT_NEAR(got, probability.get<double>(), as_floats) << "\"" << text << "\" of " << each["columns"].size() << " columns";
      sum += got;
    }
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST_F(Golden, TheBeamFindsTheMostProbableTexts) {
  for (const Json& each : document["ctc"]) {
    const std::vector<float> columns = columns_of(each["columns"]);
    const auto found = read_beam(columns, 3, {}, beam_width, most_readings);
    ASSERT_EQ(found.size(), each["ranked"].size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_EQ(text_of(found[i].text), each["ranked"][i][0].get<std::string>()) << i;
      EXPECT_NEAR(found[i].probability, each["ranked"][i][1].get<double>(), as_floats);
    }
    EXPECT_EQ(text_of(read_greedily(columns, 3)), each["greedy"].get<std::string>());
  }
}

TEST_F(Golden, WithFormatsOnlyThoseTexts) {
  for (const Json& each : document["ctc"]) {
    const auto formats = TextFormats::parse({.formats = each["formats"], .words = {}}, symbols);
    ASSERT_TRUE(formats.ok()) << formats.error().message;
    const auto found = read_beam(columns_of(each["columns"]), 3, *formats, beam_width, most_readings);
    ASSERT_EQ(found.size(), each["formed"].size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_EQ(text_of(found[i].text), each["formed"][i][0].get<std::string>()) << i;
  }
}

TEST_F(Golden, CharactersAreWeighedAgainstWhatElseCouldStandThere) {
  for (const Json& each : document["ctc"]) {
    const auto found = character_probabilities(columns_of(each["columns"]), 3, symbols_of(each["ranked"][0][0].get<std::string>()));
    ASSERT_EQ(found.size(), each["characters"].size());
    for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], each["characters"][i].get<double>(), 1e-4);
  }
}

TEST_F(Golden, FiguresAreCountedAsTheyAreDefined) {
  for (const Json& each : document["figures"]) {
    const auto meter = read_meter({"A", "B", "C", "1", "2", "3", "京"});
    std::vector<std::int64_t> all;
    for (const Json& picture : each["pictures"]) {
      Case one;
      one.truth.text = picture["truth"].get<std::string>();
      for (const Json& reading : picture["readings"])
        one.prediction.readings.push_back({reading[0].get<std::string>(), reading[1].get<double>(), {}});
      if (!one.prediction.readings.empty()) one.prediction.text = one.prediction.readings[0].text;
      meter->add(one);
      all.push_back(std::ssize(all));
    }
    const Figures got = meter->figures(all, false);
    EXPECT_EQ(got.count, each["figures"]["count"].get<std::int64_t>());
    expect_values(got.values, each["figures"]["values"], 1e-12);
  }
}

// ---- worked by hand ----

TEST(Ctc, OneSymbolInTwoColumnsByHand) {
  // Columns (A .6, blank .4) and (A .5, blank .5): "A" is AA, A-, -A = .3 + .3 + .2; "" is -- = .2; AA needs three columns.
  const std::vector<float> columns{0.6F, 0.4F, 0.5F, 0.5F};
  EXPECT_NEAR(std::exp(log_probability(columns, 1, Symbols{0})), 0.8, 1e-7);
  EXPECT_NEAR(std::exp(log_probability(columns, 1, Symbols{})), 0.2, 1e-7);
  EXPECT_EQ(log_probability(columns, 1, Symbols{0, 0}), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(least_columns(Symbols{0, 0}), 3);
  EXPECT_EQ(least_columns(Symbols{0, 1, 0}), 3);
  EXPECT_EQ(least_columns(Symbols{}), 0);
}

TEST(Ctc, TheMostProbableTextIsNotThatOfTheMostProbableWay) {
  // Two columns (A .4, blank .6): the best way is -- at .36, but "A" has .64.
  const std::vector<float> columns{0.4F, 0.6F, 0.4F, 0.6F};
  EXPECT_TRUE(read_greedily(columns, 1).empty());
  const auto found = read_beam(columns, 1, {}, 4, 5);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_THAT(found[0].text, ElementsAre(0));
  EXPECT_NEAR(found[0].probability, 0.64, 1e-6);
}

TEST(TextFormats, SeparatorsThatAreNoSymbolAreLeftOut) {
  const std::vector<std::string> plate{"A", "B", "7", "8", "京"};
  const auto formats = TextFormats::parse({.formats = {"AA-99", "[京]9?"}, .words = {"B7"}}, plate);
  ASSERT_TRUE(formats.ok()) << formats.error().message;
  const auto fits = [&](const std::vector<std::int32_t>& text) {
    auto open = formats->all();
    for (std::size_t i = 0; i < text.size(); ++i) open = formats->after(open, i, text[i]);
    return formats->complete(open, text.size());
  };
  EXPECT_TRUE(fits({0, 1, 2, 3}));
  EXPECT_FALSE(fits({0, 1, 2}));
  EXPECT_FALSE(fits({0, 2, 2, 3}));
  EXPECT_TRUE(fits({4, 2, 0}));
  EXPECT_TRUE(fits({1, 2}));
  EXPECT_FALSE(fits({}));
}

TEST(TextFormats, SaysWhatCannotBeRead) {
  const auto refusal = [](const std::string& format) {
    return TextFormats::parse({.formats = {format}, .words = {}}, symbols).error().message;
  };
  EXPECT_THAT(refusal("A["), HasSubstr("does not close"));
  EXPECT_THAT(refusal("A[]"), HasSubstr("nothing in it"));
  EXPECT_THAT(refusal("A\\"), HasSubstr("ends in"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("\\Z1"), HasSubstr("no symbol"));
  EXPECT_THAT(refusal("--"), HasSubstr("separators"));
  EXPECT_THAT(TextFormats::parse({.formats = {}, .words = {"AZ"}}, symbols).error().message, HasSubstr("no symbol"));
  EXPECT_THAT(TextFormats::of_metadata({{text_formats_key, "{"}}, symbols).error().message, HasSubstr(text_formats_key));
}

TEST(ReadMetrics, AlignsAsCheaplyAsCanBe) {
  using Pair = std::pair<std::string, std::string>;
  EXPECT_THAT(align_texts("京A12", "京A2"), ElementsAre(Pair{"京", "京"}, Pair{"A", "A"}, Pair{"1", ""}, Pair{"2", "2"}));
  EXPECT_THAT(align_texts("AB", "AXB"), ElementsAre(Pair{"A", "A"}, Pair{"", "X"}, Pair{"B", "B"}));
  EXPECT_THAT(align_texts("", "A"), ElementsAre(Pair{"", "A"}));
}

TEST(ReadMetrics, TellsWhatIsTakenForWhat) {
  const auto meter = read_meter(symbols);
  for (const auto& [truth, answer] : {std::pair{"A1", "B1"}, {"A1", "B1"}, {"B", "B1"}, {"AB", "AB"}})
    meter->add({.truth = {.text = truth}, .prediction = {.text = answer, .readings = {{answer, 0.5, {}}}}});
  const Figures figures = meter->figures(std::vector<std::int64_t>{0, 1, 2, 3}, true);
  ASSERT_EQ(figures.confusions.size(), 2U);
  EXPECT_EQ(figures.confusions[0].given, "A");
  EXPECT_EQ(figures.confusions[0].answered, "B");
  EXPECT_EQ(figures.confusions[0].count, 2);
  EXPECT_EQ(figures.confusions[1].given, "");
  EXPECT_NEAR(figures.per_class[0].values.at("recall"), 1.0 / 3, 1e-12);
  EXPECT_NEAR(figures.per_class[1].values.at("precision"), 0.5, 1e-12);
  EXPECT_EQ(meter->wrongness(3), 0);
  EXPECT_EQ(meter->wrongness(0), 0.5);
  EXPECT_EQ(meter->wrongness(2), 1);
}

// ---- the row ----

struct DecodeRead : testing::Test {
  // Two columns a picture: A then 1, nearly sure.
  Outputs outputs{{"columns", Tensor::of<float>({1, 2, 4}, std::vector<float>{0.97F, 0.01F, 0.01F, 0.01F, 0.01F, 0.01F, 0.95F, 0.03F})}};
  std::map<std::string, std::string> metadata;
  image::Placement placement;
  Result<std::vector<Annotation>> decode() const { return decode_read(outputs, std::span(&placement, 1), {symbols, metadata}); }
};

TEST_F(DecodeRead, GivesTextCandidatesAndCharacters) {
  const auto answers = decode();
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  const Annotation& answer = answers->at(0);
  EXPECT_EQ(answer.text, "A1");
  ASSERT_EQ(answer.readings.size(), most_readings);
  EXPECT_NEAR(answer.readings[0].probability, 0.97 * 0.95, 1e-6);
  ASSERT_EQ(answer.readings[0].characters.size(), 2U);
  EXPECT_GT(answer.readings[0].characters[0], 0.95);
  EXPECT_TRUE(answer.readings[1].characters.empty());
  EXPECT_GT(answer.readings[0].probability, answer.readings[1].probability);
}

TEST_F(DecodeRead, KeepsToTheFormatsOfThePackage) {
  metadata[text_formats_key] = R"({"formats":["A"],"words":[]})";
  const auto answers = decode();
  ASSERT_TRUE(answers.ok()) << answers.error().message;
  EXPECT_EQ(answers->at(0).text, "A");
  EXPECT_LT(answers->at(0).readings[0].probability, 0.1) << "a text that had to be bent to a format is not sure";
  metadata[text_formats_key] = R"({"formats":["AAA"],"words":[]})";
  EXPECT_TRUE(decode()->at(0).readings.empty()) << "three symbols do not fit into two columns";
}

TEST_F(DecodeRead, RefusesWhatIsNoDistribution) {
  outputs["columns"].values<float>()[0] = std::nanf("");
  EXPECT_THAT(decode().error().message, HasSubstr("column 0 of picture 0"));
  outputs["columns"].values<float>()[0] = 3;
  EXPECT_THAT(decode().error().message, HasSubstr("no distribution"));
  EXPECT_THAT(decode_read(outputs, {}, {symbols, metadata}).error().message, HasSubstr("0 pictures"));
  const std::vector<std::string> fewer{"A", "B"};
  EXPECT_EQ(decode_read(outputs, std::span(&placement, 1), {fewer, metadata}).error().kind, ErrorKind::unsupported);
  EXPECT_EQ(check_read_outputs({{"columns", {Dtype::f32, {-1, 24, 4}}}}, 3).ok(), true);
  EXPECT_THAT(check_read_outputs({{"boxes", {Dtype::f32, {-1, 24, 4}}}}, 3).error().message, HasSubstr("no output \"columns\""));
  EXPECT_THAT(check_read_outputs({{"columns", {Dtype::f32, {-1, 24, 5}}}}, 3).error().message, HasSubstr("3 symbols"));
}

TEST(DrawRead, PutsTheTextUnderThePicture) {
  image::Image picture{.width = 94, .height = 24, .channels = 1, .pixels = std::vector<std::uint8_t>(94 * 24, 100)};
  draw_read(picture, {.text = "A1", .readings = {{"A1", 0.75, {}}}}, symbols);
  EXPECT_EQ(picture.channels, 3);
  EXPECT_GE(picture.width, 320);
  EXPECT_GT(picture.height, 24 * 4);
  const int high = picture.height;
  draw_read_truth(picture, {.text = "A1"}, symbols);
  EXPECT_GT(picture.height, high);
}

}  // namespace
}  // namespace sightline::tasks
