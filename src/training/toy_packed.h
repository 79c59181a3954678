// A packed set as docs/formats/packed-set.md lays it down, byte by byte, for tests: nothing of dataset/packed_set.cpp is called. For tests
// only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"

namespace sightline::training::toy {

class PackedBytes {
 public:
  // header without "count", which the labels say; splits: 0 training, 1 validation, 2 test.
  PackedBytes(Json header, const std::vector<std::int32_t>& labels, const std::vector<std::uint8_t>& splits) {
    header["count"] = labels.size();
    std::string text = json_text(header);
    const std::uint64_t length = (16 + text.size() + 63) / 64 * 64 - 16;
    text.resize(length, ' ');
    content_.append(reinterpret_cast<const char*>(&length), sizeof(length)).append(text);
    append(labels);
    append(splits);
  }
  // All of label 0; the first `training` samples are training's, the rest validation's.
  PackedBytes(Json header, std::size_t count, std::size_t training)
      : PackedBytes(std::move(header), std::vector<std::int32_t>(count), first_of(count, training)) {}

  // The next part begins at a multiple of 64.
  PackedBytes& part() {
    content_.resize((content_.size() + 63) / 64 * 64, '\0');
    return *this;
  }
  template <class Values>
  PackedBytes& append(const Values& values) {
    content_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
    return *this;
  }
  void write(const std::string& path) const { std::ofstream(path, std::ios::binary) << content_; }

 private:
  static std::vector<std::uint8_t> first_of(std::size_t count, std::size_t training) {
    std::vector<std::uint8_t> splits(count, 1);
    for (std::size_t i = 0; i < std::min(count, training); ++i) splits[i] = 0;
    return splits;
  }
  std::string content_ = "SLPACK01";
};

}  // namespace sightline::training::toy
