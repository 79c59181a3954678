#include "store/row_cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/random.h"
#include "base/temporary_folder.h"

namespace sightline::store {
namespace {
namespace fs = std::filesystem;

constexpr std::size_t row_bytes = 40;

Digest key(int i) { return sha256_of(fmt::format("key {}", i)); }
std::vector<std::byte> row(int i) {
  Random random(static_cast<std::uint64_t>(i));
  std::vector<std::byte> bytes(row_bytes);
  for (std::byte& each : bytes) each = static_cast<std::byte>(random.next());
  return bytes;
}

void add_rows(RowCache& cache, int begin, int end) {
  std::vector<Digest> keys;
  std::vector<std::byte> rows;
  for (int i = begin; i < end; ++i) {
    keys.push_back(key(i));
    const auto bytes = row(i);
    rows.insert(rows.end(), bytes.begin(), bytes.end());
  }
  ASSERT_TRUE(cache.add(keys, rows).ok());
}

bool holds(const RowCache& cache, int i) {
  std::vector<std::byte> found(row_bytes);
  return cache.find(key(i), found) && found == row(i);
}

RowCache opened(const std::string& folder) {
  auto cache = RowCache::open(folder, row_bytes);
  EXPECT_TRUE(cache.ok());
  return *std::move(cache);
}

std::vector<fs::path> blocks(const std::string& folder) {
  std::vector<fs::path> paths;
  for (const auto& each : fs::directory_iterator(folder)) paths.push_back(each.path());
  return paths;
}

// The byte at `offset` from the end is another one now.
void flip(const fs::path& path, std::int64_t from_end) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(-from_end, std::ios::end);
  const auto byte = static_cast<char>(file.get());
  file.seekp(-from_end, std::ios::end);
  file.put(static_cast<char>(byte ^ 1));
}

TEST(RowCache, RowsComeBackInAnotherProcessesEyes) {
  TemporaryFolder folder;
  {
    RowCache cache = opened(folder / "rows");
    add_rows(cache, 0, 100);
    add_rows(cache, 100, 101);
    EXPECT_EQ(cache.size(), 101U);
  }
  const RowCache cache = opened(folder / "rows");
  EXPECT_EQ(cache.size(), 101U);
  for (int i = 0; i < 101; ++i) EXPECT_TRUE(holds(cache, i)) << i;
  EXPECT_FALSE(holds(cache, 101));
  EXPECT_FALSE(cache.contains(key(101)));
  EXPECT_EQ(cache.damaged(), 0U);
}

TEST(RowCache, ADamagedRowIsMissingUntilItIsAddedAgain) {
  TemporaryFolder folder;
  {
    RowCache cache = opened(folder / "rows");
    add_rows(cache, 0, 10);
  }
  flip(blocks(folder / "rows")[0], row_bytes * 10 - 5);  // in row 0
  RowCache cache = opened(folder / "rows");
  EXPECT_FALSE(holds(cache, 0));
  EXPECT_EQ(cache.damaged(), 1U);
  for (int i = 1; i < 10; ++i) EXPECT_TRUE(holds(cache, i));
  add_rows(cache, 0, 1);
  EXPECT_TRUE(holds(cache, 0));
  EXPECT_TRUE(holds(opened(folder / "rows"), 0));
}

TEST(RowCache, BlocksThatAreNoneAreLeftOut) {
  TemporaryFolder folder;
  {
    RowCache cache = opened(folder / "rows");
    add_rows(cache, 0, 10);
  }
  const fs::path block = blocks(folder / "rows")[0];
  const auto size = fs::file_size(block);
  for (const std::uintmax_t cut : {std::uintmax_t{0}, std::uintmax_t{8}, std::uintmax_t{30}, size - 1}) {
    const std::string copy = folder / fmt::format("cut{}", cut);
    fs::create_directories(copy);
    fs::copy_file(block, copy + "/x.rows");
    fs::resize_file(copy + "/x.rows", cut);
    EXPECT_EQ(opened(copy).size(), 0U) << cut;
  }
  // A number of rows that overflows what it is multiplied with.
  const std::string huge = folder / "huge";
  fs::create_directories(huge);
  fs::copy_file(block, huge + "/x.rows");
  std::fstream file(huge + "/x.rows", std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(16);
  const std::uint64_t count = ~std::uint64_t{0} / 8;
  file.write(reinterpret_cast<const char*>(&count), sizeof count);
  file.close();
  EXPECT_EQ(opened(huge).size(), 0U);
  // Rows of another size.
  auto other = RowCache::open(folder / "rows", row_bytes + 4);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->size(), 0U);
}

TEST(RowCache, RefusesWhatDoesNotFit) {
  TemporaryFolder folder;
  RowCache cache = opened(folder / "rows");
  const std::vector<std::byte> bytes(row_bytes);
  const std::vector<Digest> bad{"no digest"}, two{key(1), key(2)};
  EXPECT_EQ(cache.add(bad, bytes).error().kind, ErrorKind::internal);
  EXPECT_EQ(cache.add(two, bytes).error().kind, ErrorKind::internal);
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_TRUE(cache.add({}, {}).ok());
}

TEST(RowCache, ThreadsReadWhileOneAdds) {
  TemporaryFolder folder;
  RowCache cache = opened(folder / "rows");
  add_rows(cache, 0, 50);
  std::thread reader([&] {
    for (int turn = 0; turn < 20; ++turn)
      for (int i = 0; i < 50; ++i) EXPECT_TRUE(holds(cache, i));
  });
  for (int i = 50; i < 100; i += 5) add_rows(cache, i, i + 5);
  reader.join();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(holds(cache, i));
}

}  // namespace
}  // namespace sightline::store
