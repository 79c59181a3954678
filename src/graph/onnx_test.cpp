#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <onnx/checker.h>
#include <onnx/onnx_pb.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "graph/graphs_for_test.h"

namespace sightline::graph {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::string bytes_of(const Graph& graph) {
  auto bytes = serialize_onnx(graph);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  return bytes.ok() ? *bytes : "";
}

onnx::ModelProto proto_of(const Graph& graph) {
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(bytes_of(graph)));
  return model;
}

std::string error_of(const onnx::ModelProto& model) {
  const auto graph = parse_onnx(model.SerializeAsString(), "test.onnx");
  return graph.ok() ? "" : graph.error().message;
}

// A folder that goes with the test.
class Folder {
 public:
  Folder() {
    static int number = 0;
    path_ = fs::temp_directory_path() / fmt::format("sightline_onnx_test_{}_{}", ::getpid(), ++number);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  std::string write(const std::string& name, const std::string& content) const {
    std::ofstream(path_ / name, std::ios::binary) << content;
    return (path_ / name).string();
  }

 private:
  fs::path path_;
};

// Reads a value that an input feeds through Relu; `change` spoils it before.
onnx::ModelProto minimal() {
  Graph graph = one_node("Relu", {{-1, 3}});
  return proto_of(graph);
}

TEST(OnnxTest, WhatIsWrittenIsReadBackTheSame) {
  const Graph graph = small_classifier();
  const auto again = parse_onnx(bytes_of(graph), "test.onnx");
  ASSERT_TRUE(again.ok()) << again.error().message;
  EXPECT_EQ(digest_of(*again), digest_of(graph));
  EXPECT_THAT(again->training_outputs, ElementsAre("logits"));
  ASSERT_EQ(again->outputs.size(), 1U);
  EXPECT_EQ(again->outputs[0].name, "probabilities");
  EXPECT_THAT(again->outputs[0].shape, ElementsAre(-1, 4));
  EXPECT_THAT(again->inputs[0].shape, ElementsAre(-1, 12, 12, 3));
  EXPECT_EQ(again->inputs[0].dtype, Dtype::u8);
  EXPECT_EQ(again->nodes.size(), graph.nodes.size());
  EXPECT_TRUE(again->metadata.empty());
  EXPECT_EQ(bytes_of(*again), bytes_of(graph));
}

TEST(OnnxTest, EqualGraphsGiveEqualBytes) { EXPECT_EQ(bytes_of(small_classifier(5)), bytes_of(small_classifier(5))); }

TEST(OnnxTest, OnnxItsOwnCheckerPassesWhatIsWritten) {
  for (const Graph& graph : {small_classifier(), serving_graph(small_classifier()), fold_batch_norm(serving_graph(small_classifier()))}) {
    const onnx::ModelProto model = proto_of(graph);
    EXPECT_EQ(model.ir_version(), 8);
    EXPECT_EQ(model.opset_import(0).version(), 17);
    EXPECT_NO_THROW(onnx::checker::check_model(model));
  }
}

TEST(OnnxTest, TrainingOutputsStandBehindServingOutputsInTheFile) {
  const onnx::ModelProto model = proto_of(small_classifier());
  ASSERT_EQ(model.graph().output_size(), 2);
  EXPECT_EQ(model.graph().output(0).name(), "probabilities");
  EXPECT_EQ(model.graph().output(1).name(), "logits");
  ASSERT_EQ(model.metadata_props_size(), 1);
  EXPECT_EQ(model.metadata_props(0).value(), "[\"logits\"]");
}

TEST(OnnxTest, ReadsModelsThatOthersMade) {
  const fs::path folder = "../shared/data/onnx";
  if (!fs::is_directory(folder)) GTEST_SKIP() << folder << " is not here";
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".onnx") continue;
    SCOPED_TRACE(entry.path().string());
    const auto graph = read_onnx(entry.path().string());
    ASSERT_TRUE(graph.ok()) << graph.error().message;
    EXPECT_TRUE(check(*graph).ok());
    const auto values = infer_shapes(*graph, 3);
    ASSERT_TRUE(values.ok()) << values.error().message;
    const auto again = parse_onnx(bytes_of(*graph), "again");
    ASSERT_TRUE(again.ok()) << again.error().message;
    EXPECT_EQ(digest_of(*again), digest_of(*graph));
    EXPECT_NO_THROW(onnx::checker::check_model(proto_of(*graph)));
    const auto cost = cost_of(*graph);
    ASSERT_TRUE(cost.ok()) << cost.error().message;
    EXPECT_GT(cost->flops, 1'000'000);
    EXPECT_GT(cost->parameters, 100'000);
    ++count;
  }
  EXPECT_GT(count, 0);
}

