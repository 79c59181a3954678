#include "package/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "graph/builder.h"
#include "package/golden.h"
#include "package/layout.h"
#include "package/metadata.h"
#include "runtime/quantizer.h"

namespace sightline::package {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

image::Image picture(int width, int height, int channels, std::uint64_t seed) {
  image::Image image{.width = width, .height = height, .channels = channels, .pixels = {}};
  image.pixels.resize(static_cast<std::size_t>(width * height * channels));
  Random random(seed);
  for (auto& value : image.pixels) value = static_cast<std::uint8_t>(random.below(256));
  return image;
}

graph::Graph small_graph(int side, int channels, int classes, bool softmax = true) {
  graph::Builder builder(3);
  const auto depth = static_cast<std::size_t>(channels);
  const std::string x = builder.image_input(side, side, channels, std::vector<float>(depth, 127.0F), std::vector<float>(depth, 64.0F));
  const std::string features = builder.flatten(builder.global_average_pool(builder.relu(builder.conv(x, 8, {.bias = true}))));
  const std::string scores = builder.linear(features, classes);
  const std::string answer = softmax ? builder.softmax(builder.scale(scores, 0.5F, "inverse_temperature")) : scores;
  builder.rename(answer, "probabilities");
  return *builder.finish({"probabilities"}, {});
}

Contents small_contents() {
  Contents contents;
  contents.name = "kleidung-überall";
  contents.graph = small_graph(12, 3, 3);
  contents.labels = {"Hemd", "Schuh mit Absatz", "帽子"};
  contents.preprocessing = {.width = 12, .height = 12, .channels = 3, .fit = image::Fit::fit};
  contents.golden = {{"first.jpg", picture(12, 12, 3, 1)}, {"größer.png", picture(31, 20, 3, 2)}, {"grey", picture(9, 16, 1, 3)}};
  contents.lineage = {{"data", "made up"}, {"seed", 7}};
  return contents;
}

std::map<std::string, std::string> files_of(const fs::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files[fs::relative(entry.path(), folder).string()] = *read_file(entry.path().string());
  }
  return files;
}

class Package : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("sightline-package-test-" + std::to_string(::getpid()) + "-" +
                                         ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string at(const std::string& name) const { return (root_ / name).string(); }
  // A good package, written in the name of the test.
  std::string good() {
    const auto status = write_package(small_contents(), at("good"));
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    return at("good");
  }
  void overwrite(const std::string& name, std::string_view content) {
    std::ofstream file(root_ / name, std::ios::binary | std::ios::trunc);
    file.write(content.data(), static_cast<std::streamsize>(content.size()));
  }
  Error refusal(const std::string& name) {
    const auto model = Model::open(at(name));
    EXPECT_FALSE(model.ok()) << name << " was opened";
    return model.ok() ? Error{} : model.error();
  }

  fs::path root_;
};

TEST_F(Package, ComesBackAsItWasWritten) {
  const Contents contents = small_contents();
  const std::string folder = good();
  auto model = Model::open(folder);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_EQ(model->name(), contents.name);
  EXPECT_EQ(model->task(), "classify");
  EXPECT_EQ(model->labels(), contents.labels);
  EXPECT_TRUE(equal_fields(model->preprocessing(), contents.preprocessing));
  EXPECT_EQ(model->lineage(), contents.lineage);
  EXPECT_THAT(model->remarks(), IsEmpty());
  EXPECT_EQ(graph::digest_of(model->graph()), graph::digest_of(contents.graph));

  auto direct = runtime::Session::create(contents.graph);
  ASSERT_TRUE(direct.ok()) << direct.error().message;
  for (const GoldenSample& sample : contents.golden) {
    const Tensor prepared = model->prepare(sample.picture);
    EXPECT_EQ(prepared.shape(), (Shape{1, 12, 12, 3}));
    const auto ours = model->probabilities(prepared);
    ASSERT_TRUE(ours.ok()) << ours.error().message;
    EXPECT_TRUE(ours->same_as(*direct->run(prepared)));
    double sum = 0;
    for (const float value : ours->values<float>()) sum += value;
    EXPECT_NEAR(sum, 1, 1e-5);
  }
}

