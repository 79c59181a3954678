// The verbs that use a model: predict, export, bench, eval, modules, doctor; and how a model is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "app/cli/call_for_test.h"
#include "base/files.h"
#include "base/json.h"
#include "base/random.h"
#include "demand/demand.h"
#include "evaluation/decisions.h"
#include "graph/builder.h"
#include "image/drawn_video.h"
#include "package/package.h"
#include "store/workspace.h"

namespace sightline::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

image::Image grey(int level) {
  return {.width = 8, .height = 8, .channels = 1, .pixels = std::vector<std::uint8_t>(64, static_cast<std::uint8_t>(level))};
}

// Answers "bright" or "dark" by the mean grey level, so that the tests know the right answer.
graph::Graph brightness_graph() {
  graph::Builder builder(1);
  const std::string x = builder.image_input(8, 8, 1, {127.5F}, {50.0F});
  const std::string level = builder.flatten(builder.global_average_pool(x));
  const std::string weight = builder.constant("weight", Tensor::of<float>({2, 1}, {-2.0F, 2.0F}));
  const std::string scores = builder.node("Gemm", {level, weight}, {{"transB", std::int64_t{1}}});
  builder.rename(builder.softmax(scores), "probabilities");
  return *builder.finish({"probabilities"}, {});
}

// One workspace with two releases, a package folder, a bare network and some pictures, made once for all tests.
class Use : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = fs::temp_directory_path() / ("sightline-use-test-" + std::to_string(::getpid()));
    fs::remove_all(root_);
    fs::create_directories(root_ / "photos");
    package::Contents contents;
    contents.name = "light";
    contents.graph = brightness_graph();
    contents.labels = {"dark", "bright"};
    contents.preprocessing = {.width = 8, .height = 8, .channels = 1};
    contents.golden = {{"dim", grey(90)}};
    const auto written = package::write_package(contents, at("light"));
    ASSERT_TRUE(written.ok()) << written.error().message;
    ASSERT_TRUE(write_file(at("bare.onnx"), *graph::serialize_onnx(brightness_graph())).ok());
    ASSERT_TRUE(write_file(at("photos/day.png"), image::encode_png(grey(240))).ok());
    ASSERT_TRUE(write_file(at("photos/night.jpg"), image::encode_jpeg(grey(5))).ok());
    ASSERT_TRUE(write_file(at("photos/notes.txt"), "not a picture").ok());
    ASSERT_TRUE(write_file(at("broken.png"), image::encode_png(grey(9)).substr(0, 40)).ok());
    for (const char* split : {"train", "test"}) {
      for (int i = 0; i < 6; ++i) {
        fs::create_directories(root_ / "data" / split / "dark");
        fs::create_directories(root_ / "data" / split / "bright");
        ASSERT_TRUE(write_file(at(fmt::format("data/{}/dark/{}.png", split, i)), image::encode_png(grey(10 + i))).ok());
        // One of the bright test pictures is dark.
        const int level = split == std::string("test") && i == 0 ? 30 : 200 + i;
        ASSERT_TRUE(write_file(at(fmt::format("data/{}/bright/{}.png", split, i)), image::encode_png(grey(level))).ok());
      }
    }
    auto workspace = store::Workspace::open(at("workspace"));
    ASSERT_TRUE(workspace.ok()) << workspace.error().message;
    const auto digest = workspace->blobs().put_tree(at("light"));
    ASSERT_TRUE(digest.ok());
    ASSERT_TRUE(workspace->registry().add_release({.name = "brightness", .version = 1, .package = *digest, .in_force = true}).ok());
  }
  static void TearDownTestSuite() { fs::remove_all(root_); }

  static std::string at(const std::string& name) { return (root_ / name).string(); }
  static Outcome call(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.end(), {"--workspace", at("workspace")});
    return cli::call(words, input);
  }

  static inline fs::path root_;
};

TEST_F(Use, PredictAnswersForEveryKindOfModel) {
  for (const std::string& model : {std::string("brightness"), std::string("brightness:1"), at("light"), at("light/1/model.onnx")}) {
    const Outcome outcome = call({"predict", model, at("photos/day.png"), at("photos/night.jpg")});
    EXPECT_EQ(outcome.code, 0) << model << outcome.err;
    EXPECT_THAT(outcome.err, IsEmpty()) << model;
    EXPECT_THAT(outcome.out, AllOf(::testing::ContainsRegex("day.png +bright +0\\.9"), ::testing::ContainsRegex("night.jpg +dark +0\\.9")));
  }
  const Outcome bare = call({"predict", at("bare.onnx"), at("photos/day.png")});
  EXPECT_EQ(bare.code, 0);
  EXPECT_THAT(bare.err, HasSubstr("numbered from 0"));
  EXPECT_THAT(bare.out, ::testing::ContainsRegex("day.png +1 +0\\.9"));
}

