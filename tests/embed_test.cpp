// From a folder of identities to a released embedder, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

constexpr int side = 32;

// Somebody: a pattern of sixteen coloured fields; each picture of it is moved and noisy.
image::Image draw(int who, int number) {
  Random pattern(81, static_cast<std::uint64_t>(who)), random(82, static_cast<std::uint64_t>(who), static_cast<std::uint64_t>(number));
  std::array<std::array<double, 3>, 16> fields{};
  for (auto& field : fields)
    for (double& channel : field) channel = pattern.uniform(20, 235);
  const int dx = static_cast<int>(random.below(5)) - 2, dy = static_cast<int>(random.below(5)) - 2;
  image::Image picture{.width = side, .height = side, .channels = 3};
  for (int y = 0; y < side; ++y)
    for (int x = 0; x < side; ++x) {
      const int row = std::clamp((y + dy) * 4 / side, 0, 3), column = std::clamp((x + dx) * 4 / side, 0, 3);
      for (const double channel : fields[static_cast<std::size_t>(row * 4 + column)])
        picture.pixels.push_back(static_cast<std::uint8_t>(std::clamp(channel + 10 * random.normal(), 0.0, 255.0)));
    }
  return picture;
}

constexpr int people = 60;

void draw_set(const std::string& folder) {
  for (int who = 0; who < people; ++who)
    for (int number = 1; number <= (who % 5 == 4 ? 1 : 4); ++number)
      write_text(fmt::format("{}/p{:02}/p{:02}_{:04}.png", folder, who, who, number), image::encode_png(draw(who, number)));
}

// Two folds of ten pairs of either kind among the first 24; nobody is in both.
std::string pairs() {
  std::string text = "2\t10\n";
  for (int fold = 0; fold < 2; ++fold) {
    for (int i = 0; i < 10; ++i) {
      int who = 12 * fold + i;
      if (who % 5 == 4) --who;  // has one picture only
      text += fmt::format("p{:02}\t{}\t{}\n", who, 1 + i % 2, 3 + i % 2);
    }
    for (int i = 0; i < 10; ++i) text += fmt::format("p{:02}\t1\tp{:02}\t1\n", 12 * fold + i, 12 * fold + (i + 1) % 12);
  }
  return text;
}

std::string demand_with(int epochs, const std::string& more = "") {
  return fmt::format(
      "name: people\ntask: embed\ndata: {{path: set, pairs: pairs.txt}}\nsplit: {{test_folds: [1, 2], validation: 0.2}}\n"
      "budget: {{epochs: {}}}\nrecipe: {{side: 32, batch: 16, backbone: plain-s, augmentation: none, learning_rate: 0.003}}\n"
      "limits: {{cores: 1}}\nseed: 3\n{}",
      epochs, more);
}

