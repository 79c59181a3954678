// `sightline data` on pictures with objects.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "app/cli/call_for_test.h"
#include "base/files.h"
#include "base/json.h"
#include "base/temporary_folder.h"
#include "image/image.h"

namespace sightline::cli {
namespace {

using ::testing::HasSubstr;

class DataWithObjects : public ::testing::Test {
 protected:
  void SetUp() override {
    for (int i = 0; i < 12; ++i) {
      image::Image picture{20, 10, 3, {}};
      for (int p = 0; p < 600; ++p) picture.pixels.push_back(static_cast<std::uint8_t>((p * (i + 7) * 31) % 251));
      add(fmt::format("JPEGImages/{}.png", i), image::encode_png(picture));
      const std::string object =
          "<object><name>cell</name><truncated>1</truncated><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></"
          "object>";
      const std::string flat =
          "<object><name>cell</name><bndbox><xmin>3</xmin><ymin>3</ymin><xmax>3</xmax><ymax>8</ymax></bndbox></object>";
      add(fmt::format("Annotations/{}.xml", i),
          fmt::format(
              "<annotation><filename>{}.png</filename><size><width>20</width><height>10</height><depth>3</depth></size>\n{}{}</annotation>",
              i, i < 11 ? object : "", i == 0 ? "\n" + flat : ""));
    }
  }
  void add(const std::string& name, const std::string& content) const {
    ASSERT_TRUE(make_directories(std::filesystem::path(folder_ / ("voc/" + name)).parent_path().string()).ok());
    ASSERT_TRUE(write_file(folder_ / ("voc/" + name), content).ok());
  }
  std::string voc() const { return folder_ / "voc"; }
  TemporaryFolder folder_;
};

TEST_F(DataWithObjects, CheckCountsObjectsAndListsBadBoxes) {
  const Json document = call({"data", "check", voc(), "--json"}).json();
  EXPECT_EQ(document["format"], "voc");
  EXPECT_EQ(document["images"], 12);
  EXPECT_EQ(document["objects"]["cell"], 11);
  EXPECT_EQ(document["rejected"][0]["path"], "Annotations/0.xml");
  EXPECT_THAT(document["rejected"][0]["reason"].get<std::string>(), HasSubstr("cell 3,3 to 3,8 has no area (line 3)"));
  const Outcome text = call({"data", "check", voc()});
  EXPECT_THAT(text.out, HasSubstr("images without objects"));
  const Outcome stopped = call({"data", "check", voc(), "--bad-boxes", "stop"});
  EXPECT_NE(stopped.code, 0);
  EXPECT_THAT(stopped.err, HasSubstr("data.bad_boxes is stop"));
  EXPECT_THAT(call({"data", "check", voc(), "--label-errors"}).err, HasSubstr("these have objects"));
}

TEST_F(DataWithObjects, ShowListsTheObjects) {
  const Json document = call({"data", "show", voc(), "JPEGImages/5.png", "--side", "64", "--json"}).json();
  EXPECT_EQ(document["input"], "64×64×3");
  EXPECT_EQ(document["objects"], Json::parse(R"([{"class": "cell", "box": [1, 2, 9, 8], "crowd": false, "difficult": false}])"));
  EXPECT_THAT(call({"data", "show", voc(), "5"}).out, HasSubstr("cell  left 1, top 2, right 9, bottom 8"));
}

TEST_F(DataWithObjects, ConvertWritesANewFolderAndSaysWhatIsLost) {
  const std::string coco = folder_ / "coco", yolo = folder_ / "yolo";
  const Json document = call({"data", "convert", voc(), coco, "--to", "coco", "--json"}).json();
  EXPECT_EQ(document["images"], 12);
  EXPECT_EQ(document["objects"], 12) << "what has no area is still what the file says";
  EXPECT_EQ(document["losses"], Json::array());
  EXPECT_EQ(call({"data", "check", coco, "--json"}).json()["objects"]["cell"], 11);

  const Outcome strict = call({"data", "convert", coco, yolo, "--to", "yolo", "--strict"});
  EXPECT_NE(strict.code, 0);
  EXPECT_THAT(strict.err, HasSubstr("the mark \"truncated\" of 11 objects"));
  EXPECT_FALSE(std::filesystem::exists(yolo));
  const Outcome told = call({"data", "convert", coco, yolo, "--to", "yolo"});
  EXPECT_EQ(told.code, 0) << told.err;
  EXPECT_THAT(told.out, HasSubstr("the id of 12 pictures"));
  EXPECT_EQ(call({"data", "check", yolo, "--json"}).json()["objects"]["cell"], 11);

  EXPECT_THAT(call({"data", "convert", voc(), coco, "--to", "coco"}).err, HasSubstr("holds something already"));
  EXPECT_THAT(call({"data", "convert", voc(), "--to", "coco"}).err, HasSubstr("wants a folder to write"));
  EXPECT_THAT(call({"data", "convert", voc(), folder_ / "new"}).err, HasSubstr("--to coco, yolo or voc"));
}

}  // namespace
}  // namespace sightline::cli
