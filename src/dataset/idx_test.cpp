#include "dataset/idx.h"

#include <gmock/gmock.h>
#include <zlib.h>

#include <chrono>
#include <thread>

#include "base/random.h"
#include "dataset/import.h"
#include "dataset/test_folder.h"

namespace sightline::dataset {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string idx(const std::vector<std::uint32_t>& dimensions, const std::string& values, int type = 8) {
  std::string file{'\0', '\0', static_cast<char>(type), static_cast<char>(dimensions.size())};
  for (const std::uint32_t size : dimensions) {
    for (const int shift : {24, 16, 8, 0}) file += static_cast<char>(size >> shift);
  }
  return file + values;
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string noise(std::size_t count, std::uint64_t seed) {
  Random random(seed);
  std::string values(count, '\0');
  for (char& value : values) value = static_cast<char>(random.below(256));
  return values;
}

Error failure(const TestFolder& folder) {
  const auto manifest = import_data({.path = folder.path()}, {});
  EXPECT_FALSE(manifest.ok());
  return manifest.ok() ? Error{} : manifest.error();
}

TEST(Idx, PlainAndGzipPairs) {
  const TestFolder folder;
  const std::string train = noise(3 * 12, 1), test = noise(2 * 12, 2);
  folder.add("train-images-idx3-ubyte", idx({3, 4, 3}, train));
  folder.add("train-labels-idx1-ubyte.gz", gzip(idx({3}, std::string{2, 0, 1})));
  folder.add("t10k-images.idx3-ubyte.gz", gzip(idx({2, 4, 3}, test)));
  folder.add("t10k-labels.idx1-ubyte", idx({2}, std::string{1, 2}));
  folder.add("README.md", "x");
  EXPECT_EQ(*detect_format(folder.path()), "idx");
  const auto manifest = import_data({.path = folder.path()}, {});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("0", "1", "2"));
  EXPECT_TRUE(manifest->given_test);
  EXPECT_FALSE(manifest->given_validation);
  ASSERT_EQ(manifest->samples.size(), 5U);
  const Sample& sample = manifest->samples[4];
  EXPECT_EQ(sample.path, "t10k-images.idx3-ubyte.gz#1");
  EXPECT_EQ(sample.split, Split::test);
  EXPECT_EQ(sample.label, 2);
  EXPECT_EQ(sample.width, 3);
  EXPECT_EQ(sample.height, 4);
  EXPECT_EQ(sample.channels, 1);
  EXPECT_EQ(sample.digest, sha256_of(test.substr(12)));
  const SampleReader reader(folder.path());
  const auto image = reader.read(sample.path, {.channels = 3});
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->channels, 3);
  EXPECT_EQ(image->pixels[3], static_cast<std::uint8_t>(test[13]));
  EXPECT_EQ(reader.read("train-images-idx3-ubyte#2")->pixels[0], static_cast<std::uint8_t>(train[24]));
  EXPECT_EQ(reader.read("train-images-idx3-ubyte#3").error().kind, ErrorKind::not_found);
  ASSERT_EQ(manifest->rejected.size(), 1U);
}

TEST(Idx, ColourRecordsAndNamedClasses) {
  const TestFolder folder;
  folder.add("set-train-images-idx4-ubyte", idx({2, 2, 2, 3}, noise(24, 1)));
  folder.add("set-train-labels-idx1-ubyte", idx({2}, std::string{0, 2}));
  folder.add("classes.txt", "zebra\r\ncat\n\ndog\n");
  const auto manifest = import_data({.path = folder.path()}, {});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_THAT(manifest->classes, ElementsAre("zebra", "dog")) << "label 1 has no images";
  EXPECT_EQ(manifest->samples[1].label, 1);
  EXPECT_EQ(manifest->samples[1].channels, 3);
  folder.add("classes.txt", "zebra\ncat\n");
  EXPECT_THAT(failure(folder).message, HasSubstr("2 names for labels up to 2"));
  folder.add("classes.txt", "zebra\ncat\ncat\n");
  EXPECT_THAT(failure(folder).message, HasSubstr("\"cat\" stands twice"));
}

TEST(Idx, PairsThatDoNotFit) {
  const TestFolder folder;
  folder.add("train-images-idx3-ubyte", idx({2, 2, 2}, noise(8, 1)));
  EXPECT_THAT(failure(folder).message, HasSubstr("the labels are missing"));
  folder.add("train-labels-idx1-ubyte", idx({3}, std::string{0, 1, 1}));
  EXPECT_THAT(failure(folder).message, HasSubstr("holds 2 images but train-labels-idx1-ubyte holds 3 labels"));
  folder.add("train-labels-idx1-ubyte", idx({2, 1}, std::string{0, 1}));
  EXPECT_THAT(failure(folder).message, HasSubstr("labels need one dimension"));
  folder.add("train-labels-idx1-ubyte", idx({2}, std::string{0, 1}));
  folder.add("b-train-images-idx3-ubyte", idx({2, 2, 2}, noise(8, 1)));
  folder.add("b-train-labels-idx1-ubyte", idx({2}, std::string{0, 1}));
  EXPECT_THAT(failure(folder).message, HasSubstr("are both train data"));
  const auto by_folder = import_data({.path = folder.path()}, {.group_by = demand::GroupBy::folder});
  EXPECT_THAT(by_folder.error().message, HasSubstr("split.group_by is folder"));
}