struct Embed : testing::Test {
  TemporaryFolder place;
  void SetUp() override {
    draw_set(place / "set");
    write_text(place / "pairs.txt", pairs());
  }
  Outcome run(const std::vector<std::string>& words, RunOptions options = {}) const {
    options.folder = place.path();
    return sightline(words, options);
  }
  Json build(const std::string& demand, const std::string& workspace = "workspace") const {
    write_text(place / "d.yaml", demand);
    const Outcome outcome = run({"build", "d.yaml", "--json", "--workspace", workspace});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

double cosine(const Json& a, const Json& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i].get<double>() * b[i].get<double>();
  return sum;
}

TEST_F(Embed, BuildsAReleasedEmbedderThatTellsPeopleApartWhomItNeverSaw) {
  const Json built = build(demand_with(12, "compress: {precision: auto, tolerance: 5}\n"));
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json shown = run({"show", "people", "--json", "--workspace", "workspace"}).json();
  EXPECT_GT(shown.at("figures").at("verification_accuracy").get<double>(), 0.8) << shown.at("figures").dump();
  // Somebody new, twice, and somebody else.
  write_text(place / "new/a1.png", image::encode_png(draw(900, 1)));
  write_text(place / "new/a2.png", image::encode_png(draw(900, 2)));
  write_text(place / "new/b1.png", image::encode_png(draw(901, 1)));
  const Outcome said = run({"predict", "people", "new", "--json", "--drawn", "alike", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answers = said.json().at("answers");
  ASSERT_EQ(answers.size(), 3U);
  const auto embedding = [&](std::size_t i) { return answers.at(i).at("embedding"); };
  EXPECT_NEAR(cosine(embedding(0), embedding(0)), 1, 1e-4);
  EXPECT_GT(cosine(embedding(0), embedding(1)), cosine(embedding(0), embedding(2)));
  const auto sheet = image::read_image(place / answers.at(0).at("drawn").get<std::string>());
  ASSERT_TRUE(sheet.ok());
  EXPECT_GT(sheet->width, 3 * 128);
  EXPECT_THAT(run({"predict", "people", "new", "--workspace", "workspace"}).out, HasSubstr("most like"));
  // The same protocol elsewhere; nobody's name ships.
  const Json measured = run({"eval", "people", "set", "--pairs", "pairs.txt", "--json", "--workspace", "workspace"}).json();
  EXPECT_EQ(measured.at("evaluation").at("measured").at("pictures"), 48 * 4 + 12);
  EXPECT_FALSE(measured.at("evaluation").at("pairs").empty());
  const std::string folder = measured.at("model").at("path");
  EXPECT_EQ(read_text(folder + "/1/model.onnx").find("p07"), std::string::npos);
  EXPECT_THAT(read_text(place / "workspace/reports/people.html"), HasSubstr("Worst pairs"));
  // Nothing to do the second time; another pair is another listing.
  EXPECT_FALSE(build(demand_with(12, "compress: {precision: auto, tolerance: 5}\n")).at("ran_anything").get<bool>());
}

TEST_F(Embed, AKilledBuildEndsInTheSamePackage) {
  const std::string whole = build(demand_with(2), "whole").at("package");
  for (const char* step : {"import", "split", "recipe", "pack", "train", "package", "evaluate"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build(demand_with(2), "torn").at("package"), whole);
}

TEST_F(Embed, RefusesWhatDoesNotGoTogether) {
  const auto refusal = [&](const std::string& demand) {
    write_text(place / "d.yaml", demand);
    const Outcome outcome = run({"build", "d.yaml"});
    EXPECT_NE(outcome.exit_code, 0) << demand;
    return outcome.err;
  };
  EXPECT_THAT(refusal("name: odd\ntask: embed\ndata: {path: set, pairs: pairs.txt}\n"),
              HasSubstr("d.yaml:3: data.pairs and split.test_folds"));
  EXPECT_THAT(refusal("name: odd\ntask: classify\ndata: {path: set, pairs: pairs.txt}\nsplit: {test_folds: [1]}\n"),
              HasSubstr("task: embed"));
  EXPECT_THAT(refusal("name: odd\ntask: embed\ndata: {path: set}\nrecipe: {loss: focal}\n"), HasSubstr("arcface"));
  EXPECT_THAT(refusal("name: odd\ntask: classify\ndata: {path: set}\nrecipe: {loss: arcface}\n"), HasSubstr("focal"));
  EXPECT_THAT(refusal("name: odd\ntask: embed\ndata: {path: set, pairs: pairs.txt}\nsplit: {test_folds: [3]}\n"),
              HasSubstr("no pair is of fold 3"));
  write_text(place / "pairs.txt", "1\t1\np00\t1\t2\np00\t1\tnobody\t1\n");
  EXPECT_THAT(refusal("name: odd\ntask: embed\ndata: {path: set, pairs: pairs.txt}\nsplit: {test_folds: [1]}\n"),
              HasSubstr("pairs.txt:3: nobody is called \"nobody\""));
}

}  // namespace
}  // namespace sightline::scenario