TEST_F(Use, PredictReadsFoldersStandardInputAndTopK) {
  const Json all = call({"predict", at("light"), at("photos"), "--json", "--top", "2"}).json();
  ASSERT_EQ(all["answers"].size(), 2U);
  EXPECT_EQ(all["answers"][0]["file"], at("photos/day.png"));
  EXPECT_EQ(all["answers"][0]["classes"][0]["name"], "bright");
  EXPECT_EQ(all["answers"][0]["classes"].size(), 2U);
  EXPECT_EQ(all["left_out"], Json{at("photos/notes.txt")});
  EXPECT_EQ(all["failed"], Json::array());

  const Outcome piped = call({"predict", at("light"), "-", "--json"}, image::encode_png(grey(250)));
  EXPECT_EQ(piped.json()["answers"][0]["classes"][0]["name"], "bright");

  const Outcome lines = call({"predict", at("light"), at("photos"), "--jsonl"});
  std::istringstream stream(lines.out);
  std::size_t count = 0;
  for (std::string line; std::getline(stream, line); ++count) EXPECT_TRUE(Json::parse(line).contains("classes")) << line;
  EXPECT_EQ(count, 2U);
}

TEST_F(Use, PredictAnswersForFramesOfVideosWithTheirTimes) {
  SIGHTLINE_SKIP_WITHOUT_FFMPEG;
  fs::create_directories(at("films"));
  image::run_ffmpeg(image::brightening(20) + image::h264, at("films/dawn.mp4"));
  ASSERT_TRUE(write_file(at("films/lost.mp4"), "no film").ok());
  ASSERT_TRUE(write_file(at("films/still.png"), image::encode_png(grey(240))).ok());
  const Outcome outcome = call({"predict", at("light"), at("films"), "--every", "4", "--json"});
  EXPECT_EQ(outcome.code, 3);
  const Json document = outcome.json();
  ASSERT_EQ(document["answers"].size(), 6U);
  for (int i = 0; i < 5; ++i) {
    const Json& answer = document["answers"][static_cast<std::size_t>(i)];
    EXPECT_EQ(answer["file"], at("films/dawn.mp4"));
    EXPECT_EQ(answer["time_s"], 4.0 * i);
    EXPECT_EQ(answer["classes"][0]["name"], image::shade_of_frame(40 * i) < 120 ? "dark" : "bright") << i;
  }
  EXPECT_EQ(document["answers"][5]["file"], at("films/still.png"));
  EXPECT_FALSE(document["answers"][5].contains("time_s"));
  ASSERT_EQ(document["failed"].size(), 1U);
  EXPECT_EQ(document["failed"][0]["file"], at("films/lost.mp4"));
  EXPECT_THAT(document["failed"][0]["error"].get<std::string>(), HasSubstr("not a video that can be read"));

  const Outcome table = call({"predict", at("light"), at("films/dawn.mp4")});
  EXPECT_EQ(table.code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(::testing::ContainsRegex("dawn.mp4#t=0.000 +dark"), ::testing::ContainsRegex("dawn.mp4#t=19.000 +bright")));
  EXPECT_EQ(call({"predict", at("light"), at("films/dawn.mp4"), "--every", "0"}).code, 2);
  EXPECT_EQ(call({"predict", at("light"), at("films/none.mp4")}).code, 3);
}