TEST(Idx, HostileFilesAreRefused) {
  const TestFolder folder;
  const std::string path = folder.path("x");
  const auto says = [&](const std::string& content) {
    folder.add("x", content);
    const auto file = IdxFile::open(path);
    return file.ok() ? "accepted" : file.error().message;
  };
  EXPECT_EQ(says(idx({2, 2}, "abcd")), "accepted");
  EXPECT_EQ(says(gzip(idx({2, 2}, "abcd"))), "accepted");
  EXPECT_EQ(says(gzip(idx({2, 2}, "ab")) + gzip("cd")), "accepted") << "several members";
  EXPECT_EQ(says(idx({0}, "")), "accepted");
  EXPECT_THAT(says(idx({2, 2}, "abc")), HasSubstr("3 bytes of values where the header announces 4"));
  EXPECT_THAT(says(idx({2, 2}, "abcde")), HasSubstr("5 bytes of values where the header announces 4"));
  EXPECT_THAT(says(gzip(idx({2, 2}, "abcde"))), HasSubstr("where the header announces 4"));
  EXPECT_THAT(says(idx({2}, "12345678", 13)), HasSubstr("IDX type 0x0d"));
  EXPECT_THAT(says(idx({1, 1, 1, 1, 1}, "a")), HasSubstr("5 dimensions"));
  EXPECT_THAT(says(idx({}, "a")), HasSubstr("0 dimensions"));
  EXPECT_THAT(says(idx({0xFFFFFFFFU, 0xFFFFFFFFU, 0xFFFFFFFFU, 0xFFFFFFFFU}, "a")), HasSubstr("impossible dimension"));
  EXPECT_THAT(says(idx({0xFFFFFFFFU, 1000000, 1000000}, "a")), HasSubstr("impossible dimensions"));
  EXPECT_THAT(says(idx({5, 0}, "")), HasSubstr("impossible dimension 0"));
  EXPECT_THAT(says("\x89PNG"), HasSubstr("not an IDX file"));
  EXPECT_THAT(says("\x1F\x8B garbage after the magic"), HasSubstr("gzip"));
  // 64 MB of zeros behind a header that announces 4: refused long before they are all there.
  EXPECT_THAT(says(gzip(idx({2, 2}, std::string(64 << 20, '\0')))), HasSubstr("more data than"));
}

TEST(Idx, TruncationAtEveryLengthIsNoticed) {
  const TestFolder folder;
  for (const std::string& whole : {idx({3, 4, 5}, noise(60, 3)), gzip(idx({3, 4, 5}, noise(60, 3)))}) {
    for (std::size_t length = 0; length < whole.size(); ++length) {
      folder.add("x", whole.substr(0, length));
      ASSERT_FALSE(IdxFile::open(folder.path("x")).ok()) << length;
      static_cast<void>(IdxFile::read_dimensions(folder.path("x")));
    }
  }
}

TEST(Idx, RecordPaths) {
  std::string_view file;
  std::size_t record = 0;
  EXPECT_TRUE(split_record_path("train-images-idx3-ubyte.gz#17", file, record));
  EXPECT_EQ(file, "train-images-idx3-ubyte.gz");
  EXPECT_EQ(record, 17U);
  EXPECT_FALSE(split_record_path("cat/picture#17", file, record));
  EXPECT_FALSE(split_record_path("train-images-idx3-ubyte#", file, record));
  EXPECT_FALSE(split_record_path("train-images-idx3-ubyte#1x", file, record));
  EXPECT_FALSE(split_record_path("train-images-idx3-ubyte#99999999999999999999999", file, record));
}

TEST(Idx, FashionMnistAsDebianShipsIt) {
  const std::string root = "/usr/share/datasets/fashion-mnist";
  if (!path_exists(root + "/t10k-images-idx3-ubyte.gz")) GTEST_SKIP() << "the package dataset-fashion-mnist is not installed";
  const auto manifest = import_data({.path = root}, {});
  ASSERT_TRUE(manifest.ok()) << manifest.error().message;
  EXPECT_EQ(manifest->samples.size(), 70000U);
  EXPECT_TRUE(manifest->rejected.empty());
  EXPECT_TRUE(manifest->given_test);
  EXPECT_THAT(manifest->classes,
              ElementsAre("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"));
  EXPECT_EQ(manifest->samples[0].label, 9);  // the first training record is an ankle boot
  EXPECT_EQ(manifest->samples[60000].path, "t10k-images-idx3-ubyte.gz#0");
  std::vector<int> counts(10);
  for (const Sample& sample : manifest->samples) ++counts[static_cast<std::size_t>(sample.label)];
  EXPECT_THAT(counts, testing::Each(7000));
}

}  // namespace
}  // namespace sightline::dataset
