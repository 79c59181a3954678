#include "weights/weights.h"

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <cstdlib>

#include "base/files.h"
#include "base/random.h"
#include "base/temporary_folder.h"
#include "weights/files_for_test.h"

namespace sightline::weights {
namespace {

using namespace files_for_test;
using testing::HasSubstr;

std::string safe_error(const std::string& bytes) {
  const auto file = parse_safetensors(bytes, "x.safetensors");
  return file.ok() ? "" : file.error().message;
}
std::string state_error(const std::string& bytes, ErrorKind kind = ErrorKind::invalid_data) {
  const auto file = parse_state_dict(bytes, "x.pth");
  if (file.ok()) return "";
  EXPECT_EQ(file.error().kind, kind) << file.error().message;
  return file.error().message;
}

TEST(Safetensors, EveryDtypeComesBackAsItWas) {
  std::vector<NamedTensor> tensors{{"f32", Tensor::of({2, 2}, std::vector<float>{1, -2, 3.5F, 4})},
                                   {"f64", Tensor::of({1}, std::vector<double>{0.1})},
                                   {"i64", Tensor::of({3}, std::vector<std::int64_t>{1, -2, 1LL << 40})},
                                   {"i32", Tensor::of({}, std::vector<std::int32_t>{7})},
                                   {"u8", Tensor::of({0, 4}, std::vector<std::uint8_t>{})},
                                   {"i8", Tensor::of({2}, std::vector<std::int8_t>{-1, 1})},
                                   {"f16", Tensor::zeros(Dtype::f16, {2, 3})},
                                   {"bf16", Tensor::zeros(Dtype::bf16, {5})}};
  const auto file = parse_weights(safetensors(tensors, {{"licence", "MIT"}}), "x.safetensors");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->metadata.at("licence"), "MIT");
  ASSERT_EQ(file->tensors.size(), tensors.size());
  for (const NamedTensor& each : file->tensors) {
    const auto wanted = std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == each.name; });
    ASSERT_NE(wanted, tensors.end());
    EXPECT_TRUE(each.tensor.same_as(wanted->tensor)) << each.name;
  }
}

TEST(Safetensors, DtypesThatWeLackAreLeftOutAndNamed) {
  const auto file = parse_safetensors(safetensors(R"({"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]}})", "abcd"), "x");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->tensors.empty());
  EXPECT_THAT(file->left_out.at(0), HasSubstr("U16"));
}

TEST(Safetensors, WhatIsWrongIsSaid) {
  const auto one = [](const std::string& entry, const std::string& data) { return safe_error(safetensors("{\"a\":" + entry + "}", data)); };
  EXPECT_THAT(safe_error("abc"), HasSubstr("too short"));
  EXPECT_THAT(safe_error(little_bytes<std::uint64_t>(1ULL << 60U) + "{}"), HasSubstr("are the most"));
  EXPECT_THAT(safe_error(little_bytes<std::uint64_t>(1000) + "{}"), HasSubstr("cut off"));
  EXPECT_THAT(safe_error(safetensors("[]", "")), HasSubstr("no JSON object"));
  EXPECT_THAT(safe_error(safetensors("{", "")), HasSubstr("x.safetensors"));
  EXPECT_THAT(one("3", ""), HasSubstr("dtype, shape and data_offsets"));
  EXPECT_THAT(one(R"({"dtype":"F31","shape":[1],"data_offsets":[0,4]})", "abcd"), HasSubstr("F31"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[-1],"data_offsets":[0,4]})", "abcd"), HasSubstr("negative"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,0]})", "abcd"), HasSubstr("begin, end"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,4]})", "abcd"), HasSubstr("does not take"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]})", ""), HasSubstr("does not take"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", "abcd"), HasSubstr("cut off"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[1,5]})", "abcde"), HasSubstr("belong to none"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})", "abcde"), HasSubstr("belong to no tensor"));
  EXPECT_THAT(safe_error(safetensors(
                  R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},"b":{"dtype":"U8","shape":[3],"data_offsets":[2,5]}})", "abcde")),
              HasSubstr("overlaps"));
}

