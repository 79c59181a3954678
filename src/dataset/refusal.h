// What of the data gives no sample or object, and why.
#pragma once

#include <cstdint>
#include <string>

namespace sightline::dataset {

// What is held against data.max_rejected: the share of pictures that are lost, and the share of objects. A README beside the pictures is
// listed, but is no loss.
enum class Loss : std::uint8_t { none, picture, object };

struct Refusal {
  std::string path, reason;
  Loss loss = Loss::none;
};

}  // namespace sightline::dataset
