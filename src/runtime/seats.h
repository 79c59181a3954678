// Concat without a step: what is joined along the channels lies side by side in memory when it is one image in blocks of channels, so that
// whoever computes a part can write it straight to where it belongs. Each such place is a seat.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "runtime/program.h"

namespace sightline::runtime {

struct Seat {
  std::string joined;      // the Concat's output
  std::size_t offset = 0;  // bytes into it
};

// By value. A value that several Concats read has a seat in the first of them. What is summed into a value that has a seat (x + f(x), in
// place) gets the same seat: who takes a seat must see that nobody needs what lies in it.
std::map<std::string, Seat> seats_of(const Program& program, const std::map<std::string, graph::ValueInfo>& values);

}  // namespace sightline::runtime
