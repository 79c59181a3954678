// A frozen backbone looks at pictures at the sides that its head wants, in one package.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/files.h"
#include "base/random.h"
#include "image/image.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

// Stripes of three pixels in noise, lying or standing: at a third of the side all is grey.
void draw_fine_stripes(const std::string& folder, int count) {
  for (const bool standing : {false, true}) {
    const std::string class_folder = folder + (standing ? "/standing" : "/lying");
    ASSERT_TRUE(make_directories(class_folder).ok());
    for (int i = 0; i < count; ++i) {
      Random random(standing ? 1 : 2, static_cast<std::uint64_t>(i));
      image::Image picture{.width = 288, .height = 288, .channels = 1, .pixels = std::vector<std::uint8_t>(288 * 288)};
      for (int y = 0; y < 288; ++y)
        for (int x = 0; x < 288; ++x) {
          const double wave = (standing ? x : y) % 3 == 0 ? 60 : -30;
          picture.pixels[static_cast<std::size_t>(y * 288 + x)] =
              static_cast<std::uint8_t>(std::clamp(128 + wave + 25 * random.normal(), 0.0, 255.0));
        }
      ASSERT_TRUE(write_file(class_folder + "/" + std::to_string(i) + ".png", image::encode_png(picture)).ok());
    }
  }
}

Json figures_of(const Json& built, const std::string& step) {
  for (const Json& each : built.at("steps"))
    if (each.at("step") == step) return each.at("figures");
  return {};
}

TEST(Looks, ALargerSideIsTakenWhereItShowsMoreAndStaysAwayWhereItIsPinned) {
  const TemporaryFolder folder;
  draw_fine_stripes(folder / "set", 40);
  const std::string demand = "name: stripes\ntask: classify\ndata: {path: set}\nbackbone: {name: sight-s, freeze: backbone}\n";
  write_text(folder / "stripes.yaml", demand);
  const Outcome built = sightline({"build", "stripes.yaml", "--json"}, {.folder = folder.path()});
  ASSERT_EQ(built.exit_code, 0) << built.err << built.out;
  const Json head = figures_of(built.json(), "head");
  EXPECT_GT(head.at("side").get<int>(), 96);
  EXPECT_THAT(head.at("cuts").get<std::string>(), HasSubstr("pixels together"));
  EXPECT_GT(figures_of(built.json(), "evaluate").at("top1").get<double>(), 0.9);
  // The package answers pictures as its features said (evaluate compared sixteen), and alone too.
  const Outcome asked = sightline({"predict", "stripes", folder / "set/lying/3.png", "--json"}, {.folder = folder.path()});
  ASSERT_EQ(asked.exit_code, 0) << asked.err;
  EXPECT_THAT(asked.out, HasSubstr("lying"));
  const Outcome again = sightline({"build", "stripes.yaml", "--json"}, {.folder = folder.path()});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_FALSE(again.json().at("ran_anything").get<bool>());

  // Under another name: against the release of the first it would be refused.
  write_text(folder / "pinned.yaml", "name: pinned" + demand.substr(demand.find('\n')) + "recipe: {side: 96}\n");
  const Outcome pinned = sightline({"build", "pinned.yaml", "--json"}, {.folder = folder.path()});
  ASSERT_EQ(pinned.exit_code, 0) << pinned.err << pinned.out;
  EXPECT_EQ(figures_of(pinned.json(), "head").at("side"), 96);
  EXPECT_LT(figures_of(pinned.json(), "evaluate").at("top1").get<double>(), figures_of(built.json(), "evaluate").at("top1").get<double>());
}

}  // namespace
}  // namespace sightline::scenario