// conv.weight (whole storage), conv.bias (a view of a shared one), turned (a transposed view of the same).
std::string shared_object(bool legacy) {
  const auto storage = [&](const char* key, std::int64_t elements) {
    return pickled::storage("FloatStorage", key, elements, legacy ? "N" : "");
  };
  return pickled::ordered_dict(
      {{"module.conv.weight", pickled::tensor(storage("0", 4), 0, {2, 2, 1, 1}, {2, 1, 1, 1})},
       {"module.conv.bias", pickled::tensor(storage("1", 6), 4, {2}, {1})},
       {"module.turned.weight", pickled::tensor(storage("1", 6), 0, {2, 3}, {1, 2})},
       {"module.bn.num_batches_tracked", pickled::tensor(pickled::storage("LongStorage", "2", 1, legacy ? "N" : ""), 0, {}, {})}});
}
const std::vector<std::string> shared_storages{bytes_of<float>({1, 2, 3, 4}), bytes_of<float>({10, 11, 12, 13, 14, 15}),
                                               bytes_of<std::int64_t>({99})};

void expect_shared(const Result<WeightFile>& file) {
  ASSERT_TRUE(file.ok()) << file.error().message;
  ASSERT_EQ(file->tensors.size(), 4U);
  EXPECT_EQ(file->tensors[0].name, "conv.weight");
  EXPECT_TRUE(file->tensors[0].tensor.same_as(Tensor::of({2, 2, 1, 1}, std::vector<float>{1, 2, 3, 4})));
  EXPECT_TRUE(file->tensors[1].tensor.same_as(Tensor::of({2}, std::vector<float>{14, 15})));
  EXPECT_TRUE(file->tensors[2].tensor.same_as(Tensor::of({2, 3}, std::vector<float>{10, 12, 14, 11, 13, 15})));
  EXPECT_TRUE(file->tensors[3].tensor.same_as(Tensor::of({}, std::vector<std::int64_t>{99})));
}

TEST(StateDict, ZipStoredAndDeflatedAndTheFormatBeforeIt) {
  expect_shared(parse_weights(zip_checkpoint(shared_object(false), shared_storages), "x.pth"));
  expect_shared(parse_weights(zip_checkpoint(shared_object(false), shared_storages, true), "x.pth"));
  expect_shared(parse_weights(
      legacy_checkpoint(shared_object(true), {{"0", 4, shared_storages[0]}, {"1", 4, shared_storages[1]}, {"2", 8, shared_storages[2]}}),
      "x.pth"));
}

TEST(StateDict, LegacyViewsOfStorages) {
  const std::string view = pickled::tuple({pickled::text("v"), pickled::integer(2), pickled::integer(3)});
  const std::string object = pickled::dict({{"w", pickled::tensor(pickled::storage("FloatStorage", "0", 6, view), 1, {2}, {1})}});
  const auto file = parse_state_dict(legacy_checkpoint(object, {{"0", 4, shared_storages[1]}}), "x");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_TRUE(file->tensors[0].tensor.same_as(Tensor::of({2}, std::vector<float>{13, 14})));
}

TEST(StateDict, WeightsAreFoundWithinACheckpoint) {
  const auto tensor = [](const char* key) { return pickled::tensor(pickled::storage("FloatStorage", key, 4), 0, {4}, {1}); };
  const std::vector<std::string> storages{bytes_of<float>({1, 2, 3, 4}), bytes_of<float>({5, 6, 7, 8})};
  const std::string optimiser =
      pickled::dict({{"state", "}" + pickled::integer(0) + pickled::dict({{"momentum_buffer", tensor("1")}}) + "s"}});
  auto file =
      parse_state_dict(zip_checkpoint(pickled::dict({{"epoch", "K\x03"},
                                                     {"optimizer", optimiser},
                                                     {"state_dict", pickled::ordered_dict({{"w", tensor("0")}, {"step", "K\x07"}})}}),
                                      storages),
                       "x");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->found_in, "state_dict");
  EXPECT_EQ(file->tensors.at(0).tensor.values<float>()[0], 1);
  EXPECT_THAT(file->left_out.at(0), HasSubstr("step"));

  const std::string two =
      pickled::dict({{"teacher", pickled::dict({{"w", tensor("0")}})}, {"student", pickled::dict({{"w", tensor("1")}})}});
  EXPECT_THAT(state_error(zip_checkpoint(two, storages)), HasSubstr("teacher, student"));
  EXPECT_THAT(state_error(zip_checkpoint(pickled::dict({{"epoch", "K\x03"}}), {})), HasSubstr("no dictionary of tensors"));
}