TEST_F(Package, AFolderOpensWithATrailingSlashAndFromWithin) {
  const std::string folder = good();
  EXPECT_TRUE(Model::open(folder + "/").ok());
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  EXPECT_TRUE(Model::open(".").ok());
  fs::current_path(before);
  EXPECT_TRUE(write_package(small_contents(), at("other/")).ok());
  EXPECT_TRUE(Model::open(at("other")).ok());
}

TEST_F(Package, EqualContentsGiveEqualFiles) {
  good();
  ASSERT_TRUE(write_package(small_contents(), at("again")).ok());
  EXPECT_EQ(files_of(at("good")), files_of(at("again")));
}

TEST_F(Package, LeavesNothingBesideIt) {
  good();
  std::size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(root_)) ++entries;
  EXPECT_EQ(entries, 1U);
}

TEST_F(Package, AnExistingFolderIsAConflictAndStaysAsItIs) {
  fs::create_directories(root_ / "taken");
  overwrite("taken/precious.txt", "mine");
  const auto status = write_package(small_contents(), at("taken"));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::conflict);
  EXPECT_EQ(files_of(at("taken")), (std::map<std::string, std::string>{{"precious.txt", "mine"}}));
}

TEST_F(Package, ContentsThatDoNotFitAreRefusedAndLeaveNothing) {
  const auto refuse = [&](auto&& spoil, const char* says) {
    Contents contents = small_contents();
    spoil(contents);
    const auto status = write_package(contents, at("bad"));
    ASSERT_FALSE(status.ok()) << says;
    EXPECT_THAT(status.error().message, HasSubstr(says));
    EXPECT_TRUE(fs::is_empty(root_)) << says;
  };
  refuse([](Contents& c) { c.labels.pop_back(); }, "2 labels");
  refuse([](Contents& c) { c.labels[0] = ""; }, "label");
  refuse([](Contents& c) { c.labels[0] = "two\nlines"; }, "label");
  refuse([](Contents& c) { c.labels[0] = "\xff\xfe"; }, "label");
  refuse([](Contents& c) { c.name = ""; }, "name");
  refuse([](Contents& c) { c.task = "clasify"; }, "classify");
  refuse([](Contents& c) { c.preprocessing.width = 13; }, "12×13×3");
  refuse([](Contents& c) { c.golden.clear(); }, "golden");
  refuse([](Contents& c) { c.lineage = Json::array(); }, "lineage");
  refuse([](Contents& c) { c.graph.training_outputs = {"probabilities"}; }, "training outputs");
}

TEST_F(Package, AModelWhoseAnswersAreNotFiniteIsRefused) {
  Contents contents = small_contents();
  for (auto& [name, tensor] : contents.graph.initializers) {
    if (tensor.dtype() == Dtype::f32 && tensor.rank() == 2) tensor = Tensor::filled(tensor.shape(), std::nanf(""));
  }
  const auto status = write_package(contents, at("bad"));
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().kind, ErrorKind::invalid_data);
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(Package, MetadataSpeakToOthers) {
  good();
  const graph::Graph graph = *graph::read_onnx(at("good/1/model.onnx"));
  EXPECT_EQ(graph.metadata.at("model_info model_type"), "Classification");
  EXPECT_EQ(graph.metadata.at("model_info labels"), "Hemd Schuh_mit_Absatz 帽子");
  EXPECT_EQ(graph.metadata.at("model_info resize_type"), "fit_to_window_letterbox");
  EXPECT_EQ(graph.metadata.at("sightline_temperature"), "2.0");
  EXPECT_EQ(graph.metadata.count("model_info mean_values"), 0U);
  const std::string config = *read_file(at("good/config.pbtxt"));
  EXPECT_THAT(config, AllOf(HasSubstr("platform: \"onnxruntime_onnx\""), HasSubstr("dims: [ 12, 12, 3 ]"), HasSubstr("dims: [ 3 ]"),
                            HasSubstr("TYPE_UINT8"), HasSubstr("TYPE_FP32"), HasSubstr("label_filename: \"labels.txt\"")));
  EXPECT_EQ(*read_file(at("good/labels.txt")), "Hemd\nSchuh mit Absatz\n帽子\n");
}

