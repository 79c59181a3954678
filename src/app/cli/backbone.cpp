// backbone: the networks of the workspace that models are built on.
#include "factory/backbone.h"

#include <memory>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/machine.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

struct BackboneArguments {
  std::string action, what;
  std::string name, net, cut = "auto", neck = "average", licence, origin, mean, scale, precision = "f32", pictures;
  int side = 0, channels = 3;
};

// "127.5" or "123.7,116.3,103.5"
Result<std::vector<double>> numbers_of(const std::string& text, const char* option) {
  std::vector<double> numbers;
  for (const std::string& word : split(text, ',')) {
    if (trim(word).empty()) continue;
    char* end = nullptr;
    const std::string clean = trim(word);
    numbers.push_back(std::strtod(clean.c_str(), &end));
    if (*end != '\0')
      return Error{ErrorKind::usage, fmt::format("{} is \"{}\"; write one number, or three separated by commas", option, text)};
  }
  if (numbers.size() > 1 && numbers.size() != 3)
    return Error{ErrorKind::usage, fmt::format("{} is \"{}\"; write one number, or three separated by commas", option, text)};
  return numbers;
}

std::string figure(const Json& figures, const char* key, int digits) {
  return figures.contains(key) && figures[key].is_number() ? fmt::format("{:.{}f}", figures[key].get<double>(), digits) : "";
}

void tell(const Console& console, const store::Backbone& backbone) {
  console.document(to_json(backbone));
  console.say("{}", console.paint(Colour::bold, backbone.name));
  for (const char* key : {"file", "origin", "licence", "precision"}) console.say("  {:<11} {}", key, backbone.about.value(key, ""));
  for (const Json& cut : backbone.about.value("cuts", Json::array()))
    console.say("  {:<11} {} ({} numbers at {})", "cut", cut.value("name", ""), cut.value("width", 0), cut.value("at", ""));
  console.say("  {:<11} {}", "digest", backbone.tree.substr(0, 12));
  console.say("  {:<11} {} pixels a side, {} features, {} million parameters, {} MFLOP, {} ms on {}", "cost",
              figure(backbone.figures, "side", 0), figure(backbone.figures, "features", 0),
              fmt::format("{:.2f}", backbone.figures.value("parameters", 0.0) / 1e6), figure(backbone.figures, "mflops", 0),
              figure(backbone.figures, "p50_ms", 2), plural(backbone.figures.value("threads", std::uint64_t{1}), "core"));
  for (const Json& reason : backbone.about.value("reasons", Json::array())) console.say("  - {}", reason.get<std::string>());
}

Result<int> run_import(Console& console, const BackboneArguments& arguments) {
  if (arguments.what.empty()) return Error{ErrorKind::usage, "which file? `sightline backbone import FILE --name NAME`"};
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(workspace_root(console)));
  factory::BackboneImport wanted;
  wanted.file = arguments.what;
  const std::string file = arguments.what.substr(arguments.what.rfind('/') + 1);
  wanted.name = arguments.name.empty() ? file.substr(0, file.rfind('.')) : arguments.name;
  wanted.side = arguments.side;
  wanted.channels = arguments.channels;
  wanted.cuts.clear();
  for (const std::string& word : split(arguments.cut, ',')) wanted.cuts.push_back(trim(word));
  if (!enum_from(arguments.neck, wanted.neck))
    return Error{ErrorKind::usage, fmt::format("--neck is \"{}\"; average, max and generalised_mean are known", arguments.neck)};
  if (!arguments.net.empty()) wanted.net = arguments.net;
  if (!arguments.licence.empty()) wanted.licence = arguments.licence;
  if (!arguments.origin.empty()) wanted.origin = arguments.origin;
  wanted.precision = arguments.precision;
  wanted.pictures = arguments.pictures;
  SIGHTLINE_TRY(wanted.mean, numbers_of(arguments.mean, "--mean"));
  SIGHTLINE_TRY(wanted.scale, numbers_of(arguments.scale, "--scale"));
  SIGHTLINE_TRY(const store::Backbone backbone, factory::import_backbone(wanted, workspace, usable_cores()));
  tell(console, backbone);
  if (backbone.about.value("licence", "not stated") == "not stated")
    console.warn("the file states no licence; say it with --licence, so that the lineage of what is built on it is whole");
  console.say("use it with  backbone: {{name: {}, freeze: backbone}}", backbone.name);
  return 0;
}

