// From drawn lines of text to a released reader, as a person builds, asks, kills and repeats it.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>

#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

std::string demand_with(int epochs, const std::string& more = "") {
  return fmt::format(
      "name: plates\ntask: read\ndata: {{path: set}}\nbudget: {{epochs: {}}}\nrecipe: {{batch: 16}}\nlimits: {{cores: 2}}\nseed: 3\n{}",
      epochs, more);
}

// Two letters and two digits in the built-in font, dark on light: what can be learned in seconds. Drawn plates take minutes.
void write_tags(const std::string& folder, int count, std::uint64_t seed) {
  Random random(seed);
  std::string table = "path,text\n";
  for (int i = 0; i < count; ++i) {
    std::string text;
    for (const char* among : {"ABCDE", "ABCDE", "01234", "01234"}) text += among[random.below(5)];
    const auto ground = static_cast<std::uint8_t>(170 + random.below(80));
    image::Image tag{.width = 96, .height = 32, .channels = 3, .pixels = std::vector<std::uint8_t>(std::size_t{96} * 32 * 3, ground)};
    const auto shift = [&](std::uint64_t most) { return static_cast<int>(random.below(most)); };
    image::draw_text(tag, shift(12), shift(6), text, 0.7, {ground, ground, ground});
    const std::string file = fmt::format("images/{:03}.png", i);
    write_text(folder + "/" + file, image::encode_png(tag));
    table += fmt::format("{},{}\n", file, text);
  }
  write_text(folder + "/labels.csv", table);
}

struct Read : testing::Test {
  TemporaryFolder place;
  Outcome run(const std::vector<std::string>& words, RunOptions options = {}) const {
    options.folder = place.path();
    return sightline(words, options);
  }
  void draw(int count, const char* seed = "1", const char* folder = "set") const {
    const Outcome outcome = run({"data", "draw", folder, "--layout", "br", "--count", std::to_string(count), "--seed", seed});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  }
  Json build(const std::string& demand, const std::string& workspace = "workspace") const {
    write_text(place / "d.yaml", demand);
    const Outcome outcome = run({"build", "d.yaml", "--json", "--workspace", workspace});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
    return outcome.json();
  }
};

TEST_F(Read, BuildsAReleasedReaderThatReadsWhatItNeverSaw) {
  write_tags(place / "set", 240, 1);
  const std::string demand = demand_with(60, "read: {formats: [AA-99]}\ntarget: {metric: character_accuracy, at_least: 0.5}\n");
  const Json built = build(demand);
  ASSERT_TRUE(built.at("released").get<bool>()) << built.dump(1);
  const Json figures = run({"show", "plates", "--json", "--workspace", "workspace"}).json().at("figures");
  EXPECT_GT(figures.at("character_accuracy").get<double>(), 0.5) << figures.dump();
  // Tags that were never seen: the format stands in the package.
  write_tags(place / "fresh", 40, 2);
  const Outcome said = run({"predict", "plates", "fresh/images", "--json", "--drawn", "found", "--workspace", "workspace"});
  ASSERT_EQ(said.exit_code, 0) << said.err;
  const Json answers = said.json().at("answers");
  ASSERT_EQ(answers.size(), 40U);
  for (const Json& answer : answers) {
    const auto text = answer.at("text").get<std::string>();
    if (text.empty()) continue;  // nothing that was followed had the format
    ASSERT_EQ(text.size(), 4U) << answer.dump();
    EXPECT_TRUE(std::isupper(static_cast<unsigned char>(text[1])) != 0 && std::isdigit(static_cast<unsigned char>(text[2])) != 0) << text;
    EXPECT_EQ(answer.at("candidates").at(0).at("text"), text);
    EXPECT_EQ(answer.at("candidates").at(0).at("probability"), answer.at("confidence"));
    EXPECT_EQ(answer.at("characters").size(), 4U);
  }
  const auto drawn = image::read_image(place / answers.at(0).at("drawn").get<std::string>());
  ASSERT_TRUE(drawn.ok());
  EXPECT_GE(drawn->width, 320);
  const Json measured = run({"eval", "plates", "fresh", "--json", "--workspace", "workspace"}).json();
  EXPECT_EQ(measured.at("evaluation").at("measured").at("pictures"), 40);
  EXPECT_GT(measured.at("evaluation").at("measured").at("values").at("character_accuracy").get<double>(), 0.5);
  // Nothing to do the second time.
  EXPECT_FALSE(build(demand).at("ran_anything").get<bool>());
}

TEST_F(Read, AKilledBuildEndsInTheSamePackage) {
  draw(60);
  // Right here and there, which any text of the form is: what is never right is not released.
  const std::string demand = demand_with(2, "read: {formats: [AA-99]}\ntarget: {metric: character_accuracy}\n");
  const std::string whole = build(demand, "whole").at("package");
  for (const char* step : {"import", "recipe", "pack", "train", "package", "compress", "evaluate"}) {
    const Outcome killed =
        run({"build", "d.yaml", "--json", "--workspace", "torn"}, {.environment = {std::string("SIGHTLINE_FAULT=step:") + step}});
    EXPECT_EQ(killed.exit_code, 137) << step << killed.out << killed.err;
  }
  EXPECT_EQ(build(demand, "torn").at("package"), whole);
}

TEST_F(Read, RefusesWhatDoesNotGoTogetherBeforeAnythingRuns) {
  draw(12);
  const auto refusal = [&](const std::string& more) {
    write_text(place / "d.yaml", demand_with(1, more));
    const Outcome outcome = run({"build", "d.yaml"});
    EXPECT_NE(outcome.exit_code, 0) << more;
    return outcome.err;
  };
  EXPECT_THAT(refusal("target: {metric: top1}\n"), HasSubstr("text_accuracy"));
  EXPECT_THAT(refusal("read: {formats: [\"A[\"]}\n"), HasSubstr("d.yaml:8"));
  EXPECT_THAT(refusal("decide: {thresholds: per_class}\n"), HasSubstr("decide"));
  EXPECT_THAT(refusal("read: {formats: [\"[\xC3\xA4]9\"]}\n"), HasSubstr("no symbol"));
  write_text(place / "d.yaml", "name: odd\ntask: read\ndata: {path: set}\nrecipe: {side: 40}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("take 48"));
  write_text(place / "d.yaml", "name: odd\ntask: read\ndata: {path: set}\nrecipe: {augmentation: flip}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("mirrored"));
  write_text(place / "d.yaml", "name: odd\ntask: classify\ndata: {path: set}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("write task: read"));
  write_text(place / "d.yaml", "name: odd\ntask: classify\ndata: {path: set}\nread: {formats: [AA]}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("leave read out"));
  draw_shapes(place / "shapes", 2, 12, 16, 4);
  write_text(place / "d.yaml", "name: odd\ntask: read\ndata: {path: shapes}\n");
  EXPECT_THAT(run({"build", "d.yaml"}).err, HasSubstr("columns path and text"));
}

}  // namespace
}  // namespace sightline::scenario