TEST_F(Package, TheShippedSizeLeavesOutGoldenSamplesAndCard) {
  const std::string folder = good();
  std::uint64_t wanted = 0;
  for (const auto& [name, content] : files_of(folder)) {
    if (name.find("golden") == std::string::npos) wanted += content.size();
  }
  ASSERT_TRUE(write_card(folder, "# A card\n").ok());
  EXPECT_EQ(*shipped_size(folder), wanted);
  EXPECT_TRUE(Model::open(folder).ok());
  EXPECT_EQ(shipped_size(at("nowhere")).error().kind, ErrorKind::not_found);
}

// Flips the sign bit of the largest weight that is stored as raw bytes, as a bad disk or a meddler would.
TEST_F(Package, AnAlteredWeightFailsTheGoldenSamples) {
  const std::string folder = good();
  const graph::Graph graph = *graph::read_onnx(folder + "/1/model.onnx");
  std::string bytes = *read_file(folder + "/1/model.onnx");
  float largest = 0;
  for (const auto& [name, tensor] : graph.initializers) {
    if (tensor.dtype() != Dtype::f32 || tensor.rank() != 2) continue;
    for (const float value : tensor.values<float>()) largest = std::abs(value) > std::abs(largest) ? value : largest;
  }
  ASSERT_NE(largest, 0);
  char pattern[4];
  std::memcpy(pattern, &largest, 4);
  const std::size_t place = bytes.find(std::string_view(pattern, 4));
  ASSERT_NE(place, std::string::npos);
  bytes[place + 3] = static_cast<char>(bytes[place + 3] ^ '\x80');
  overwrite("good/1/model.onnx", bytes);

  const Error error = refusal("good");
  EXPECT_EQ(error.kind, ErrorKind::invalid_data);
  EXPECT_THAT(error.message,
              AllOf(HasSubstr("model.onnx"), HasSubstr("golden sample 0.png"), HasSubstr("first.jpg"), HasSubstr("altered")));
  EXPECT_TRUE(Model::open(folder, {.check_golden = false}).ok());
}

TEST_F(Package, AnAlteredSampleOrExpectationFailsAsWell) {
  good();
  const std::string golden = *read_file(at("good/1/golden/golden.json"));
  overwrite("good/1/golden/1.png", image::encode_png(picture(31, 20, 3, 99)));
  EXPECT_THAT(refusal("good").message, HasSubstr("golden sample 1.png"));
  overwrite("good/1/golden/1.png", image::encode_png(picture(31, 20, 3, 2)));
  EXPECT_TRUE(Model::open(at("good")).ok());

  // A larger tolerance in the file does not count.
  Json loose = Json::parse(golden);
  loose["tolerance"] = 1;
  loose["samples"][0]["probabilities"] = {1, 0, 0};
  overwrite("good/1/golden/golden.json", json_text(loose));
  EXPECT_THAT(refusal("good").message, HasSubstr("instead of"));
}

TEST_F(Package, EachMissingFileIsNamed) {
  for (const char* name : {config_file, model_file, lineage_file, golden_file, "1/golden/2.png"}) {
    fs::remove_all(root_ / "good");
    good();
    fs::remove(root_ / "good" / name);
    const Error error = refusal("good");
    EXPECT_EQ(error.kind, ErrorKind::invalid_data) << name;
    EXPECT_THAT(error.message, AllOf(HasSubstr(name), HasSubstr("missing")));
  }
  EXPECT_EQ(refusal("nowhere").kind, ErrorKind::not_found);
  fs::create_directories(root_ / "empty");
  EXPECT_THAT(refusal("empty").message, HasSubstr("not a package"));
}

TEST_F(Package, ATruncatedNetworkIsAnErrorAtEveryLength) {
  good();
  const std::string whole = *read_file(at("good/1/model.onnx"));
  for (std::size_t length = 0; length < whole.size(); length += 1 + whole.size() / 60) {
    overwrite("good/1/model.onnx", whole.substr(0, length));
    const Error error = refusal("good");
    EXPECT_THAT(error.message, HasSubstr("model.onnx")) << length;
  }
}