Result<int> run_backbone(Console& console, const BackboneArguments& arguments) {
  if (arguments.action == "import") return run_import(console, arguments);
  SIGHTLINE_TRY(store::Workspace workspace, existing_workspace(console));
  if (arguments.action == "list") {
    SIGHTLINE_TRY(const std::vector<store::Backbone> all, workspace.registry().backbones());
    console.document({{"backbones", to_json(all)}});
    if (all.empty()) console.say("no backbones in {}; `sightline backbone import FILE` brings one", workspace.root());
    std::vector<std::vector<std::string>> rows;
    for (const store::Backbone& each : all)
      rows.push_back({each.name, figure(each.figures, "side", 0), figure(each.figures, "features", 0), figure(each.figures, "mflops", 0),
                      figure(each.figures, "p50_ms", 2), each.about.value("licence", ""), each.about.value("file", "")});
    if (!rows.empty()) console.table({"name", "side", "features", "MFLOP", "p50 ms", "licence", "file"}, rows);
    return 0;
  }
  if (arguments.what.empty()) return Error{ErrorKind::usage, fmt::format("which one? `sightline backbone {} NAME`", arguments.action)};
  if (arguments.action == "remove") {
    SIGHTLINE_CHECK(workspace.registry().remove_backbone(arguments.what));
    console.document({{"removed", arguments.what}});
    console.say("removed {}; models that are built on it stay as they are", arguments.what);
    return 0;
  }
  SIGHTLINE_TRY(const std::optional<store::Backbone> found, workspace.registry().backbone(arguments.what));
  if (!found) {
    SIGHTLINE_TRY(const std::vector<store::Backbone> all, workspace.registry().backbones());
    std::vector<std::string> names;
    for (const store::Backbone& each : all) names.push_back(each.name);
    return Error{ErrorKind::not_found, fmt::format("there is no backbone \"{}\"{}", arguments.what, did_you_mean(arguments.what, names))};
  }
  tell(console, *found);
  return 0;
}

Action declare_backbone(Arguments& arguments) {
  auto values = std::make_shared<BackboneArguments>();
  arguments.positional("ACTION", values->action, "what to do", true, {"import", "list", "show", "remove"});
  arguments.positional("WHAT", values->what, "import: the file; show and remove: the name", false);
  arguments.option("--name", values->name, "NAME", "import: how demands call it (default: the file's name)");
  arguments.option("--net", values->net, "NET", "import: the net of ours that the file has weights for (`sightline modules`)");
  arguments.option("--side", values->side, "PIXELS", "import: input side, where the network leaves it free; 0: as it says");
  arguments.option("--channels", values->channels, "N", "import with --net: 3 for colour, 1 for grey");
  arguments.option("--cut", values->cut, "VALUE",
                   "import: what describes the picture: auto, or words (early, middle, last, all) or values, separated by commas");
  arguments.option("--neck", values->neck, "NECK", "import: how the places of a map become one vector: average, max or generalised_mean");
  arguments.option("--mean", values->mean, "NUMBERS", "import: what the network expects to be subtracted, on the 0..255 scale");
  arguments.option("--scale", values->scale, "NUMBERS", "import: what it expects to be divided by afterwards");
  arguments.option("--licence", values->licence, "TEXT", "import: licence of the weights");
  arguments.option("--origin", values->origin, "TEXT", "import: where they come from");
  arguments.option("--precision", values->precision, "P",
                   "import: f32, bf16, mixed, int8, or auto: the fastest whose features agree with those in f32");
  arguments.option("--pictures", values->pictures, "DIR", "import: with --precision, pictures like those that it will see");
  return [values](Console& console) { return run_backbone(console, *values); };
}

constexpr Example backbone_examples[] = {
    {"sightline backbone import mobilenetv2.onnx --name mobilenet --licence Apache-2.0",
     "cut at its features, measured, kept under a name"},
    {"sightline backbone import weights.safetensors --net resnet-s --side 64 --name ours", "weights for a net of ours"},
    {"sightline backbone import mobilenetv2.onnx --name light --precision auto --pictures photos",
     "in fewer bits where its features stay the same, once for all models on it"},
    {"sightline backbone list", "what demands can be built on"},
};

}  // namespace

constexpr Verb backbone_verb{
    "backbone",
    Group::make,
    "the networks that models are built on",
    "Imports a network (ONNX, or weights for a net of ours) into the workspace: cut at its feature layer, with licence, "
    "digest and measured cost. A demand uses it with  backbone: {name: NAME, freeze: backbone}.",
    backbone_examples,
    declare_backbone};

}  // namespace sightline::cli