TEST(StateDict, ParametersAttributesAndEveryNumberAreRead) {
  const std::string storage = pickled::storage("HalfStorage", "0", 2);
  const std::string parameter =
      pickled::global("torch._utils", "_rebuild_parameter") +
      pickled::tuple({pickled::tensor(storage, 0, {2}, {1}), "\x88", pickled::global("collections", "OrderedDict") + ")R"}) + "R";
  // OrderedDict with attributes (BUILD), a memoised key, floats, negative and large numbers, None, a dtype, a device.
  const std::string object = pickled::global("collections", "OrderedDict") + ")R(" + pickled::text("w") + "q\x05" + parameter +
                             pickled::text("lr") + "G" + std::string("\x3f\xb9\x99\x99\x99\x99\x99\x9a", 8) + pickled::text("least") +
                             "J\xff\xff\xff\xff" + pickled::text("seed") + "\x8a\x09" + std::string(9, '\x7f') + pickled::text("none") +
                             "N" + pickled::text("dtype") + pickled::global("torch", "float16") + pickled::text("where") +
                             pickled::global("torch", "device") + pickled::tuple({pickled::text("cpu")}) + "Ru" + "}" +
                             pickled::text("_metadata") + "}sb";
  const auto file = parse_state_dict(zip_checkpoint(object, {std::string("\x00\x3c\x00\xc0", 4)}), "x");
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->tensors.at(0).tensor.dtype(), Dtype::f16);
  EXPECT_EQ(file->left_out.size(), 6U);
}

TEST(StateDict, ForeignNamesAreRefusedWithTheirPlaceAndNothingRuns) {
  const TemporaryFolder folder;
  const std::string witness = folder.path() + "/witness";
  const std::string call = pickled::global("os", "system") + pickled::tuple({pickled::text("touch " + witness)}) + "R";
  const std::string said = state_error(zip_checkpoint(pickled::dict({{"w", call}}), {}), ErrorKind::unsupported);
  EXPECT_THAT(said, HasSubstr("os.system"));
  EXPECT_THAT(said, HasSubstr("byte 10"));  // protocol 2, dict and mark 2, the key "w" 6
  EXPECT_FALSE(path_exists(witness));
  // The same by the newer way to name things, by an instance, by a class that is allowed in another role, and by a call of data.
  EXPECT_THAT(state_error(zip_checkpoint(pickled::text("builtins") + pickled::text("eval") + "\x93", {}), ErrorKind::unsupported),
              HasSubstr("builtins.eval"));
  EXPECT_THAT(state_error(zip_checkpoint(pickled::global("__builtin__", "list") + ")\x81", {}), ErrorKind::unsupported),
              HasSubstr("an object"));
  EXPECT_THAT(state_error(zip_checkpoint(pickled::global("__builtin__", "int") + pickled::tuple({pickled::text("3")}) + "R", {}),
                          ErrorKind::unsupported),
              HasSubstr("a call of"));
  EXPECT_THAT(state_error(zip_checkpoint(pickled::text("x") + ")R", {}), ErrorKind::unsupported), HasSubstr("no name"));
  EXPECT_THAT(state_error(zip_checkpoint("(ios\nsystem\n", {}), ErrorKind::unsupported), HasSubstr("an object"));
  EXPECT_THAT(state_error(zip_checkpoint("K\x01}b", {}), ErrorKind::unsupported), HasSubstr("state of an object"));
}