TEST_F(Use, PredictSaysWhatAModelDecidesAndItsSets) {
  package::Contents contents;
  contents.name = "sure";
  contents.graph = brightness_graph();
  package::Decisions decisions{.thresholds = {0.9, 0.9}, .precision = 0.95, .from = "validation", .samples = 100};
  decisions.sets = package::Conformal{.coverage = 0.9, .least = {0.3, 0.3}, .samples = 100};
  package::write_decisions(decisions, contents.graph);
  contents.labels = {"dark", "bright"};
  contents.preprocessing = {.width = 8, .height = 8, .channels = 1};
  contents.golden = {{"dim", grey(90)}};
  const auto written = package::write_package(contents, at("sure"));
  ASSERT_TRUE(written.ok()) << written.error().message;
  ASSERT_TRUE(write_file(at("dusk.png"), image::encode_png(grey(120))).ok());

  const Json document = call({"predict", at("sure"), at("photos/day.png"), at("dusk.png"), "--json"}).json();
  const Json &day = document["answers"][0], &dusk = document["answers"][1];
  EXPECT_EQ(day["decision"], "bright");
  EXPECT_EQ(day["set"], Json{"bright"});
  EXPECT_EQ(dusk["decision"], nullptr);
  EXPECT_EQ(dusk["set"], (Json{"dark", "bright"}));
  const std::string text = call({"predict", at("sure"), at("dusk.png")}).out;
  EXPECT_THAT(text, AllOf(HasSubstr("decision"), HasSubstr("(not sure)"), HasSubstr("dark, bright")));

  const Json figures = call({"eval", at("sure"), at("data"), "--json"}).json()["evaluation"]["decisions"];
  EXPECT_EQ(figures["samples"], 12);
  EXPECT_NEAR(figures["coverage"], 11.0 / 12, 1e-9);

  // A package without them answers as it always did.
  const Json usual = call({"predict", at("light"), at("dusk.png"), "--json"}).json();
  EXPECT_FALSE(usual["answers"][0].contains("decision") || usual["answers"][0].contains("set"));
  EXPECT_THAT(call({"predict", at("light"), at("dusk.png")}).out, Not(HasSubstr("decision")));
  EXPECT_EQ(call({"eval", at("light"), at("data"), "--json"}).json()["evaluation"]["decisions"], nullptr);
}

TEST_F(Use, PredictListsWhatCannotBeReadAndAnswersTheRest) {
  const Outcome outcome = call({"predict", at("light"), at("broken.png"), at("photos/day.png"), at("gone.png"), at("photos/notes.txt")});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("day.png"), Not(HasSubstr("broken.png"))));
  EXPECT_THAT(outcome.err,
              AllOf(HasSubstr("broken.png"), HasSubstr("gone.png"), HasSubstr("notes.txt"), HasSubstr("3 files could not be read")));

  const Outcome json = call({"predict", at("light"), at("broken.png"), at("photos/day.png"), "--json"});
  EXPECT_EQ(json.code, 3);
  EXPECT_EQ(json.json()["answers"].size(), 1U);
  EXPECT_EQ(json.json()["failed"][0]["file"], at("broken.png"));
  EXPECT_EQ(call({"predict", at("light"), "-"}, "").code, 3);
}

TEST_F(Use, AModelThatIsNotThereIsExplained) {
  const Outcome misspelt = call({"predict", "brightnes", at("photos")});
  EXPECT_EQ(misspelt.code, 4);
  EXPECT_THAT(misspelt.err, AllOf(HasSubstr("did you mean \"brightness\"?"), HasSubstr("no package folder or .onnx file brightnes")));
  EXPECT_THAT(call({"predict", "brightness:7", at("photos")}).err, AllOf(HasSubstr("not as version 7"), HasSubstr("there is 1")));
  EXPECT_THAT(call({"predict", at("photos"), at("photos")}).err, HasSubstr("neither config.pbtxt nor 1/model.onnx"));
  EXPECT_EQ(call({"predict", at("broken.png"), at("photos")}).code, 3);  // a file, but no network
  std::istringstream in;
  std::ostringstream out, err;
  EXPECT_EQ(run({"predict", "light", "x.png", "--workspace", at("nowhere")}, in, out, err), 4);
  EXPECT_THAT(err.str(), HasSubstr("there is no workspace"));
  EXPECT_FALSE(fs::exists(root_ / "nowhere"));
}

TEST_F(Use, PredictRefusesImpossibleOptions) {
  EXPECT_EQ(call({"predict", at("light"), at("photos"), "--top", "0"}).code, 2);
  EXPECT_EQ(call({"predict", at("light"), at("photos"), "--top", "many"}).code, 2);
  EXPECT_EQ(call({"predict", at("light")}).code, 2);
  EXPECT_EQ(call({"predict", at("light"), at("photos"), "--threads", "-1"}).code, 2);
  EXPECT_THAT(call({"predict", at("light"), at("photos"), "--tpo", "3"}).err, HasSubstr("did you mean \"--top\"?"));
}

