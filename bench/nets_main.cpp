// sightline-nets OUT_DIR [NAME...]: writes the nets of bench/nets.h as OUT_DIR/NAME.onnx; without names all of them, without anything
// their list.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "bench/nets.h"

namespace {

using namespace sightline;

Result<void> write_net(const bench::Net& net, const std::string& folder) {
  SIGHTLINE_TRY(const graph::Graph graph, bench::build_net(net));
  SIGHTLINE_TRY(const std::string bytes, graph::serialize_onnx(graph));
  const std::string path = fmt::format("{}/{}.onnx", folder, net.name);
  SIGHTLINE_CHECK(write_file(path, bytes));
  fmt::print("{}  {}\n", path, human_bytes(bytes.size()));
  return {};
}

Result<void> write_nets(const std::string& folder, const std::vector<std::string>& wanted) {
  std::vector<std::string> names;
  for (const bench::Net& net : bench::nets()) names.emplace_back(net.name);
  for (const std::string& name : wanted) {
    if (std::find(names.begin(), names.end(), name) == names.end())
      return Error{ErrorKind::usage,
                   fmt::format("there is no net \"{}\"{}; there are: {}", name, did_you_mean(name, names), join(names, " "))};
  }
  SIGHTLINE_CHECK(make_directories(folder));
  std::optional<Error> first;
  for (const bench::Net& net : bench::nets()) {
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), net.name) == wanted.end()) continue;
    const auto written = write_net(net, folder);
    if (written.ok()) continue;
    fmt::print(stderr, "left out: {}\n", written.error().message);
    if (!first) first = written.error();
  }
  if (first) return *first;
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0].starts_with("-")) {
    fmt::print("usage: sightline-nets OUT_DIR [NAME...]\n");
    for (const bench::Net& net : bench::nets()) fmt::print("  {:<20}{}\n", net.name, net.source);
    return words.empty() ? 2 : 0;
  }
  const auto written = write_nets(words[0], {words.begin() + 1, words.end()});
  if (written.ok()) return 0;
  fmt::print(stderr, "error: {}\n", written.error().message);
  return exit_code_of(written.error().kind);
}
