#include "app/web/data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/web/call_for_test.h"
#include "base/files.h"
#include "dataset/audit.h"
#include "image/image.h"

namespace sightline::web {
namespace {

using testing::HasSubstr;

// Four pictures of "shapes", the last split's manifest, an audit with a duplicate and one suspect.
struct Data : testing::Test {
  SmallWorkspace small;
  Digest manifest_digest;
  std::vector<net::Route> routes;
  const std::string base = "/v1/workspace/data/shapes";

  void SetUp() override {
    dataset::Manifest manifest;
    manifest.root = small.folder / "pictures";
    manifest.format = "folders";
    manifest.classes = {"round", "square"};
    ASSERT_TRUE(make_directories(manifest.root).ok());
    for (int i = 0; i < 4; ++i) {
      const std::string name = std::to_string(i) + ".png";
      ASSERT_TRUE(write_file(manifest.root + "/" + name, image::encode_png({8, 8, 1, std::vector<std::uint8_t>(64, 40)})).ok());
      dataset::Sample sample{.path = name, .digest = sha256_of(name), .label = i / 2, .width = 8, .height = 8, .channels = 1};
      sample.split = i == 3 ? dataset::Split::test : dataset::Split::train;
      manifest.samples.push_back(sample);
    }
    dataset::Audit audit;
    audit.findings = {{.kind = "exact_duplicate", .sentence = "0.png and 1.png are the same", .samples = {0, 1}, .score = 1}};
    const std::vector<dataset::Suspect> suspects{{.sample = 2, .given = 1, .suggested = 0, .score = 0.9, .likely = true}};
    auto workspace = store::Workspace::open(small.root);
    auto log = line::StepLog::open(workspace->step_log_path());
    manifest_digest = *workspace->blobs().put(dataset::pack_manifest(manifest));
    const auto add = [&](const std::string& step, const std::string& output, const Digest& digest) {
      line::StepRecord record{.pipeline = "shapes", .step = step, .key = sha256_of(step)};
      if (step != "split") record.inputs = {{"manifest", manifest_digest}};
      record.outputs = {{output, digest}};
      ASSERT_TRUE(log->append(record).ok());
    };
    add("split", "manifest", manifest_digest);
    add("audit", "audit", *workspace->blobs().put(json_text(to_json(audit))));
    add("label-errors", "suspects", *workspace->blobs().put(json_text(to_json(suspects))));
    routes = workspace_routes(small.site());
  }
  std::string fix(int number, const std::string& label) const {
    return json_text({{"manifest", manifest_digest}, {"number", number}, {"label", label}});
  }
};

TEST_F(Data, ClassesSplitsAndFindingsAreCounted) {
  const Json json = json_of(call(routes, "GET", base));
  EXPECT_EQ(json.at("manifest"), manifest_digest);
  EXPECT_EQ(json.at("counts"), Json::parse("[[2,1],[0,0],[0,1]]"));
  EXPECT_EQ(json.at("pictures"), Json({3, 0, 1}));
  EXPECT_EQ(json.at("likely"), 1);
  EXPECT_EQ(json.at("findings").at(0).at("kind"), "exact_duplicate");
  EXPECT_EQ(json.at("labelled"), true);
}

TEST_F(Data, SamplesAreFiltered) {
  EXPECT_EQ(json_of(call(routes, "GET", base + "/samples")).at("total"), 4);
  EXPECT_EQ(json_of(call(routes, "GET", base + "/samples?label=0")).at("total"), 2);
  EXPECT_EQ(json_of(call(routes, "GET", base + "/samples?split=test")).at("samples").at(0).at("path"), "3.png");
  EXPECT_EQ(json_of(call(routes, "GET", base + "/samples?search=2.p")).at("total"), 1);
  EXPECT_EQ(json_of(call(routes, "GET", base + "/samples?from=3")).at("samples").size(), 1U);
  EXPECT_EQ(call(routes, "GET", base + "/samples?split=all").status, 400);
  EXPECT_EQ(call(routes, "GET", base + "/samples?from=x").status, 400);
}

TEST_F(Data, FindingsAndSuspectsComeWithTheirPictures) {
  const Json findings = json_of(call(routes, "GET", base + "/findings?kind=exact_duplicate"));
  EXPECT_EQ(findings.at("findings").at(0).at("samples").at(1).at("path"), "1.png");
  EXPECT_EQ(call(routes, "GET", base + "/findings?kind=ugly").status, 400);
  const Json suspects = json_of(call(routes, "GET", base + "/suspects"));
  EXPECT_EQ(suspects.at("suspects").at(0).at("given"), "square");
  EXPECT_EQ(suspects.at("suspects").at(0).at("suggested"), "round");
}

TEST_F(Data, ACorrectionIsARevisionAndCanBeTakenBack) {
  const Json added = json_of(call(routes, "POST", base + "/corrections", fix(2, "round")));
  EXPECT_EQ(added.at("revision"), 1);
  EXPECT_EQ(added.at("path"), "2.png");
  EXPECT_EQ(added.at("from"), "square");
  EXPECT_EQ(json_of(call(routes, "GET", base + "/samples?corrected=1")).at("samples").at(0).at("corrected"), "round");
  EXPECT_EQ(json_of(call(routes, "GET", base)).at("corrections"), 1);
  EXPECT_EQ(json_of(call(routes, "POST", base + "/corrections:undo", "")).at("undoes"), 1);
  const Json after = json_of(call(routes, "GET", base + "/corrections"));
  EXPECT_TRUE(after.at("in_force").empty());
  EXPECT_EQ(after.at("revisions").size(), 2U);
  EXPECT_EQ(call(routes, "POST", base + "/corrections:undo", "").status, 404);
}

TEST_F(Data, WhatCannotBeCorrectedIsRefused) {
  EXPECT_EQ(call(routes, "POST", base + "/corrections", "[").status, http_status_of(ErrorKind::invalid_data));
  EXPECT_THAT(call(routes, "POST", base + "/corrections", fix(2, "oval")).body, HasSubstr("no class \\\"oval\\\""));
  EXPECT_THAT(call(routes, "POST", base + "/corrections", fix(99, "round")).body, HasSubstr("number"));
  const Json stale{{"manifest", std::string(64, 'b')}, {"number", 2}, {"label", "round"}};
  EXPECT_EQ(call(routes, "POST", base + "/corrections", json_text(stale)).status, 409);
  EXPECT_EQ(call(routes, "GET", "/v1/workspace/data/signs").status, 404);
  EXPECT_FALSE(path_exists(small.root + "/corrections"));
}

TEST_F(Data, PicturesAreNamedByNumberAndReduced) {
  const std::string path = "/v1/workspace/manifests/" + manifest_digest + "/pictures/";
  const net::Response picture = call(routes, "GET", path + "1?side=16");
  EXPECT_EQ(picture.status, 200);
  EXPECT_EQ(picture.content_type, "image/png");
  const auto decoded = image::decode(std::as_bytes(std::span(picture.body)));
  ASSERT_TRUE(decoded.ok());
  EXPECT_EQ(decoded->width, 8) << "a small picture stays as it is";
  EXPECT_EQ(call(routes, "GET", path + "1?side=4").status, 400);
  EXPECT_EQ(call(routes, "GET", path + "4").status, 404);
  EXPECT_EQ(call(routes, "GET", path + "..%2Fx").status, 400);
}

}  // namespace
}  // namespace sightline::web
