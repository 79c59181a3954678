#include "dataset/corrections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/temporary_folder.h"

namespace sightline::dataset {
namespace {

using testing::HasSubstr;

Manifest three_pictures() {
  Manifest manifest;
  manifest.classes = {"glass", "metal"};
  manifest.samples = {{.path = "a.png", .digest = "1", .label = 0},
                      {.path = "b.png", .digest = "2", .label = 0},
                      {.path = "c.png", .digest = "3", .label = 1}};
  return manifest;
}

struct Corrections : testing::Test {
  TemporaryFolder folder;
  std::string path = corrections_path(folder.path(), "waste");
  Correction add(const std::string& name, const std::string& digest, const std::string& from, const std::string& to) const {
    auto added = add_correction(path, {.path = name, .digest = digest, .from = from, .to = to, .who = "ann"});
    EXPECT_TRUE(added.ok()) << added.error().message;
    return *added;
  }
  std::vector<Correction> in_force() const { return corrections_in_force(*read_corrections(path)); }
};

TEST_F(Corrections, ChangeTheLabelsOfTheNextImport) {
  EXPECT_TRUE(in_force().empty()) << "no file is no corrections";
  EXPECT_EQ(add("b.png", "2", "glass", "metal").revision, 1);
  Manifest manifest = three_pictures();
  const Corrected corrected = apply_corrections(in_force(), manifest);
  EXPECT_EQ(corrected.changed, 1);
  EXPECT_TRUE(corrected.left_out.empty());
  EXPECT_EQ(manifest.samples[1].label, 1);
  EXPECT_EQ(manifest.samples[0].label, 0);
}

TEST_F(Corrections, UndoGivesTheEarlierWordBackAndLosesNoRevision) {
  add("b.png", "2", "glass", "metal");
  add("b.png", "2", "metal", "glass");
  ASSERT_EQ(in_force().size(), 1U);
  EXPECT_EQ(in_force()[0].to, "glass");
  ASSERT_TRUE(undo_correction(path, "bob").ok());
  ASSERT_EQ(in_force().size(), 1U);
  EXPECT_EQ(in_force()[0].to, "metal");
  ASSERT_TRUE(undo_correction(path, "bob").ok());
  EXPECT_TRUE(in_force().empty());
  EXPECT_EQ(undo_correction(path, "bob").error().kind, ErrorKind::not_found);
  EXPECT_EQ(read_corrections(path)->size(), 4U);
}

TEST_F(Corrections, APictureIsCorrectedAgainWhereAnImportHasAppliedTheFirst) {
  add("b.png", "2", "glass", "metal");
  Manifest manifest = three_pictures();
  manifest.classes.emplace_back("paper");
  EXPECT_EQ(add("b.png", "2", "metal", "paper").from, "glass") << "what the data say";
  const Corrected corrected = apply_corrections(in_force(), manifest);
  EXPECT_TRUE(corrected.left_out.empty());
  EXPECT_EQ(manifest.samples[1].label, 2);
}

TEST_F(Corrections, ACertainRevisionCanBeUndone) {
  add("a.png", "1", "glass", "metal");
  add("b.png", "2", "glass", "metal");
  ASSERT_TRUE(undo_correction(path, "", 1).ok());
  ASSERT_EQ(in_force().size(), 1U);
  EXPECT_EQ(in_force()[0].path, "b.png");
  EXPECT_EQ(undo_correction(path, "", 1).error().kind, ErrorKind::not_found) << "it is undone already";
}

TEST_F(Corrections, WhatNoLongerFitsIsLeftOutInWords) {
  add("a.png", "another", "glass", "metal");
  add("b.png", "2", "glass", "wood");
  add("c.png", "3", "paper", "glass");
  add("d.png", "4", "glass", "metal");
  Manifest manifest = three_pictures();
  const Corrected corrected = apply_corrections(in_force(), manifest);
  EXPECT_EQ(corrected.changed, 0);
  EXPECT_THAT(corrected.left_out, testing::ElementsAre(HasSubstr("another picture now"), HasSubstr("no class \"wood\""),
                                                       HasSubstr("say \"metal\" now"), HasSubstr("no such picture")));
}

TEST_F(Corrections, PicturesWithObjectsAreLeftAlone) {
  add("a.png", "1", "glass", "metal");
  Manifest manifest = three_pictures();
  manifest.samples[2].annotation.objects.emplace_back();
  EXPECT_EQ(apply_corrections(in_force(), manifest).left_out.size(), 1U);
  EXPECT_EQ(manifest.samples[0].label, 0);
}

TEST_F(Corrections, DigestFollowsWhatIsInForceAndNotWhoSaidItWhen) {
  EXPECT_EQ(digest_of_corrections(in_force()), "");
  add("a.png", "1", "glass", "metal");
  const Digest one = digest_of_corrections(in_force());
  add("b.png", "2", "glass", "metal");
  EXPECT_NE(digest_of_corrections(in_force()), one);
  ASSERT_TRUE(undo_correction(path, "").ok());
  EXPECT_EQ(digest_of_corrections(in_force()), one);
}

TEST_F(Corrections, ADamagedFileNamesItsLine) {
  add("a.png", "1", "glass", "metal");
  const std::string text = *read_file(path);
  ASSERT_TRUE(write_file(path, text + "{\"revision\":2\n").ok());
  EXPECT_THAT(read_corrections(path).error().message, HasSubstr("waste.jsonl:2"));
  ASSERT_TRUE(write_file(path, text + text).ok());
  EXPECT_THAT(read_corrections(path).error().message, HasSubstr("revision 1 stands where 2 belongs"));
  EXPECT_EQ(add_correction(path, {.path = "b"}).error().kind, ErrorKind::invalid_data) << "a damaged file is not written over";
}

}  // namespace
}  // namespace sightline::dataset