TEST(OnnxTest, ReadsTypedAndRawData) {
  onnx::ModelProto model = minimal();
  auto& graph = *model.mutable_graph();
  const auto add = [&](const std::string& name, int type) {
    auto& tensor = *graph.add_initializer();
    tensor.set_name(name);
    tensor.set_data_type(type);
    tensor.add_dims(2);
    return &tensor;
  };
  auto* f32 = add("f32", onnx::TensorProto::FLOAT);
  f32->add_float_data(1.5F), f32->add_float_data(-2.0F);
  auto* i8 = add("i8", onnx::TensorProto::INT8);
  i8->add_int32_data(-128), i8->add_int32_data(127);
  auto* i64 = add("i64", onnx::TensorProto::INT64);
  i64->add_int64_data(1), i64->add_int64_data(std::int64_t{1} << 40);
  add("raw", onnx::TensorProto::UINT8)->set_raw_data("\x01\xff");
  const auto read = parse_onnx(model.SerializeAsString(), "test.onnx");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_THAT(read->initializers.at("f32").values<float>(), ElementsAre(1.5F, -2.0F));
  EXPECT_THAT(read->initializers.at("i8").values<std::int8_t>(), ElementsAre(-128, 127));
  EXPECT_THAT(read->initializers.at("i64").values<std::int64_t>(), ElementsAre(1, std::int64_t{1} << 40));
  EXPECT_THAT(read->initializers.at("raw").values<std::uint8_t>(), ElementsAre(1, 255));
}

TEST(OnnxTest, ConstantNodesBecomeInitializersAndNodesAreSorted) {
  onnx::ModelProto model = minimal();
  auto& graph = *model.mutable_graph();
  // y = Relu(middle), which stands before the node that makes middle = x0 + five.
  graph.mutable_node(0)->set_input(0, "middle");
  auto& add = *graph.add_node();
  add.set_op_type("Add");
  add.add_input("x0"), add.add_input("five"), add.add_output("middle");
  auto& constant = *graph.add_node();
  constant.set_op_type("Constant");
  constant.add_output("five");
  auto& value = *constant.add_attribute();
  value.set_name("value_float");
  value.set_type(onnx::AttributeProto::FLOAT);
  value.set_f(5);
  const auto read = parse_onnx(model.SerializeAsString(), "test.onnx");
  ASSERT_TRUE(read.ok()) << read.error().message;
  ASSERT_EQ(read->nodes.size(), 2U);
  EXPECT_EQ(read->nodes[0].op_type, "Add");
  EXPECT_THAT(read->initializers.at("five").values<float>(), ElementsAre(5.0F));
  EXPECT_THAT(read->outputs[0].shape, ElementsAre(-1, 3));
}

TEST(OnnxTest, ReadsOldAndNewVersions) {
  onnx::ModelProto model = minimal();
  model.set_ir_version(11);
  model.mutable_opset_import(0)->set_version(21);
  EXPECT_EQ(error_of(model), "");
  model.mutable_opset_import(0)->set_version(9);
  model.mutable_opset_import(0)->set_domain("ai.onnx");
  EXPECT_EQ(error_of(model), "");
  model.mutable_opset_import(0)->set_version(5);
  EXPECT_THAT(error_of(model), HasSubstr("opset 5; from 6 on"));
  model.clear_opset_import();
  EXPECT_NE(error_of(model), "");
}

