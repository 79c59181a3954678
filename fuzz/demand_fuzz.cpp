// links: demand
// The demand file: any bytes give a demand or an error.
#include <cstddef>
#include <cstdint>
#include <string>

#include "demand/demand.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto demand = sightline::demand::parse_demand(std::string(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  if (!demand.ok() && demand.error().message.empty()) __builtin_trap();
  return 0;
}