TEST_F(Package, HostileTextIsAnError) {
  good();
  const auto originals = files_of(at("good"));
  const std::vector<std::string> bad{"",
                                     "{",
                                     "[]",
                                     "null",
                                     "{\"a\":1,\"a\":2}",
                                     "\xff\xfe\x00",
                                     std::string(100'000, '['),
                                     "{\"samples\": 3}",
                                     R"({"format":1,"samples":[],"tolerance":1})",
                                     R"({"format":2,"samples":[],"tolerance":1})",
                                     R"({"format":1,"samples":[{"file":"../../config.pbtxt","name":"","probabilities":[1,0,0]}]})",
                                     R"({"format":1,"samples":[{"file":"0.png","name":"x","probabilities":[1]}]})",
                                     R"({"format":1,"samples":[{"file":"0.png","name":"x","probabilities":[1e999,0,0]}]})"};
  for (const std::string& text : bad) {
    overwrite("good/1/golden/golden.json", text);
    EXPECT_THAT(refusal("good").message, HasSubstr("golden")) << text.substr(0, 80);
  }
  overwrite("good/1/golden/golden.json", originals.at("1/golden/golden.json"));
  for (const std::string& text : {bad[0], bad[1], bad[2], bad[3], bad[4], bad[5], bad[6]}) {
    overwrite("good/1/lineage.json", text);
    EXPECT_THAT(refusal("good").message, HasSubstr("lineage.json")) << text.substr(0, 80);
  }
}

TEST_F(Package, LinksThatLeadOutAndThingsThatAreNoFilesAreRefused) {
  good();
  ASSERT_TRUE(write_package(small_contents(), at("other")).ok());
  fs::remove(root_ / "good/1/model.onnx");
  fs::create_symlink(root_ / "other/1/model.onnx", root_ / "good/1/model.onnx");
  EXPECT_THAT(refusal("good").message, HasSubstr("leads out of the package"));
  fs::remove(root_ / "good/1/model.onnx");
  fs::create_directories(root_ / "good/1/model.onnx");
  EXPECT_THAT(refusal("good").message, HasSubstr("not a regular file"));
  fs::remove(root_ / "good/1/model.onnx");
  fs::create_symlink("model.onnx", root_ / "good/1/model.onnx");  // onto itself
  EXPECT_THAT(refusal("good").message, HasSubstr("model.onnx"));
  // Inside the folder a link is fine.
  fs::remove(root_ / "good/1/model.onnx");
  fs::copy_file(root_ / "other/1/model.onnx", root_ / "good/1/real.onnx");
  fs::create_symlink("real.onnx", root_ / "good/1/model.onnx");
  EXPECT_TRUE(Model::open(at("good")).ok());
}

TEST_F(Package, AHugeFileIsRefusedBeforeItIsRead) {
  good();
  fs::resize_file(root_ / "good/1/lineage.json", 10'000'000'000ULL);  // sparse
  EXPECT_THAT(refusal("good").message, AllOf(HasSubstr("lineage.json"), HasSubstr("10.0 GB")));
}

TEST_F(Package, MetadataThatLieAreRefused) {
  good();
  const graph::Graph original = *graph::read_onnx(at("good/1/model.onnx"));
  const auto refuse = [&](const char* key, const char* value, const char* says) {
    graph::Graph graph = original;
    value == nullptr ? static_cast<void>(graph.metadata.erase(key)) : static_cast<void>(graph.metadata[key] = value);
    overwrite("good/1/model.onnx", *graph::serialize_onnx(graph));
    EXPECT_THAT(refusal("good").message, HasSubstr(says)) << key;
  };
  refuse("sightline_package", "2", "format \"2\"");
  refuse("sightline_package", nullptr, "format");
  refuse("sightline_name", "", "sightline_name");
  refuse("sightline_task", "fly", "fly");
  refuse("sightline_labels", "[\"a\",\"b\"]", "2 labels for an output of 3 classes");
  refuse("sightline_labels", "[1,2,3]", "sightline_labels");
  refuse("sightline_labels", "[\"a\",\"b\",\"\\n\"]", "label");
  refuse("sightline_labels", "[\"a\",\"b\",\"\xff\"]", "sightline_labels");
  refuse("sightline_labels", nullptr, "sightline_labels");
  refuse("sightline_preprocessing", "{\"width\":1,\"height\":12,\"channels\":3,\"fit\":\"fit\"}", "12×1×3");
  refuse("sightline_preprocessing", "{\"width\":12,\"height\":12,\"channels\":3,\"fit\":\"squeeze\"}", "fit");
  refuse("sightline_preprocessing", "{\"wdith\":12}", "wdith");
  refuse("sightline_preprocessing", nullptr, "sightline_preprocessing");
}

TEST_F(Package, APrecisionIsKeptAndDecidesTheTolerance) {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::mixed}) {
    Contents contents = small_contents();
    contents.precision = precision;
    const std::string folder = at(enum_name(precision));
    const auto written = write_package(contents, folder);
    ASSERT_TRUE(written.ok()) << written.error().message;
    auto model = Model::open(folder);
    ASSERT_TRUE(model.ok()) << model.error().message;
    EXPECT_EQ(model->precision(), precision);
    // What a mixed net keeps from integers is rounded to bf16, where the processor has it.
    const bool rounded = precision != Precision::f32 && runtime::processor_has_bf16();
    EXPECT_EQ(model->session().precision(), rounded ? runtime::Precision::bf16 : runtime::Precision::f32);
    // Written from what was read, it is the same package.
    const auto again = read_contents(folder);
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(again->golden.size(), contents.golden.size());
    ASSERT_TRUE(write_package(*again, folder + "-again").ok());
    EXPECT_EQ(files_of(folder), files_of(folder + "-again"));
  }
  EXPECT_LT(golden_tolerance(Precision::f32), golden_tolerance(Precision::bf16));
  EXPECT_EQ(files_of(at("f32")).at("1/model.onnx").find("sightline_precision"), std::string::npos);
}

// What was written here opens on processors without the instructions: they are told apart by oneDNN when it is first used, so each opens
// the packages in a process of its own.
TEST(PackageElsewhere, EveryPrecisionOpensOnLesserProcessors) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // the child is started anew and comes here again
  constexpr const char* handed_down = "SIGHTLINE_PACKAGES_OF_PARENT";
  std::string folder;
  if (const char* given = std::getenv(handed_down); given != nullptr) {
    folder = given;
  } else {
    folder = (fs::temp_directory_path() / ("sightline-package-isa-" + std::to_string(::getpid()))).string();
    fs::remove_all(folder);
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      Contents contents = small_contents();
      contents.precision = precision;
      if (precision == Precision::int8) {
        runtime::Batch batch{Tensor(Dtype::u8, {16, 12, 12, 3})};
        Random random(5);
        for (auto& value : batch[0].values<std::uint8_t>()) value = static_cast<std::uint8_t>(random.below(256));
        const auto quantizer = runtime::Quantizer::create(contents.graph, {&batch, 1});
        ASSERT_TRUE(quantizer.ok()) << quantizer.error().message;
        contents.graph = *quantizer->quantize();
      }
      const auto written = write_package(contents, folder + "/" + enum_name(precision));
      ASSERT_TRUE(written.ok()) << written.error().message;
    }
    ::setenv(handed_down, folder.c_str(), 1);
  }
  for (const char* isa : {"SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI"}) {
    ::setenv("ONEDNN_MAX_CPU_ISA", isa, 1);
    for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
      const auto open = [&] {
        const auto model = Model::open(folder + "/" + enum_name(precision));
        if (!model.ok()) std::fprintf(stderr, "%s\n", model.error().message.c_str());
        std::_Exit(model.ok() ? 0 : 1);
      };
      EXPECT_EXIT(open(), ::testing::ExitedWithCode(0), "") << isa << " " << enum_name(precision);
    }
  }
  ::unsetenv("ONEDNN_MAX_CPU_ISA");
  ::unsetenv(handed_down);
  fs::remove_all(folder);
}