TEST(OnnxTest, RefusesWhatContradictsItself) {
  struct Case {
    const char* message;
    std::function<void(onnx::ModelProto&)> spoil;
  };
  const auto initializer = [](onnx::ModelProto& model, const std::vector<std::int64_t>& dims) -> onnx::TensorProto& {
    auto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (std::int64_t d : dims) tensor.add_dims(d);
    return tensor;
  };
  const std::vector<Case> cases{
      {"no ONNX model", [](auto& m) { m.clear_ir_version(); }},
      {"holds no graph", [](auto& m) { m.clear_graph(); }},
      {"reads \"nowhere\", which nothing makes", [](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "nowhere"); }},
      {"cycle", [](auto& m) { m.mutable_graph()->mutable_node(0)->set_input(0, "y"); }},
      {"made twice", [](auto& m) { *m.mutable_graph()->add_node() = m.graph().node(0); }},
      {"made twice", [](auto& m) { m.mutable_graph()->mutable_node(0)->set_output(0, "x0"); }},
      {"two inputs", [](auto& m) { *m.mutable_graph()->add_input() = m.graph().input(0); }},
      {"declared twice", [](auto& m) { *m.mutable_graph()->add_output() = m.graph().output(0); }},
      {"no output", [](auto& m) { m.mutable_graph()->clear_output(); }},
      {"made by no node", [](auto& m) { m.mutable_graph()->mutable_output(0)->set_name("z"); }},
      {"names no operator", [](auto& m) { m.mutable_graph()->mutable_node(0)->clear_op_type(); }},
      {"2 inputs", [](auto& m) { m.mutable_graph()->mutable_node(0)->add_input("x0"); }},
      {"no attribute \"alpha\"",
       [](auto& m) {
         auto& a = *m.mutable_graph()->mutable_node(0)->add_attribute();
         a.set_name("alpha"), a.set_type(onnx::AttributeProto::FLOAT);
       }},
      {"given twice",
       [](auto& m) {
         for (int i = 0; i < 2; ++i) {
           auto& a = *m.mutable_graph()->mutable_node(0)->add_attribute();
           a.set_name("axis"), a.set_type(onnx::AttributeProto::INT);
         }
       }},
      {"of a kind that Sightline does not have",
       [](auto& m) {
         auto& a = *m.mutable_graph()->mutable_node(0)->add_attribute();
         a.set_name("body"), a.set_type(onnx::AttributeProto::GRAPH);
       }},
      {"has the dimension -5",
       [](auto& m) {
         m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(1)->set_dim_value(-5);
       }},
      {"impossible shape",
       [](auto& m) {
         m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(1)->set_dim_value(
             std::int64_t{1} << 62);
       }},
      {"ONNX data type 8", [](auto& m) { m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(8); }},
      {"does not say its shape",
       [](auto& m) { m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape(); }},
      {"impossible", [&](auto& m) { initializer(m, {-1}); }},
      {"impossible",
       [&](auto& m) {
         initializer(m, {std::int64_t{1} << 32, std::int64_t{1} << 32});
       }},
      {"impossible", [&](auto& m) { initializer(m, std::vector<std::int64_t>(40, 1)); }},
      {"holds 0 elements", [&](auto& m) { initializer(m, {1'000'000'000}); }},
      {"holds 3 bytes", [&](auto& m) { initializer(m, {1'000'000'000}).set_raw_data("abc"); }},
      {"which is no i8",
       [&](auto& m) {
         auto& t = initializer(m, {1});
         t.set_data_type(onnx::TensorProto::INT8), t.add_int32_data(300);
       }},
      {"neither 0 nor 1",
       [&](auto& m) {
         auto& t = initializer(m, {1});
         t.set_data_type(onnx::TensorProto::BOOL), t.set_raw_data("\x02");
       }},
      {"two initializers", [&](auto& m) { initializer(m, {0}), initializer(m, {0}); }},
      {"only a model file", [&](auto& m) { initializer(m, {1}).set_data_location(onnx::TensorProto::EXTERNAL); }},
      {"that is no output",
       [](auto& m) {
         auto& p = *m.add_metadata_props();
         p.set_key("sightline_training_outputs"), p.set_value("[\"other\"]");
       }},
      {"sightline_training_outputs",
       [](auto& m) {
         auto& p = *m.add_metadata_props();
         p.set_key("sightline_training_outputs"), p.set_value("[oh");
       }},
  };
  for (const Case& each : cases) {
    onnx::ModelProto model = minimal();
    each.spoil(model);
    EXPECT_THAT(error_of(model), HasSubstr(each.message));
    EXPECT_THAT(error_of(model), HasSubstr("test.onnx"));
  }
}

TEST(OnnxTest, HonoursLimits) {
  const std::string bytes = bytes_of(small_classifier());
  EXPECT_EQ(parse_onnx(bytes, "x", {.max_bytes = 100}).error().kind, ErrorKind::refused);
  EXPECT_EQ(parse_onnx(bytes, "x", {.max_nodes = 3}).error().kind, ErrorKind::refused);
}

TEST(OnnxTest, ReadsExternalDataBesideTheModelAndNowhereElse) {
  const Folder folder;
  fs::create_directories(folder / "model/weights");
  folder.write("model/weights/w.data", std::string("....\0\0\x80\x3f\0\0\0\x40", 12));
  folder.write("outside.data", std::string(8, 'x'));
  fs::create_symlink(folder / "outside.data", folder / "model/link.data");
  const auto read = [&](const std::string& location, const std::string& offset = "4", const std::string& length = "8") {
    onnx::ModelProto model = minimal();
    auto& tensor = *model.mutable_graph()->add_initializer();
    tensor.set_name("w");
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    tensor.add_dims(2);
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto put = [&](const std::string& key, const std::string& value) {
      auto& entry = *tensor.add_external_data();
      entry.set_key(key), entry.set_value(value);
    };
    put("location", location), put("offset", offset), put("length", length);
    return read_onnx(folder.write("model/model.onnx", model.SerializeAsString()));
  };
  const auto good = read("weights/w.data");
  ASSERT_TRUE(good.ok()) << good.error().message;
  EXPECT_THAT(good->initializers.at("w").values<float>(), ElementsAre(1.0F, 2.0F));
  EXPECT_THAT(read("weights/w.data", "5").error().message, HasSubstr("ends before byte 13"));
  EXPECT_THAT(read("weights/w.data", "999999999999999999").error().message, HasSubstr("ends before"));
  EXPECT_FALSE(read("weights/w.data", "-4").ok());
  EXPECT_FALSE(read("weights/w.data", "4", "400000000000").ok());
  for (const std::string location : {"../outside.data", "weights/../../outside.data", "/etc/passwd", "..\\outside.data", ""}) {
    EXPECT_THAT(read(location, "0").error().message, HasSubstr("not a plain path")) << location;
  }
  EXPECT_THAT(read("link.data", "0").error().message, HasSubstr("leaves the model's folder"));
  EXPECT_THAT(read("weights", "0").error().message, HasSubstr("no plain file"));
  EXPECT_EQ(read("absent.data", "0").error().kind, ErrorKind::not_found);
}

TEST(OnnxTest, WeightsInAFileBesideTheModelAreTheSameModel) {
  const Folder folder;
  const Graph graph = small_classifier(5);
  ExternalWeights places{.file = "shared.data", .offsets = {}};
  const std::string weights = external_weights(graph, 64, places);
  ASSERT_FALSE(places.offsets.empty());
  EXPECT_LT(places.offsets.size(), graph.initializers.size());  // the small ones stay
  for (const auto& [name, offset] : places.offsets) EXPECT_EQ(offset % 64, 0U) << name;
  auto model = serialize_onnx(graph, places);
  ASSERT_TRUE(model.ok()) << model.error().message;
  EXPECT_LT(model->size() + weights.size() / 2, bytes_of(graph).size());
  const std::string path = folder.write("model.onnx", *model);
  EXPECT_EQ(read_onnx(path).error().kind, ErrorKind::not_found);
  folder.write("shared.data", weights);
  const auto read = read_onnx(path);
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(bytes_of(*read), bytes_of(graph));
  EXPECT_EQ(digest_of(*read), digest_of(graph));
}

TEST(OnnxTest, AMissingFileAndAFolderAreErrors) {
  const Folder folder;
  EXPECT_EQ(read_onnx((folder / "absent.onnx").string()).error().kind, ErrorKind::not_found);
  EXPECT_EQ(read_onnx((folder / "").string()).error().kind, ErrorKind::invalid_data);
  EXPECT_THAT(read_onnx(folder.write("empty.onnx", "")).error().message, HasSubstr("empty"));
}

// Whatever a damaged file says, reading ends with an error that names the source or with a graph that can be walked and written.
void read_damaged(const std::string& bytes) {
  const auto graph = parse_onnx(bytes, "damaged.onnx");
  if (!graph.ok()) {
    EXPECT_THAT(graph.error().message, HasSubstr("damaged.onnx"));
    return;
  }
  EXPECT_TRUE(check(*graph).ok());
  (void)infer_shapes(*graph, 2);
  (void)cost_of(*graph);
  (void)digest_of(*graph);
  (void)serialize_onnx(fold_batch_norm(remove_identities(serving_graph(*graph))));
}

TEST(OnnxTest, SurvivesTruncation) {
  const std::string bytes = bytes_of(small_classifier());
  for (std::size_t size = 0; size < bytes.size(); size += 7) read_damaged(bytes.substr(0, size));
}

TEST(OnnxTest, SurvivesFlippedBytes) {
  const std::string bytes = bytes_of(small_classifier());
  Random random(20261123);
  int read = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string damaged = bytes;
    const std::uint64_t flips = 1 + random.below(4);
    for (std::uint64_t i = 0; i < flips; ++i) damaged[random.below(damaged.size())] = static_cast<char>(random.below(256));
    read_damaged(damaged);
    read += parse_onnx(damaged, "damaged.onnx").ok() ? 1 : 0;
  }
  EXPECT_GT(read, 10);  // most bytes are weights, so some must be readable still: otherwise nothing was tested
  EXPECT_LT(read, 1990);
}

}  // namespace
}  // namespace sightline::graph