TEST(StateDict, WhatIsWrongIsSaid) {
  const auto of_tensor = [](const std::string& tensor, const std::vector<std::string>& storages) {
    return state_error(zip_checkpoint(pickled::dict({{"w", tensor}}), storages));
  };
  const std::string four = bytes_of<float>({1, 2, 3, 4});
  const std::string storage = pickled::storage("FloatStorage", "0", 4);
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 1, {4}, {1}), {four}), HasSubstr("over the end"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 0, {2, 2}, {1LL << 62U, 1}), {four}), HasSubstr("over the end"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 1LL << 62U, {1}, {1}), {four}), HasSubstr("over the end"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 0, {1LL << 40U, 1LL << 40U}, {0, 0}), {four}), HasSubstr("impossible shape"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 0, {1LL << 40U}, {0}), {four}), HasSubstr("memory"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 0, {4}, {1}), {four.substr(0, 8)}), HasSubstr("over the end"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 0, {4}, {1}), {}), HasSubstr("not in the file"));
  EXPECT_THAT(of_tensor(pickled::tensor(storage, 0, {4}, {1, 1}), {four}), HasSubstr("sizes than strides"));
  EXPECT_THAT(of_tensor(pickled::tensor(pickled::text("no storage"), 0, {4}, {1}), {four}), HasSubstr("needs a storage"));

  EXPECT_THAT(state_error("nothing"), HasSubstr("neither"));
  EXPECT_THAT(state_error(zip({{"a/readme", "x"}})), HasSubstr("no data.pkl"));
  EXPECT_THAT(state_error(zip({{"a/data.pkl", "x"}, {"a/constants.pkl", "x"}}), ErrorKind::unsupported), HasSubstr("TorchScript"));
  EXPECT_THAT(state_error(zip({{"a/data.pkl", "x"}, {"a/byteorder", "big"}}), ErrorKind::unsupported), HasSubstr("big"));
  std::string damaged = zip_checkpoint(shared_object(false), shared_storages);
  damaged[damaged.find(shared_storages[0])] ^= 1;
  EXPECT_THAT(state_error(damaged), HasSubstr("checksum"));
  for (const char* pickle : {"", "\x80", "K", "X\xff\xff\xff\xff", "u", "0", "(1", "h\x07", "]K\x01s.", "}(K\x01u.", "cos", "t", "R"})
    EXPECT_THAT(state_error(zip({{"a/data.pkl", pickle}})), HasSubstr("damaged at byte")) << pickle;
}

