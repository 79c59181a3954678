// Many demands as one: a YAML file of demands that are listed, or made from a pattern over files, on top of what they have in common.
//
//   name: factory-floor
//   defaults: {task: classify, backbone: {onnx: net.onnx, freeze: backbone}, target: {at_least: 0.9}}
//   demands:
//     - {name: screws, data: {path: pictures/screws}}
//     - {name: nuts, data: {path: pictures/nuts}, target: {at_least: 0.95}}
//   pattern: {match: tables/*/*.csv, data: pictures}   # a demand for each table, named by the file
#pragma once

#include <string>
#include <vector>

#include "demand/demand.h"

namespace sightline::demand {

struct FleetPattern {
  std::string match;
  std::string data;
  static constexpr auto fields() {
    return std::tuple{
        field("match", &FleetPattern::match,
              "files or folders relative to the fleet's file, * and ? within a name: a folder is data.path, a file data.labels"),
        field("data", &FleetPattern::data, "for files: data.path, relative to the fleet's file")};
  }
};

struct FleetDemand {
  Demand demand;
  std::string group;    // what the summary filters by: the key "group" of a listed demand, the folder above a match; may be ""
  std::string problem;  // why it cannot be built ("FILE:LINE: data.path: there is no …"); "" when nothing is known
};

struct Fleet {
  std::string name;
  std::vector<FleetDemand> demands;  // listed ones first, then those of the pattern by path
};

// A demand's keys lie over those of `defaults`, block by block. What one demand lacks on disk is its own problem; what is wrong with the
// file is an error of all: invalid_data with FILE:LINE (also two demands of one name, no demands, a pattern that matches nothing).
Result<Fleet> read_fleet(const std::string& path);

}  // namespace sightline::demand
