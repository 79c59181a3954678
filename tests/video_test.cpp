// Short clips in class folders, from the demand to a release that is asked about a clip.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>

#include "image/drawn_video.h"
#include "scenario.h"

namespace sightline::scenario {
namespace {

using testing::HasSubstr;

struct VideoLine : testing::Test {
  TemporaryFolder place;
  void clip(const std::string& name, const std::string& source, int kind, double seconds) const {
    std::filesystem::create_directories(std::filesystem::path(place / name).parent_path());
    image::run_ffmpeg(
        fmt::format("-f lavfi -i {} -t {} -vf \"hue=h={},noise=alls=12:allf=t:all_seed={}\" -pix_fmt yuv420p -c:v libx264 -g 25", source,
                    seconds, 25 * kind, kind),
        place / name);
  }
  Outcome run(const std::vector<std::string>& words) const {
    RunOptions options;
    options.folder = place.path();
    return sightline(words, options);
  }
};

TEST_F(VideoLine, FromClipsToAReleaseThatIsAskedAboutAClip) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  constexpr int clips = 8;
  for (int i = 0; i < clips; ++i) {
    clip(fmt::format("films/card/{}.mp4", i), "testsrc=size=96x96:rate=25", i, 3);
    clip(fmt::format("films/cells/{}.mkv", i), fmt::format("cellauto=size=96x96:rate=25:rule={}", i % 2 == 0 ? 110 : 30), i, 3);
  }
  write_text(place / "films/card/notes.mp4", "these are notes");
  write_text(place / "demand.yaml",
             "name: clips\ntask: classify\ndata: {path: films, frames: {every_s: 0.5}, max_rejected: 0.05}\n"
             "target: {metric: top1, at_least: 0.8}\nrecipe: {side: 32}\nbudget: {epochs: 4}\nseed: 3\n");

  const Outcome built = run({"build", "demand.yaml", "--json"});
  ASSERT_EQ(built.exit_code, 0) << built.err << built.out;
  ASSERT_EQ(run({"data", "split", "demand.yaml", "--out", "manifest.jsonl"}).exit_code, 0);
  std::map<std::string, std::set<std::string>> splits;
  bool notes = false;
  const std::string text = read_text(place / "manifest.jsonl");
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    const Json line = Json::parse(text.substr(begin, end - begin));
    if (line.contains("split"))
      splits[line["path"].get<std::string>().substr(0, line["path"].get<std::string>().find('#'))].insert(line["split"]);
    notes = notes || (line.contains("reason") && line["path"] == "card/notes.mp4");
    begin = end + 1;
  }
  EXPECT_EQ(splits.size(), 2U * clips);
  for (const auto& [video, of_video] : splits) EXPECT_EQ(of_video.size(), 1U) << video;
  EXPECT_TRUE(notes);

  clip("new.mp4", "testsrc=size=96x96:rate=25", 3, 4);
  const Outcome answered = run({"predict", "clips", "new.mp4", "--json"});
  ASSERT_EQ(answered.exit_code, 0) << answered.err;
  const Json answers = answered.json()["answers"];
  ASSERT_EQ(answers.size(), 4U);
  for (std::size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i]["time_s"], static_cast<double>(i));
    EXPECT_EQ(answers[i]["classes"][0]["name"], "card");
  }
  clip("later/card/x.mp4", "testsrc=size=96x96:rate=25", 2, 3);
  clip("later/cells/y.mkv", "cellauto=size=96x96:rate=25:rule=110", 1, 3);
  const Outcome evaluated = run({"eval", "clips", "later", "--every", "0.5", "--json"});
  ASSERT_EQ(evaluated.exit_code, 0) << evaluated.err;
  EXPECT_THAT(evaluated.out, HasSubstr("\"top1\""));
}

}  // namespace
}  // namespace sightline::scenario