// A zip bomb, a list that holds itself, a dictionary of dictionaries that would be walked for ever.
TEST(StateDict, HostileFilesEndSoon) {
  EXPECT_THAT(state_error(zip({{"a/data.pkl", std::string(200'000'000, 'N'), true}})), HasSubstr("memory"));
  const std::string itself = "}q\x01(" + pickled::text("a") + "h\x01" + pickled::text("b") + "h\x01u";
  EXPECT_THAT(state_error(zip_checkpoint(itself, {})), HasSubstr("no dictionary of tensors"));
  std::string doubling = "](";
  for (int i = 0; i < 1000; ++i) doubling += "K\x01K\x02\x86";
  doubling += "eq\x01";
  for (int i = 0; i < 100'000; ++i) doubling += pickled::global("collections", "OrderedDict") + "(h\x01tR";
  EXPECT_THAT(state_error(zip_checkpoint(doubling, {})), HasSubstr("memory"));
}

TEST(StateDict, EveryTruncationAndEveryFlippedByteIsAnErrorOrAFile) {
  const std::string zipped = zip_checkpoint(shared_object(false), shared_storages, true);
  const std::string legacy =
      legacy_checkpoint(shared_object(true), {{"0", 4, shared_storages[0]}, {"1", 4, shared_storages[1]}, {"2", 8, shared_storages[2]}});
  const std::string safe = safetensors({{"w", Tensor::of({4}, std::vector<float>{1, 2, 3, 4})}});
  for (const std::string& whole : {zipped, legacy, safe}) {
    for (std::size_t length = 0; length < whole.size(); ++length) EXPECT_FALSE(parse_weights(whole.substr(0, length), "x").ok()) << length;
    Random random(1);
    for (std::size_t i = 0; i < whole.size(); ++i) {
      std::string flipped = whole;
      flipped[i] = static_cast<char>(random.below(256));
      (void)parse_weights(flipped, "x");
    }
  }
}

// What torch.save itself writes, both formats; skipped where Debian's python3-torch is not installed.
TEST(StateDict, RealTorchSave) {
  const TemporaryFolder folder;
  const std::string script = folder.path() + "/save.py";
  ASSERT_TRUE(write_file(script, R"(
import sys, torch
torch.manual_seed(0)
net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
base = torch.arange(12.).reshape(3, 4)
state = net.state_dict()
state['turned'] = base.t()
state['row'] = base[1]
state['half'] = torch.tensor([0.5, -2.0], dtype=torch.float16)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
checkpoint = {'epoch': 3, 'best': 0.75, 'state_dict': state, 'optimizer': optimizer.state_dict(), 'size': torch.Size([1, 2])}
torch.save(checkpoint, sys.argv[1] + '/new.pth')
torch.save(checkpoint, sys.argv[1] + '/old.pth', _use_new_zipfile_serialization=False)
torch.save(torch.nn.Linear(2, 2), sys.argv[1] + '/module.pth')
open(sys.argv[1] + '/first', 'w').write(repr(float(net[0].weight[0, 0, 0, 0])))
)")
                  .ok());
  if (std::system(("/usr/bin/python3 " + script + " " + folder.path() + " >/dev/null 2>&1").c_str()) != 0)  // NOLINT(concurrency-mt-unsafe)
    GTEST_SKIP() << "python3-torch is not installed";
  for (const auto& [name, format] : {std::pair{"/new.pth", WeightFile::Format::zip}, {"/old.pth", WeightFile::Format::legacy}}) {
    const auto file = read_weights(folder.path() + name);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(file->format, format);
    EXPECT_EQ(file->found_in, "state_dict");
    std::map<std::string, Tensor> tensors;
    for (const NamedTensor& each : file->tensors) tensors[each.name] = each.tensor;
    EXPECT_EQ(tensors.at("0.weight").shape(), (Shape{4, 3, 3, 3}));
    EXPECT_FLOAT_EQ(tensors.at("0.weight").values<float>()[0], std::stof(*read_file(folder.path() + "/first")));
    EXPECT_EQ(tensors.at("1.num_batches_tracked").dtype(), Dtype::i64);
    EXPECT_TRUE(tensors.at("turned").same_as(Tensor::of({4, 3}, std::vector<float>{0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11})));
    EXPECT_TRUE(tensors.at("row").same_as(Tensor::of({4}, std::vector<float>{4, 5, 6, 7})));
    EXPECT_EQ(tensors.at("half").dtype(), Dtype::f16);
  }
  const auto module = read_weights(folder.path() + "/module.pth");
  ASSERT_FALSE(module.ok());
  EXPECT_EQ(module.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(module.error().message, HasSubstr("torch.nn.modules.linear.Linear"));
}

TEST(Safetensors, FilesOfTheSharedFolder) {
  const std::string folder = "../shared/data/weights";
  if (!is_directory(folder)) GTEST_SKIP() << folder << " is not here";
  int read = 0;
  for (const char* name :
       {"mobilefacenet_112x96_casia", "mobilenet_v1_0.25_128_imagenet", "shufflenetv2_slim_imagenet", "lprnet_cn_94x24"}) {
    const std::string path = fmt::format("{}/{}.safetensors", folder, name);
    if (!path_exists(path)) continue;
    const auto file = read_weights(path);
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_GT(file->tensors.size(), 50U);
    EXPECT_TRUE(file->metadata.contains("licence"));
    ++read;
  }
  EXPECT_GT(read, 0);
}

TEST(Weights, FilesThatAreNone) {
  EXPECT_EQ(read_weights("/nowhere/x.pth").error().kind, ErrorKind::not_found);
  EXPECT_THAT(read_weights("/tmp").error().message, HasSubstr("folder"));
  EXPECT_THAT(parse_weights("GIF89a, or so", "x").error().message, HasSubstr("no weights that we know"));
}

}  // namespace
}  // namespace sightline::weights
