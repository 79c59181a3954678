// sightline-whole-sets OUT [MOST [DATA]]: the classification sets of bench/time_to_model.sh, each with one split into training, validation
// and test that everybody uses: OUT/pool/SET/…, OUT/tables/SET.csv (path,label,split; paths below OUT/pool/SET), OUT/sets.json. A set's own
// test part is kept; otherwise a fifth is for the test. A fifth of what is not tested is for validation. Groups (bench/fleet_sources.h) are
// never torn apart. MOST: pictures of a class on each side (for trials); without it all, of Fashion-MNIST 250.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "bench/fleet_draw.h"

namespace {

using namespace sightline;

constexpr std::uint64_t seed = 7;
constexpr const char* fashion = "/usr/share/datasets/fashion-mnist";
constexpr std::size_t most_of_fashion = 250, everything = 1'000'000;
constexpr std::array<const char*, 7> set_names{"waste", "grocery", "signs", "vehicles", "steel", "tiles", "apparel"};

// The published classes, where the fleet knows finer ones.
std::string label_of(const std::string& set, const std::string& name) {
  if (set != "vehicles") return name;
  return name.starts_with("car") ? "vehicle" : "other";
}

Result<void> write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) return Error{ErrorKind::io, path + ": cannot be written"};
  return {};
}

Result<void> write_sets(const std::string& out, std::size_t most, const std::string& data) {
  for (const char* part : {"/pool", "/tables"})
    if (path_exists(out + part)) return Error{ErrorKind::conflict, out + part + " is there already; remove it, or name another folder"};
  SIGHTLINE_CHECK(make_directories(out + "/tables"));
  Json sets = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const char* name : set_names) {
    const std::size_t limit = most > 0 ? most : std::string(name) == "apparel" ? most_of_fashion : everything;
    SIGHTLINE_TRY(const bench::Source source, bench::collect_source(name, absolute_path(data), fashion, seed, limit));
    const auto splits = bench::split_whole(source, seed);
    std::string text = "path,label,split\n";
    std::vector<std::size_t> which;
    std::array<std::size_t, 3> counts{};
    std::map<std::string, std::size_t> labels;
    for (const bench::Class& each : source.facets[0].classes) {
      for (const std::size_t i : each.pictures) {
        const std::string label = label_of(name, each.name);
        text += fmt::format("{},{},{}\n", source.pictures[i].path.substr(source.name.size() + 1), label,
                            bench::whole_split_names.at(splits.at(i)));
        which.push_back(i);
        ++counts.at(splits.at(i));
        ++labels[label];
      }
    }
    SIGHTLINE_CHECK(bench::write_pictures(source, which, out + "/pool"));
    SIGHTLINE_CHECK(write_text(fmt::format("{}/tables/{}.csv", out, name), text));
    sets.push_back(name);
    rows.push_back(
        {name, fmt::format("{}", labels.size()), fmt::format("{}", counts[0]), fmt::format("{}", counts[1]), fmt::format("{}", counts[2])});
  }
  SIGHTLINE_CHECK(write_text(out + "/sets.json", Json{{"sets", sets}, {"most", most}}.dump(1) + "\n"));
  fmt::print("{}", table({"set", "classes", "train", "validation", "test"}, rows));
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words.size() > 3 || words[0].starts_with("-")) {
    fmt::print(stderr, "usage: sightline-whole-sets OUT [MOST [DATA]]     (MOST 0: all)\n");
    return 2;
  }
  const auto most = words.size() > 1 ? static_cast<std::size_t>(std::max(std::atoi(words[1].c_str()), 0)) : 0;
  const auto written = write_sets(words[0], most, words.size() > 2 ? words[2] : "../shared/data");
  if (written.ok()) return 0;
  fmt::print(stderr, "error: {}\n", written.error().message);
  return exit_code_of(written.error().kind);
}
