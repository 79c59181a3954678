// links: graph
// Whatever bytes come: the ONNX reader answers with an error or with a graph that every later stage can walk.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "graph/graph.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sightline::graph;
  const auto graph = parse_onnx({reinterpret_cast<const char*>(data), size}, "fuzz.onnx");
  if (!graph.ok()) return 0;
  // The reader checks what it hands out: if that does not pass again, one of the two is wrong.
  if (!check(*graph).ok()) __builtin_trap();
  (void)infer_shapes(*graph, 2);
  (void)cost_of(*graph);
  (void)digest_of(*graph);
  const Graph ready = fold_batch_norm(remove_identities(serving_graph(*graph)));
  if (!check(ready).ok()) __builtin_trap();
  (void)serialize_onnx(*graph);
  return 0;
}