TEST_F(Package, AnUnknownPrecisionIsUnsupported) {
  Contents contents = small_contents();
  graph::Graph graph = contents.graph;
  ASSERT_TRUE(add_metadata(graph, contents).ok());
  graph.metadata["sightline_precision"] = "int3";
  const auto described = describe(graph, "file", true);
  ASSERT_FALSE(described.ok());
  EXPECT_EQ(described.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(described.error().message, HasSubstr("int3"));
}

class BareFile : public Package {
 protected:
  // A network of another maker: `layout` "NHWC" or "NCHW".
  std::string foreign(Dtype dtype, const std::string& layout, const std::string& last_operator, std::int64_t batch = -1,
                      const std::map<std::string, std::string>& metadata = {}) {
    const graph::Graph ours = small_graph(12, 3, 3, last_operator == "Softmax");
    graph::Graph graph = ours;
    graph.metadata = metadata;
    graph.inputs[0].dtype = dtype;
    graph.inputs[0].shape = layout == "NHWC" ? Shape{batch, 12, 12, 3} : Shape{batch, 3, 12, 12};
    graph.outputs[0].shape[0] = batch;
    for (graph::Node& node : graph.nodes) {
      // What is not needed for this input becomes an Identity.
      if (node.op_type == "Cast" && dtype == Dtype::f32)
        node = {.name = node.name, .op_type = "Identity", .inputs = node.inputs, .outputs = node.outputs, .attributes = {}, .domain = ""};
      if (node.op_type == "Transpose" && layout == "NCHW")
        node = {.name = node.name, .op_type = "Identity", .inputs = node.inputs, .outputs = node.outputs, .attributes = {}, .domain = ""};
    }
    const std::string path = at("foreign.onnx");
    const auto bytes = graph::serialize_onnx(graph);
    EXPECT_TRUE(bytes.ok()) << (bytes.ok() ? "" : bytes.error().message);
    if (bytes.ok()) overwrite("foreign.onnx", *bytes);
    return path;
  }
};

TEST_F(BareFile, OurOwnNetworkKeepsItsLabelsWithoutTheFolder) {
  good();
  auto whole = Model::open(at("good"));
  auto bare = Model::open(at("good/1/model.onnx"));
  ASSERT_TRUE(bare.ok()) << bare.error().message;
  EXPECT_EQ(bare->labels(), whole->labels());
  EXPECT_EQ(bare->name(), whole->name());
  EXPECT_TRUE(equal_fields(bare->preprocessing(), whole->preprocessing()));
  EXPECT_THAT(bare->remarks(), IsEmpty());
}

TEST_F(BareFile, EveryLayoutAndTypeGivesTheSameAnswers) {
  auto reference = Model::open(foreign(Dtype::u8, "NHWC", "Softmax"));
  ASSERT_TRUE(reference.ok()) << reference.error().message;
  EXPECT_EQ(reference->labels(), (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(reference->name(), "foreign");
  EXPECT_THAT(reference->remarks(), ::testing::Contains(HasSubstr("numbered")));
  Tensor three(Dtype::u8, {3, 12, 12, 3});
  for (std::uint8_t n = 0; n < 3; ++n) {
    const auto bytes = picture(12, 12, 3, n).pixels;
    std::copy(bytes.begin(), bytes.end(), three.values<std::uint8_t>().begin() + n * 12 * 12 * 3);
  }
  const Tensor wanted = *reference->probabilities(three);
  for (const Dtype dtype : {Dtype::u8, Dtype::f32}) {
    for (const char* layout : {"NHWC", "NCHW"}) {
      for (const std::int64_t batch : {-1, 1}) {
        auto model = Model::open(foreign(dtype, layout, "Softmax", batch));
        ASSERT_TRUE(model.ok()) << model.error().message;
        const auto got = model->probabilities(three);
        ASSERT_TRUE(got.ok()) << got.error().message;
        ASSERT_EQ(got->shape(), wanted.shape());
        for (std::size_t i = 0; i < 9; ++i) EXPECT_NEAR(got->values<float>()[i], wanted.values<float>()[i], 1e-5) << layout << batch;
        if (dtype == Dtype::f32) {
          EXPECT_THAT(model->remarks(), ::testing::Contains(HasSubstr("0 to 255")));
        }
      }
    }
  }
}

TEST_F(BareFile, ScoresBecomeProbabilities) {
  auto scores = Model::open(foreign(Dtype::u8, "NHWC", "Gemm"));
  ASSERT_TRUE(scores.ok()) << scores.error().message;
  EXPECT_THAT(scores->remarks(), ::testing::Contains(HasSubstr("Softmax")));
  const Tensor answer = *scores->probabilities(scores->prepare(picture(12, 12, 3, 5)));
  const Tensor raw = *scores->session().run(scores->prepare(picture(12, 12, 3, 5)));
  double sum = 0;
  for (const float value : raw.values<float>()) sum += std::exp(value);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(answer.values<float>()[i], std::exp(raw.values<float>()[i]) / sum, 1e-5);
}

TEST_F(BareFile, ModelApiKeysAreUnderstood) {
  auto model = Model::open(foreign(Dtype::f32, "NCHW", "Softmax", -1,
                                   {{"model_info labels", "cat dog big_bird"},
                                    {"model_info resize_type", "crop"},
                                    {"model_info mean_values", "[10.0, 20.0, 30.0]"},
                                    {"model_info scale_values", "2 2 2"}}));
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_THAT(model->remarks(), IsEmpty());
  EXPECT_EQ(model->labels(), (std::vector<std::string>{"cat", "dog", "big_bird"}));
  EXPECT_EQ(model->preprocessing().fit, image::Fit::crop);
  const image::Image image = picture(12, 12, 3, 8);
  Tensor input(Dtype::f32, {1, 3, 12, 12});
  for (std::size_t c = 0; c < 3; ++c) {
    for (std::size_t i = 0; i < 144; ++i)
      input.values<float>()[c * 144 + i] = (static_cast<float>(image.pixels[i * 3 + c]) - 10.0F * static_cast<float>(c + 1)) / 2;
  }
  const Tensor wanted = *model->session().run(input), got = *model->probabilities(model->prepare(image));
  for (std::size_t i = 0; i < 3; ++i) EXPECT_NEAR(got.values<float>()[i], wanted.values<float>()[i], 1e-6);
}

TEST_F(BareFile, WhatIsNoPictureClassifierIsUnsupported) {
  const auto refuse = [&](auto&& spoil, const char* says) {
    graph::Graph graph = small_graph(12, 3, 3);
    spoil(graph);
    const auto description = describe(graph, "x.onnx", false);
    ASSERT_FALSE(description.ok()) << says;
    EXPECT_EQ(description.error().kind, ErrorKind::unsupported);
    EXPECT_THAT(description.error().message, HasSubstr(says));
  };
  refuse([](graph::Graph& g) { g.inputs.push_back({.name = "second", .dtype = Dtype::f32, .shape = {-1, 3}}); }, "has 2");
  refuse([](graph::Graph& g) { g.inputs[0].dtype = Dtype::i64; }, "u8 or f32");
  refuse([](graph::Graph& g) { g.inputs[0].shape = {-1, 12}; }, "four dimensions");
  refuse([](graph::Graph& g) { g.inputs[0].shape = {-1, 12, 12, 4}; }, "channels");
  refuse([](graph::Graph& g) { g.inputs[0].shape = {-1, -1, -1, 3}; }, "height and width");
  refuse([](graph::Graph& g) { g.inputs[0].shape = {7, 12, 12, 3}; }, "batch");
  refuse([](graph::Graph& g) { g.inputs[0].shape = {-1, 1'000'000, 12, 3}; }, "height and width");
  refuse([](graph::Graph& g) { g.outputs.clear(); }, "no output");
  refuse([](graph::Graph& g) { g.outputs[0].shape = {-1, 3, 5}; }, "one f32 score per class");
  refuse([](graph::Graph& g) { g.outputs[0].shape = {-1, -1}; }, "one f32 score per class");
}

TEST_F(Package, PicturesOfTheWrongShapeAreRefused) {
  good();
  auto model = Model::open(at("good"));
  ASSERT_TRUE(model.ok());
  EXPECT_EQ(model->probabilities(Tensor::zeros(Dtype::u8, {1, 12, 13, 3})).error().kind, ErrorKind::usage);
  EXPECT_EQ(model->probabilities(Tensor::zeros(Dtype::f32, {1, 12, 12, 3})).error().kind, ErrorKind::usage);
  EXPECT_EQ(model->probabilities(Tensor::zeros(Dtype::u8, {12, 12, 3})).error().kind, ErrorKind::usage);
}

// A segmenter that looks at single pixels: bright ones are of its class.
Contents bright_pixels(int width, int height, bool pieces) {
  graph::Builder builder(1);
  const std::string x = builder.image_input(height, width, 1, {128.0F}, {8.0F});
  graph::Graph graph;
  builder.rename(builder.softmax(builder.conv(x, 2, {.kernel = 1, .bias = true}), 1), "class_scores");
  Contents contents;
  contents.graph = *builder.finish({"class_scores"}, {});
  for (auto& [name, weight] : contents.graph.initializers) {
    if (weight.shape() == Shape{2, 1, 1, 1}) weight = Tensor::of<float>({2, 1, 1, 1}, {-1, 1});
    if (weight.shape() == Shape{2} && name.find("bias") != std::string::npos) weight = Tensor::of<float>({2}, {0, 0});
  }
  contents.name = "bright";
  contents.task = "segment";
  contents.labels = {"bright"};
  contents.preprocessing = {.width = width, .height = height, .channels = 1, .fit = image::Fit::fit};
  if (pieces) contents.graph.metadata[pieces_key] = "true";
  contents.golden = {{"a", {.width = 20, .height = 20, .channels = 1, .pixels = std::vector<std::uint8_t>(400, 90)}}};
  return contents;
}

TEST(Pieces, OfALargePictureAnswerAsTheWholeDoes) {
  const TemporaryFolder folder;
  image::Image picture{.width = 40, .height = 28, .channels = 1, .pixels = {}};
  Random random(4);
  for (int i = 0; i < 40 * 28; ++i) picture.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
  const auto answer = [&](const std::string& name, const Contents& contents, const image::Image& asked) {
    if (!path_exists(folder / name)) {
      EXPECT_TRUE(write_package(contents, folder / name).ok());
    }
    auto model = Model::open(folder / name);
    EXPECT_TRUE(model.ok()) << (model.ok() ? "" : model.error().message);
    EXPECT_EQ(model->tiled(), contents.graph.metadata.contains(pieces_key));
    auto annotation = model->answer(asked);
    EXPECT_TRUE(annotation.ok()) << (annotation.ok() ? "" : annotation.error().message);
    return *std::move(annotation);
  };
  const auto mask = [](const annotation::Annotation& said) {
    const auto values = said.mask.values<std::uint8_t>();
    return std::vector<std::uint8_t>(values.begin(), values.end());
  };
  const std::vector<std::uint8_t> whole = mask(answer("whole", bright_pixels(40, 28, false), picture)),
                                  in_pieces = mask(answer("pieces", bright_pixels(16, 16, true), picture)),
                                  shrunk = mask(answer("shrunk", bright_pixels(16, 16, false), picture));
  ASSERT_EQ(whole.size(), 40U * 28U);
  for (std::size_t i = 0; i < whole.size(); ++i) ASSERT_EQ(whole[i], picture.pixels[i] > 128 ? 1 : 0) << i;
  EXPECT_EQ(in_pieces, whole);
  EXPECT_NE(shrunk, whole);
  // A picture of the input's size, and one that is smaller.
  image::Image small{.width = 16, .height = 16, .channels = 1, .pixels = {picture.pixels.begin(), picture.pixels.begin() + 256}};
  EXPECT_EQ(mask(answer("pieces", bright_pixels(16, 16, true), small)), mask(answer("shrunk", bright_pixels(16, 16, false), small)));
  small.height = 5;
  small.pixels.resize(80);
  const std::vector<std::uint8_t> narrow = mask(answer("pieces", bright_pixels(16, 16, true), small));
  ASSERT_EQ(narrow.size(), 80U);
  for (std::size_t i = 0; i < narrow.size(); ++i) EXPECT_EQ(narrow[i], small.pixels[i] > 128 ? 1 : 0) << i;
}

TEST(Text, PrintableIsValidUtf8WithoutControls) {
  EXPECT_TRUE(is_printable("Übergröße 帽子 🎩", 100));
  for (const char* bad :
       {"", "\x01", "a\nb", "\x7f", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf8\x88\x80\x80\x80"})
    EXPECT_FALSE(is_printable(bad, 100)) << bad;
  EXPECT_FALSE(is_printable("four", 3));
}

}  // namespace
}  // namespace sightline::package