TEST_F(Use, ExportCopiesThePackageWholeAndNeverOverwrites) {
  const Outcome outcome = call({"export", "brightness", at("out/light"), "--onnx", at("out/light.onnx")});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* name : {"config.pbtxt", "labels.txt", "1/model.onnx", "1/lineage.json", "1/golden/golden.json", "1/golden/0.png"})
    EXPECT_EQ(*read_file(at(std::string("out/light/") + name)), *read_file(at(std::string("light/") + name)));
  EXPECT_EQ(*read_file(at("out/light.onnx")), *read_file(at("light/1/model.onnx")));
  EXPECT_EQ(call({"predict", at("out/light"), at("photos/day.png")}).code, 0);

  EXPECT_EQ(call({"export", "brightness", at("out/light")}).code, 7);
  EXPECT_EQ(call({"export", "brightness", at("out/light") + "/"}).code, 7);
  EXPECT_EQ(call({"export", "brightness", "--onnx", at("out/light.onnx")}).code, 7);
  EXPECT_EQ(call({"export", "brightness"}).code, 2);
  EXPECT_EQ(call({"export", at("bare.onnx"), at("out/bare")}).code, 5);
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / "out"), {}), 2);
}

TEST_F(Use, ExportOfAnAlteredPackageLeavesNothing) {
  fs::copy(root_ / "light", root_ / "altered", fs::copy_options::recursive);
  ASSERT_TRUE(write_file(at("altered/1/golden/0.png"), image::encode_png(grey(200))).ok());
  const Outcome outcome = call({"export", at("altered"), at("from-altered")});
  EXPECT_EQ(outcome.code, 3);
  EXPECT_THAT(outcome.err, HasSubstr("golden sample"));
  EXPECT_FALSE(fs::exists(root_ / "from-altered"));
}

TEST_F(Use, BenchMeasuresBothBatchSizes) {
  const Json figures = call({"bench", at("light"), "--json", "--ops", "--runs", "20", "--threads", "1"}).json();
  ASSERT_EQ(figures["batches"].size(), 2U);
  for (const Json& batch : figures["batches"]) {
    EXPECT_EQ(batch["runs"], 20);
    EXPECT_EQ(batch["warm_up"], 50);
    EXPECT_GT(batch["p50_ms"], 0);
    EXPECT_LE(batch["p50_ms"], batch["p95_ms"]);
    EXPECT_LE(batch["p95_ms"], batch["p99_ms"]);
  }
  EXPECT_EQ(figures["threads"], 1);
  EXPECT_GT(figures["operators"].size(), 0U);
  const Outcome text = call({"bench", at("bare.onnx"), "--runs", "10", "--ops"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, AllOf(HasSubstr("p95 ms"), HasSubstr("memory: weights"), HasSubstr("operator")));
  EXPECT_EQ(call({"bench", at("light"), "--runs", "1"}).code, 2);
}

TEST_F(Use, BenchSweepsPrecisions) {
  graph::Builder builder(2);
  const std::string x = builder.relu(builder.conv(builder.input("x", Dtype::f32, {-1, 3, 12, 12}), 8, {.bias = true}));
  ASSERT_TRUE(write_file(at("conv.onnx"), *graph::serialize_onnx(*builder.finish({builder.conv(x, 8, {.bias = true})}, {}))).ok());
  const std::vector<std::string> command{"bench", at("conv.onnx"), "--runs", "10", "--batch", "1", "--threads", "1"};
  std::vector<std::string> sweep = command;
  sweep.insert(sweep.end(), {"--precision", "f32,int8", "--json", "--ops"});
  const Json figures = call(sweep).json();
  ASSERT_EQ(figures["precisions"].size(), 2U);
  EXPECT_EQ(figures["precisions"][0]["precision"], "f32");
  EXPECT_EQ(figures["precisions"][1]["precision"], "int8");
  for (const Json& each : figures["precisions"]) {
    EXPECT_GT(each["batches"][0]["p50_ms"], 0);
    EXPECT_GT(each["peak_gflops_per_second"], 0);
    double flops = 0;
    for (const Json& step : each["operators"]) flops += step["flops"].get<double>();
    EXPECT_GE(flops, 2.0 * 12 * 12 * 8 * 9 * (3 + 8));  // the two convolutions' products
  }
  std::vector<std::string> wrong = command;
  wrong.insert(wrong.end(), {"--precision", "f32,int9"});
  const Outcome refused = call(wrong);
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.err, HasSubstr("\"int9\" is not one of f32, bf16, int8"));
}

