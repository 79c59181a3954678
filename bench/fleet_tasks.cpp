// sightline-fleet-tasks OUT [COUNT [DATA]]: writes up to COUNT (3,000) different classification tasks over a dozen industries as a fleet
// that `sightline fleet OUT/fleet.yaml` builds: OUT/pool/SOURCE/… (pictures), OUT/tables/SOURCE/NAME.csv (path,label,split),
// OUT/fleet.yaml. DATA: the sets (../shared/data), beside Debian's dataset-fashion-mnist. The same COUNT and data give the same files.
#include <fmt/format.h>

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/text.h"
#include "bench/fleet_draw.h"

namespace {

using namespace sightline;

constexpr std::uint64_t seed = 7;
constexpr const char* fashion = "/usr/share/datasets/fashion-mnist";

constexpr const char* fleet_text =
    R"(# Written by sightline-fleet-tasks: {count} tasks from {sources} sources. Each table is a task of its own.
name: industries
defaults:
  task: classify
  seed: {seed}
  target: {{metric: balanced_accuracy, at_least: 0.0}}
  recipe: {{cut: last}}   # all cuts would be kept for every picture and head: too much for 600 MB
  backbone:
    onnx: "{onnx}"
    freeze: backbone
    mean: [127.5]
    scale: [127.5]
    licence: Apache-2.0
    origin: google-coral/test_data, tf2_mobilenet_v2_1.0_224_ptq.tflite
  data:
    licence: as stated for each set, internal evaluation only
    origin: public sets, tasks drawn by sightline-fleet-tasks with seed {seed}
pattern: {{match: "tables/*/*.csv", data: pool}}
)";

Result<void> write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) return Error{ErrorKind::io, path + ": cannot be written"};
  return {};
}

Result<void> write_fleet(const std::string& out, std::size_t count, const std::string& data) {
  const std::string onnx = absolute_path(data + "/onnx/mobilenetv2_100_224_ptq.onnx");
  if (!path_exists(onnx))
    return Error{ErrorKind::not_found, onnx + ": there is no such file; the third argument is the folder of the sets"};
  for (const char* part : {"/pool", "/tables"})
    if (path_exists(out + part)) return Error{ErrorKind::conflict, out + part + " is there already; remove it, or name another folder"};
  SIGHTLINE_TRY(const auto sources, bench::collect_sources(absolute_path(data), fashion, seed));
  const std::vector<bench::Task> tasks = bench::draw_tasks(sources, count, seed);

  std::vector<std::set<std::size_t>> used(sources.size());
  std::vector<std::array<std::size_t, 3>> kinds(sources.size());
  for (const bench::Task& task : tasks) {
    const bench::Source& source = sources[task.source];
    ++kinds[task.source].at(static_cast<std::size_t>(task.kind));
    for (const bench::Label& label : task.labels) {
      used[task.source].insert(label.train.begin(), label.train.end());
      used[task.source].insert(label.test.begin(), label.test.end());
    }
    const std::string folder = fmt::format("{}/tables/{}", out, source.name);
    SIGHTLINE_CHECK(make_directories(folder));
    SIGHTLINE_CHECK(write_text(fmt::format("{}/{}.csv", folder, task.name), bench::write_table(source, task)));
  }
  std::vector<std::vector<std::string>> rows;
  std::size_t filled = 0, pictures = 0;
  for (std::size_t s = 0; s < sources.size(); ++s) {
    SIGHTLINE_CHECK(bench::write_pictures(sources[s], {used[s].begin(), used[s].end()}, out + "/pool"));
    const auto& [classes, one, groups] = kinds[s];
    const std::size_t sum = classes + one + groups;
    rows.push_back({sources[s].name, sources[s].industry, fmt::format("{}", used[s].size()), fmt::format("{}", sum),
                    fmt::format("{}", classes), fmt::format("{}", one), fmt::format("{}", groups),
                    fmt::format("{}", sources[s].conflicting), fmt::format("{}", sources[s].known)});
    filled += sum > 0 ? 1 : 0;
    pictures += used[s].size();
  }
  SIGHTLINE_CHECK(
      write_text(out + "/fleet.yaml", fmt::format(fmt::runtime(fleet_text), fmt::arg("count", tasks.size()), fmt::arg("sources", filled),
                                                  fmt::arg("seed", seed), fmt::arg("onnx", onnx))));
  fmt::print("{}", table({"source", "industry", "pictures", "tasks", "classes", "one", "groups", "conflicting", "known"}, rows));
  fmt::print("{} from {} sources, {}: {}/fleet.yaml\n", plural(tasks.size(), "task"), filled, plural(pictures, "picture"), out);
  if (tasks.size() < count)
    return Error{ErrorKind::refused, fmt::format("the sources give {} different tasks, not {}", tasks.size(), count)};
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  std::size_t count = 3000;
  const auto number = [&](const std::string& word) {
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), count);
    return code == std::errc() && end == word.data() + word.size() && count > 0;
  };
  if (words.empty() || words.size() > 3 || words[0].starts_with("-") || (words.size() > 1 && !number(words[1]))) {
    fmt::print(stderr, "usage: sightline-fleet-tasks OUT [COUNT [DATA]]\n");
    return 2;
  }
  const auto written = write_fleet(words[0], count, words.size() > 2 ? words[2] : "../shared/data");
  if (written.ok()) return 0;
  fmt::print(stderr, "error: {}\n", written.error().message);
  return exit_code_of(written.error().kind);
}
