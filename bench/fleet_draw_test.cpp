// Tasks of a fleet: no two alike, the same for the same seed, nothing of a test known from training.
#include "bench/fleet_draw.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"

namespace sightline::bench {
namespace {

constexpr const char* data = "../shared/data";

// `classes` classes of 60 pictures; three pictures a group, groups that run across classes; every part as wished.
Source generated(const std::string& name, std::size_t classes, Part part) {
  Source source{.name = name, .industry = "tests", .pictures = {}, .facets = {{"kind", {}, -1}}};
  for (std::size_t c = 0; c < classes; ++c) {
    Class& each = source.facets[0].classes.emplace_back(Class{fmt::format("c{}", c), {}});
    for (std::size_t i = 0; i < 60; ++i) {
      const Part its = part == Part::free ? part : i % 2 == 0 ? Part::train : Part::test;
      // The first picture of each class belongs to one group of all classes.
      const std::string group = i == 0 && part == Part::free ? "shared" : fmt::format("{}-{}-{}", c, static_cast<int>(its), i / 3);
      each.pictures.push_back(source.pictures.size());
      source.pictures.push_back({fmt::format("{}/{}-{}.png", name, c, i), "", {}, {}, group, its});
    }
  }
  return source;
}

// What is told apart, whatever it is called.
std::set<std::set<std::size_t>> grouping_of(const Task& task) {
  std::set<std::set<std::size_t>> grouping;
  for (const Label& label : task.labels) grouping.insert({label.classes.begin(), label.classes.end()});
  return grouping;
}

void expect_sound(const std::vector<Source>& sources, const std::vector<Task>& tasks) {
  std::set<std::string> names;
  std::set<std::tuple<std::size_t, std::size_t, std::set<std::set<std::size_t>>>> groupings;
  for (const Task& task : tasks) {
    const Source& source = sources[task.source];
    EXPECT_TRUE(names.insert(task.name).second) << task.name;
    EXPECT_LE(task.name.size(), 64U);
    EXPECT_TRUE(groupings.emplace(task.source, task.facet, grouping_of(task)).second) << task.name << " is another task's twin";
    std::map<std::string, std::set<bool>> sides;
    std::set<std::size_t> pictures, classes;
    std::set<std::string> labels;
    std::size_t sum = 0, class_sum = 0;
    for (const Label& label : task.labels) {
      EXPECT_TRUE(labels.insert(label.name).second) << task.name << ": " << label.name;
      EXPECT_EQ(label.name.find_first_of(",\"\n"), std::string::npos) << label.name;
      classes.insert(label.classes.begin(), label.classes.end());
      class_sum += label.classes.size();
      for (const bool test : {false, true}) {
        const auto& chosen = test ? label.test : label.train;
        EXPECT_GE(chosen.size(), least_pictures) << task.name;
        EXPECT_LE(chosen.size(), most_pictures) << task.name;
        sum += chosen.size();
        for (const std::size_t i : chosen) {
          pictures.insert(i);
          sides[source.pictures[i].group].insert(test);
          EXPECT_NE(source.pictures[i].part, test ? Part::train : Part::test) << task.name << ": a given part was not kept";
          const bool its_own = std::any_of(label.classes.begin(), label.classes.end(), [&](std::size_t c) {
            const auto& of_class = source.facets[task.facet].classes[c].pictures;
            return std::find(of_class.begin(), of_class.end(), i) != of_class.end();
          });
          EXPECT_TRUE(its_own) << task.name << ": a picture of another class";
        }
      }
    }
    EXPECT_EQ(pictures.size(), sum) << task.name << ": a picture twice";
    EXPECT_EQ(classes.size(), class_sum) << task.name << ": a class under two labels";
    for (const auto& [group, side] : sides) EXPECT_EQ(side.size(), 1U) << task.name << ": group " << group << " is on both sides";
  }
}

TEST(FleetDrawTest, TasksDifferAndLeakNothing) {
  const std::vector<Source> sources{generated("free", 12, Part::free), generated("given", 6, Part::train)};
  const auto tasks = draw_tasks(sources, 500, 7);
  EXPECT_EQ(tasks.size(), 500U);
  expect_sound(sources, tasks);
  std::map<Kind, int> kinds;
  for (const Task& task : tasks) ++kinds[task.kind];
  EXPECT_GT(kinds[Kind::classes], 50);
  EXPECT_GT(kinds[Kind::one], 5);
  EXPECT_GT(kinds[Kind::groups], 50);
}

TEST(FleetDrawTest, TheSameSeedGivesTheSameTasksAndAnotherSeedOthers) {
  const std::vector<Source> sources{generated("free", 12, Part::free)};
  const auto tables = [&](std::uint64_t seed) {
    std::string text;
    for (const Task& task : draw_tasks(sources, 60, seed)) text += task.name + "\n" + write_table(sources[0], task);
    return text;
  };
  EXPECT_EQ(tables(7), tables(7));
  EXPECT_NE(tables(7), tables(8));
}

// Six classes have 6 + 280 ways of two groups, and 56 subsets of two to five; two classes have one. No source gives more than 400.
TEST(FleetDrawTest, AnExhaustedSourceGivesAllItHasAndALargeOneItsShare) {
  EXPECT_EQ(draw_tasks({generated("six", 6, Part::free)}, 3000, 7).size(), 342U);
  EXPECT_EQ(draw_tasks({generated("two", 2, Part::free)}, 3000, 7).size(), 1U);
  EXPECT_EQ(draw_tasks({generated("many", 20, Part::train)}, 3000, 7).size(), 400U);
}

TEST(FleetDrawTest, StrangersPlayTheOthersAndNothingElse) {
  Source source = generated("faces", 12, Part::free);
  source.facets[0].others = 3;
  const auto tasks = draw_tasks({source}, 200, 7);
  std::size_t ones = 0;
  for (const Task& task : tasks) {
    for (const Label& label : task.labels) {
      const bool strangers = std::find(label.classes.begin(), label.classes.end(), 3U) != label.classes.end();
      if (strangers) {
        EXPECT_EQ(task.kind, Kind::one);
        EXPECT_EQ(label.classes.size(), 1U);
        ++ones;
      }
    }
  }
  EXPECT_GT(ones, 5U);
}

TEST(FleetDrawTest, AClassWithTooFewPicturesMakesNoTask) {
  Source source = generated("small", 2, Part::train);
  source.facets[0].classes[1].pictures.resize(2 * least_pictures - 1);
  EXPECT_TRUE(draw_tasks({source}, 10, 7).empty());
}

TEST(FleetDrawTest, AWholeSetIsSplitByGroupsAndKeepsItsTestPart) {
  for (const Part part : {Part::free, Part::train}) {
    const Source source = generated("set", 5, part);
    const auto splits = split_whole(source, 7);
    ASSERT_EQ(splits.size(), source.pictures.size());
    std::map<std::string, std::set<std::size_t>> sides;
    std::array<double, 3> counts{};
    for (const auto& [i, split] : splits) {
      sides[source.pictures[i].group].insert(split);
      counts.at(split) += 1.0 / static_cast<double>(splits.size());
      if (part != Part::free) {
        EXPECT_EQ(split == 2, source.pictures[i].part == Part::test);
      }
    }
    for (const auto& [group, side] : sides) EXPECT_EQ(side.size(), 1U) << group;
    EXPECT_NEAR(counts[2], part == Part::free ? 0.2 : 0.5, 0.03);
    EXPECT_NEAR(counts[1], part == Part::free ? 0.16 : 0.1, 0.03);
    EXPECT_EQ(splits, split_whole(source, 7));
  }
}

// Frames of Fray and Break: six exposures, one that is missing, and a tile that begins at once after another.
TEST(FleetSourcesTest, TheExposuresOfATileAreOneGroup) {
  const std::vector<std::string> names{"exp4_num_20426.jpg",  "exp1_num_20362.jpg",  "exp2_num_20390.jpg",  "exp3_num_20409.jpg",
                                       "exp1_num_116934.jpg", "exp2_num_116961.jpg", "exp6_num_117060.jpg", "exp3_num_77583.jpg",
                                       "exp1_num_117100.jpg", "exp2_num_218000.jpg"};
  const auto groups = tiles_of(names);
  ASSERT_EQ(groups.size(), names.size());
  EXPECT_EQ(std::set<std::string>(groups.begin(), groups.begin() + 4).size(), 1U);
  EXPECT_EQ(std::set<std::string>(groups.begin() + 4, groups.begin() + 7).size(), 1U);
  EXPECT_EQ(std::set<std::string>(groups.begin(), groups.end()).size(), 5U);
}

TEST(FleetSourcesTest, TrainingPicturesThatShareATestPicturesGroupAreLeftOut) {
  Source source = generated("given", 2, Part::train);
  ASSERT_EQ(source.pictures[0].part, Part::train);
  ASSERT_EQ(source.pictures[1].part, Part::test);
  source.pictures[0].group = source.pictures[1].group;
  drop_known(source);
  EXPECT_EQ(source.known, 1U);
  const auto& left = source.facets[0].classes[0].pictures;
  EXPECT_EQ(left.size(), 59U);
  EXPECT_EQ(left.front(), 1U);
}

// Patches of grey, which a perceptual hash tells apart.
image::Image patches(std::uint64_t seed) {
  image::Image coarse{16, 16, 1, std::vector<std::uint8_t>(256)};
  Random random(seed);
  for (auto& value : coarse.pixels) value = static_cast<std::uint8_t>(random.below(256));
  return image::resize(coarse, 64, 64);
}

TEST(FleetSourcesTest, NearDuplicatesBecomeOneGroupAndConflictingLabelsGo) {
  Source source{.name = "made", .industry = "tests", .pictures = {}, .facets = {{"kind", {{"a", {}}, {"b", {}}}, -1}}};
  const auto add = [&](std::size_t c, image::Image pixels) {
    const std::string name = fmt::format("{}", source.pictures.size());
    source.facets[0].classes[c].pictures.push_back(source.pictures.size());
    source.pictures.push_back({name, name, {}, std::move(pixels), name, Part::free});
  };
  for (std::uint64_t i = 0; i < 8; ++i) add(i % 2, patches(i));
  const image::Image again = patches(2);
  const std::string jpeg = image::encode_jpeg(again, 90);
  add(0, *image::decode(std::as_bytes(std::span(jpeg))));  // 8: 2 re-encoded
  add(1, patches(4));                                      // 9: 4 under another class
  ASSERT_TRUE(close_leaks(source).ok());
  EXPECT_EQ(source.conflicting, 2U);
  EXPECT_EQ(source.facets[0].classes[0].pictures, (std::vector<std::size_t>{0, 2, 6, 8}));
  EXPECT_EQ(source.facets[0].classes[1].pictures, (std::vector<std::size_t>{1, 3, 5, 7}));
  EXPECT_EQ(source.pictures[8].group, source.pictures[2].group);
  std::set<std::string> groups;
  for (const std::size_t i : {0, 1, 2, 3, 5, 6, 7}) groups.insert(source.pictures[i].group);
  EXPECT_EQ(groups.size(), 7U);
}

TEST(FleetSourcesTest, ARealSetIsFreeOfLeaksAndItsPicturesAreWritten) {
  if (!is_directory(data)) GTEST_SKIP() << "there is no " << data;
  std::vector<Source> sources;
  for (const char* name : {"tiles", "blood"}) {
    auto source = collect_source(name, absolute_path(data), "", 7);
    ASSERT_TRUE(source.ok()) << source.error().message;
    sources.push_back(*std::move(source));
  }
  const auto tasks = draw_tasks(sources, 40, 7);
  ASSERT_EQ(tasks.size(), 40U);
  expect_sound(sources, tasks);
  const TemporaryFolder pool;
  for (std::size_t t = 0; t < 2; ++t) {
    const Task& task = tasks[t];
    const Source& source = sources[task.source];
    const std::vector<std::size_t>& which = task.labels[0].train;
    ASSERT_TRUE(write_pictures(source, which, pool.path()).ok());
    for (const std::size_t i : which) {
      const auto written = image::read_image(pool / source.pictures[i].path);
      ASSERT_TRUE(written.ok()) << written.error().message;
      if (source.pictures[i].box.width > 0) {
        EXPECT_EQ(written->width, source.pictures[i].box.width);
        EXPECT_GE(std::min(written->width, written->height), 24);
      }
    }
  }
}

}  // namespace
}  // namespace sightline::bench