TEST_F(Use, CompressWritesIntegersThatAgreeAndJudgesThem) {
  graph::Builder builder(3);
  const std::string x = builder.image_input(8, 8, 1, {127.5F}, {50.0F});
  const std::string level = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(x, 4, {.bias = true}))));
  builder.rename(builder.softmax(builder.linear(level, 2)), "probabilities");
  ASSERT_TRUE(write_file(at("untrained.onnx"), *graph::serialize_onnx(*builder.finish({"probabilities"}, {}))).ok());
  const Json agreed =
      call({"compress", at("untrained.onnx"), "--calibration", at("data"), "--output", at("compressed/int8.onnx"), "--json"}).json();
  EXPECT_EQ(agreed["layers"], 2);
  EXPECT_EQ(agreed["rows"], 12);
  EXPECT_GT(agreed["signal_to_noise_db"], 20);
  const auto written = graph::read_onnx(at("compressed/int8.onnx"));
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_TRUE(std::ranges::any_of(written->nodes, [](const graph::Node& node) { return node.op_type == "QuantizeLinear"; }));
  EXPECT_EQ(call({"compress", at("untrained.onnx"), "--calibration", at("data"), "--output", at("compressed/int8.onnx")}).code,
            exit_code_of(ErrorKind::conflict));
  // The package that knows the answer: nothing is lost.
  const Json judged = call({"compress", at("light"), "--data", at("data"), "--output", at("compressed/light.onnx"), "--json"}).json();
  EXPECT_EQ(judged["loss"]["points"], 0);
  EXPECT_TRUE(judged["loss"]["within_tolerance"]);
  const Outcome again = call({"compress", at("compressed/light.onnx"), "--data", at("data"), "--output", at("compressed/twice.onnx")});
  EXPECT_EQ(again.code, exit_code_of(ErrorKind::unsupported));
  EXPECT_THAT(again.err, HasSubstr("quantised already"));
  EXPECT_EQ(call({"compress", at("light"), "--output", at("compressed/x.onnx")}).code, 2);
}

TEST_F(Use, BenchTakesAnyInputsAndTheSizesThatItIsTold) {
  graph::Builder builder(2);
  const std::string a = builder.input("left", Dtype::f32, {-1, 3, -1, 6});
  const std::string b = builder.input("right", Dtype::f32, {-1, 3, -1, 6});
  const std::string sum = builder.relu(builder.add(a, b));
  ASSERT_TRUE(write_file(at("two.onnx"), *graph::serialize_onnx(*builder.finish({sum}, {}))).ok());
  const std::vector<std::string> command{"bench", at("two.onnx"), "--runs", "10", "--json"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), command.begin(), command.end());
    return call(more);
  };
  EXPECT_EQ(with({}).code, 2);
  EXPECT_THAT(with({}).out, HasSubstr("--shape left=1x3x224x6"));
  EXPECT_THAT(with({"--shape", "lef=1x3x5x6"}).out, HasSubstr("did you mean \\\"left\\\"?"));
  EXPECT_THAT(with({"--shape", "left=1x4x5x6"}).out, HasSubstr("does not fit"));
  EXPECT_THAT(with({"--shape", "left=1x3x5"}).out, HasSubstr("does not fit"));
  EXPECT_EQ(with({"--batch", "0"}).code, 2);
  EXPECT_EQ(with({"--batch", "1,many"}).code, 2);
  const Json one = with({"--shape", "left=4x3x5x6", "--shape", "right=4x3x5x6"}).json();
  ASSERT_EQ(one["batches"].size(), 1U) << one.dump();
  EXPECT_EQ(one["batches"][0]["batch"], 4);
  const Json sweep = with({"--shape", "left=4x3x5x6", "--shape", "right=4x3x5x6", "--batch", "2,3"}).json();
  ASSERT_EQ(sweep["batches"].size(), 2U) << sweep.dump();
  EXPECT_EQ(sweep["batches"][1]["batch"], 3);
  EXPECT_GT(sweep["load_ms"], 0);
  EXPECT_GT(sweep["peak_gflops_per_second"], 0);
  EXPECT_GT(sweep["batches"][0]["gflops_per_second"], 0);
}

