// package, of one point of a search: a frozen backbone with its head shares the backbone's weights with every other package, a network that
// was trained has a file of its own.
#include <fmt/format.h>

#include "base/files.h"
#include "base/version.h"
#include "factory/feature_sources.h"
#include "factory/search_steps.h"
#include "factory/step_inputs.h"
#include "features/backbone.h"
#include "graph/graph.h"
#include "package/layout.h"
#include "package/package.h"

namespace sightline::factory {
namespace {

constexpr std::size_t golden_pictures = 4;

struct Point {
  std::string folder;  // K/ of the points
  Json about;          // of points.json
  Json history;
  std::map<std::string, Digest> files;  // of the points' tree
  int number = 0;
};

Result<Point> read_point(const BuildContext& build, line::StepContext& context) {
  SIGHTLINE_TRY(const std::string parent, context.fresh_folder("points"));
  SIGHTLINE_CHECK(context.workspace().blobs().materialize(context.input("points"), parent + "/all"));
  SIGHTLINE_TRY(const Json points, read_json_file(parent + "/all/points.json"));
  Point point;
  point.number = build.options.point > 0 ? build.options.point : points.at("chosen").get<int>();
  for (const Json& each : points.at("points"))
    if (each.at("number") == point.number) point.about = each;
  if (point.about.is_null())
    return Error{ErrorKind::not_found, fmt::format("the search kept points 1 to {}, none of number {}; `sightline explain` lists them",
                                                   points.at("points").size(), point.number)};
  point.folder = fmt::format("{}/all/{}", parent, point.number);
  SIGHTLINE_TRY(point.history, read_json_file(point.folder + "/history.json"));
  SIGHTLINE_TRY(point.files, context.workspace().blobs().tree(context.input("points")));
  return point;
}

Result<std::map<std::string, Digest>> write_frozen(const Point& point, const store::Workspace& workspace, package::Contents& contents,
                                                   const std::string& folder) {
  SIGHTLINE_TRY(const features::Backbone backbone, features::read_backbone(point.folder + "/backbone"));
  SIGHTLINE_TRY(const graph::Graph head, graph::read_onnx(point.folder + "/head.onnx"));
  const Digest weights = point.files.at(fmt::format("{}/backbone/{}", point.number, features::weights_file));
  contents.graph = joined(backbone.graph, head);
  contents.preprocessing = preprocessing_of(backbone);
  if (!enum_from(backbone.about.precision, contents.precision))
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: its features are in \"{}\", which is no precision", backbone.about.file, backbone.about.precision)};
  contents.shared = {.path = workspace.blobs().path_of(weights), .offsets = backbone.offsets};
  contents.lineage["weights"] = to_json(backbone.about);
  contents.lineage["weights"].erase("reasons");
  contents.lineage["weights"]["head"] = "fitted here";
  contents.lineage["recipe"]["head"] = point.history.value("head", Json::object());
  SIGHTLINE_CHECK(put_decisions(contents));
  SIGHTLINE_CHECK(package::write_package(contents, folder));
  return std::map<std::string, Digest>{{package::shared_file, weights}};
}

Result<double> write_trained(const BuildContext& build, const Point& point, const dataset::Manifest& manifest, package::Contents& contents,
                             const std::string& folder) {
  SIGHTLINE_TRY(const graph::Graph trained, graph::read_onnx(point.folder + "/model.onnx"));
  SIGHTLINE_TRY(Json recipe, read_json_file(point.folder + "/recipe.json"));
  contents.graph = graph::serving_graph(trained);
  const Shape& input = contents.graph.inputs[0].shape;
  contents.preprocessing = {
      .width = static_cast<int>(input[2]), .height = static_cast<int>(input[1]), .channels = static_cast<int>(input[3])};
  contents.lineage["weights"] = {{"origin", "initialised at random, trained here"}, {"licence", "as the data allow"}};
  if (recipe.contains("weights")) {
    contents.lineage["weights"] = recipe["weights"];
    contents.lineage["weights"]["tuned"] = "here";
    recipe.erase("weights");
  }
  contents.lineage["recipe"]["training"] = recipe;
  contents.lineage["schedule"] = point.history.value("schedule", Json());
  return write_calibrated(build, contents, manifest, folder);
}

}  // namespace

line::Step search_package_step(const BuildContext& build) {
  line::Step step{.name = "package", .version = 1, .says = "calibrate, write, reopen and verify the package"};
  step.parameters = {{"name", build.demand.name},
                     {"licence", build.demand.data.licence},
                     {"origin", build.demand.data.origin},
                     {"point", build.options.point}};
  add_decisions(build.demand, step.parameters);
  step.environment = machine_environment(build.threads);
  step.inputs = {{.name = "points", .step = "search", .output = "points"},
                 {.name = "manifest", .step = build.manifest_step(), .output = "manifest"}};
  step.outputs = {"package", "history"};
  step.describe_change = describe_manifest_change(build);
  step.body = [build](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const dataset::Manifest manifest, read_manifest(context));
    SIGHTLINE_TRY(const Point point, read_point(build, context));
    package::Contents contents;
    contents.name = build.demand.name;
    contents.labels = manifest.classes;
    contents.lineage = data_lineage(manifest);
    contents.lineage["recipe"] = point.about.at("candidate");
    contents.lineage["seed"] = build.demand.seed;
    contents.lineage["sightline"] = version;
    SIGHTLINE_TRY(contents.golden, choose_golden(manifest, golden_pictures));
    SIGHTLINE_TRY(const std::string parent, context.fresh_folder("package"));
    const std::string folder = parent + "/" + build.demand.name;
    std::map<std::string, Digest> known;
    if (point.about.at("candidate").at("approach") == "frozen") {
      SIGHTLINE_TRY(known, write_frozen(point, context.workspace(), contents, folder));
    } else {
      SIGHTLINE_TRY(const double temperature, write_trained(build, point, manifest, contents, folder));
      context.figure("temperature", temperature);
    }
    context.figure("point", point.number);
    SIGHTLINE_TRY(const std::uint64_t size, package::shipped_size(folder));
    context.figure("size_bytes", size);
    SIGHTLINE_CHECK(context.put("history", json_text(point.history, 1)));
    return context.put_folder("package", folder, known);
  };
  return step;
}

}  // namespace sightline::factory
