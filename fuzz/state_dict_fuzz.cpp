// links: weights graph
// Whatever bytes come: an error, or a state dict that costs no more memory than its limits say and can be laid onto a graph.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "graph/builder.h"
#include "weights/mapping.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sightline;
  const weights::Limits limits;
  const auto file = weights::parse_state_dict({reinterpret_cast<const char*>(data), size}, "fuzz.pth", limits);
  if (!file.ok()) return 0;
  std::uint64_t bytes = 0;
  for (const auto& each : file->tensors) bytes += each.tensor.byte_count();
  if (bytes > limits.base_memory + limits.memory_per_byte * size) __builtin_trap();
  static const graph::Graph net = [] {
    graph::Builder builder(1);
    const std::string x = builder.input("x", Dtype::f32, {-1, 2, 1, 1});
    return *builder.finish({builder.batch_norm(builder.conv(x, 2, {.kernel = 1, .bias = true}))}, {});
  }();
  graph::Graph graph = net;
  (void)weights::map_weights(*file, "fuzz.pth", graph);
  return 0;
}