TEST_F(Use, EvalMeasuresTheSplitThatTheDataBring) {
  const Json document = call({"eval", "brightness", at("data"), "--json"}).json();
  const Json& figures = document["evaluation"]["figures"];
  EXPECT_EQ(figures["count"], 12);
  EXPECT_NEAR(figures["top1"].get<double>(), 11.0 / 12, 1e-9);  // one bright test picture is dark
  EXPECT_EQ(call({"eval", at("light"), at("data"), "--split", "train", "--json"}).json()["evaluation"]["figures"]["top1"], 1.0);
  EXPECT_EQ(call({"eval", at("light"), at("data/train"), "--json"}).json()["evaluation"]["figures"]["count"], 12);
  const Outcome text = call({"eval", at("light"), at("data"), "--classes"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("0.9167"), HasSubstr("95% interval"), HasSubstr("recall")));
  EXPECT_THAT(call({"eval", at("light"), at("data"), "--split", "validation"}).err, HasSubstr("holds no validation images"));
  EXPECT_EQ(call({"eval", at("light"), at("nowhere")}).code, 4);
}

TEST_F(Use, ModulesListsEveryPartWithPortsCostAndSource) {
  const Json document = call({"modules", "--json"}).json();
  const std::string text = call({"modules"}).out;
  std::map<std::string, std::vector<std::string>> names;
  for (const Json& module : document["modules"]) {
    names[module["kind"]].push_back(module["name"]);
    for (const char* key : {"in", "out", "description", "pin"}) EXPECT_THAT(module[key].get<std::string>(), Not(IsEmpty())) << module;
    EXPECT_THAT(text, HasSubstr(module["name"].get<std::string>()));
    if (module["kind"] == "backbone" || module["kind"] == "head") {
      EXPECT_GT(module["parameters"], 1000);
      EXPECT_GT(module["flops"], 1000);
    }
  }
  // What the demand accepts is what is listed: each pin that is offered parses.
  for (const Json& module : document["modules"]) {
    const std::string name = module["name"];
    std::string lines = fmt::format("recipe: {{{}: {}}}\n", module["kind"].get<std::string>(), name);
    const bool whole = module["kind"] == "net";
    if (module["kind"] == "detector" || whole) lines = "";
    if (module["kind"] == "head" && name != "linear") lines += "backbone: {onnx: a.onnx, freeze: backbone}\n";
    const std::string task = whole                                              ? module["pin"].get<std::string>()
                             : module["kind"] == "detector" || name == "mosaic" ? "task: detect"
                                                                                : "task: classify";
    const auto demand = demand::parse_demand("name: a\n" + task + "\ndata: {path: x}\n" + lines, "d.yaml");
    EXPECT_TRUE(demand.ok()) << demand.error().message;
  }
  EXPECT_THAT(names["neck"], ::testing::ElementsAre("average", "max", "generalised_mean"));
  EXPECT_EQ(names["head"].size(), 6U);
  EXPECT_THAT(names["detector"], ::testing::ElementsAre("pan", "points"));
  EXPECT_EQ(names["loss"].size(), 4U);
  EXPECT_EQ(names["augmentation"].size(), 8U);
  EXPECT_THAT(call({"modules", "loss"}).out, AllOf(HasSubstr("focal"), Not(HasSubstr("resnet-s"))));
  EXPECT_EQ(call({"modules", "--channels", "2"}).code, 2);
}

TEST_F(Use, DoctorKnowsThisMachine) {
  const Json document = call({"doctor", "--json"}).json();
  EXPECT_GE(document["cores"], 1);
  for (const char* library : {"oneDNN", "OpenCV", "SQLite"}) {
    ASSERT_TRUE(document["libraries"].contains(library)) << library;
    EXPECT_THAT(document["libraries"][library].get<std::string>(), ::testing::ContainsRegex("^[0-9]+\\.")) << library;
  }
  for (const Json& check : document["checks"]) {
    EXPECT_THAT(check["says"].get<std::string>(), Not(IsEmpty()));
    if (check["state"] == "missing") {
      EXPECT_THAT(check["remedy"].get<std::string>(), Not(IsEmpty()));
    }
  }
  const Outcome text = call({"doctor"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, AllOf(HasSubstr("processor"), HasSubstr("1 release"), HasSubstr("training")));
}

}  // namespace
}  // namespace sightline::cli
