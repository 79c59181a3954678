// A folder that lives as long as a test, and pictures to put into it. For the tests of this folder.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "image/image.h"

namespace sightline::dataset {

class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sightline-dataset-XXXXXX").string();
    root_ = ::mkdtemp(name.data());
  }
  ~TestFolder() {
    std::error_code code;
    std::filesystem::remove_all(root_, code);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;

  std::string path(const std::string& relative = "") const { return relative.empty() ? root_ : root_ + "/" + relative; }
  void add(const std::string& relative, const std::string& content) const {
    std::filesystem::create_directories(std::filesystem::path(path(relative)).parent_path());
    std::ofstream file(path(relative), std::ios::binary);
    file << content;
    ASSERT_TRUE(file.flush().good()) << relative;
  }
  // Entries directly inside.
  std::size_t count() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(root_), std::filesystem::directory_iterator()));
  }

 private:
  std::string root_;
};

// A smooth picture that differs by seed.
inline image::Image scene(int width, int height, int channels, int seed) {
  image::Image image{width, height, channels, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < channels; ++c) {
        const double value = 120 + 70 * std::sin((x + 3.0 * seed) * 7 / width + c) + 50 * std::cos((y - seed) * 5.0 / height);
        image.pixels.push_back(static_cast<std::uint8_t>(std::lround(value)));
      }
    }
  }
  return image;
}

}  // namespace sightline::dataset
