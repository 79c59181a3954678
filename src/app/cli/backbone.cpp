// backbone: the networks of the workspace that models are built on.
#include "factory/backbone.h"

#include <algorithm>
#include <memory>

#include "app/cli/verbs.h"
#include "app/cli/workspace.h"
#include "base/files.h"
#include "base/machine.h"
#include "base/text.h"
#include "factory/backbone_training.h"
#include "factory/shipped.h"

namespace sightline::cli {
namespace {

struct BackboneArguments {
  std::string action, what;
  std::string name, net, cut = "auto", neck = "average", licence, origin, mean, scale, precision = "f32", pictures;
  std::string data, out;
  int side = 0, channels = 3, cores = 0;
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
  if (!arguments.net.empty()) {
    wanted.net = arguments.net;
  } else if (file.ends_with(".safetensors")) {  // weights that `train` made say themselves how they are used
    SIGHTLINE_TRY(wanted, factory::import_of_weights(arguments.what));
    if (!arguments.name.empty()) wanted.name = arguments.name;
    if (arguments.side > 0) wanted.side = arguments.side;
  }
  wanted.cuts.clear();
  for (const std::string& word : split(arguments.cut, ',')) wanted.cuts.push_back(trim(word));
  if (!enum_from(arguments.neck, wanted.neck))
    return Error{ErrorKind::usage, fmt::format("--neck is \"{}\"; average, max and generalised_mean are known", arguments.neck)};
  if (!arguments.licence.empty()) wanted.licence = arguments.licence;
  if (!arguments.origin.empty()) wanted.origin = arguments.origin;
  wanted.precision = arguments.precision;
  wanted.pictures = arguments.pictures;
  SIGHTLINE_TRY(const std::vector<double> mean, numbers_of(arguments.mean, "--mean"));
  SIGHTLINE_TRY(const std::vector<double> scale, numbers_of(arguments.scale, "--scale"));
  if (!mean.empty()) wanted.mean = mean;
  if (!scale.empty()) wanted.scale = scale;
  SIGHTLINE_TRY(const store::Backbone backbone, factory::import_backbone(wanted, workspace, usable_cores()));
  tell(console, backbone);
  if (backbone.about.value("licence", "not stated") == "not stated")
    console.warn("the file states no licence; say it with --licence, so that the lineage of what is built on it is whole");
  console.say("use it with  backbone: {{name: {}, freeze: backbone}}", backbone.name);
  return 0;
}

// What `list` shows of one that comes with the program and that this workspace has not been asked for yet.
Result<store::Backbone> unused(const factory::ShippedBackbone& shipped) {
  SIGHTLINE_TRY(const factory::BackboneImport import, factory::import_of_weights(shipped.file));
  store::Backbone backbone{.name = shipped.name, .tree = {}, .created = {}, .about = {}, .figures = {{"side", import.side}}};
  backbone.about = {{"file", shipped.file.substr(shipped.file.rfind('/') + 1)},
                    {"licence", import.licence.value_or("not stated")},
                    {"origin", import.origin.value_or("not stated")}};
  return backbone;
}

Result<int> run_list(Console& console) {
  std::vector<store::Backbone> all;
  const std::string root = workspace_root(console);
  if (is_directory(root)) {
    SIGHTLINE_TRY(const store::Workspace workspace, store::Workspace::open(root));
    SIGHTLINE_TRY(all, workspace.registry().backbones());
  }
  for (const factory::ShippedBackbone& shipped : factory::shipped_backbones()) {
    if (std::any_of(all.begin(), all.end(), [&](const store::Backbone& each) { return each.name == shipped.name; })) continue;
    SIGHTLINE_TRY(store::Backbone backbone, unused(shipped));
    all.push_back(std::move(backbone));
  }
  console.document({{"backbones", to_json(all)}});
  if (all.empty()) console.say("no backbones in {}; `sightline backbone import FILE` brings one", root);
  std::vector<std::vector<std::string>> rows;
  for (const store::Backbone& each : all)
    rows.push_back({each.name, figure(each.figures, "side", 0), figure(each.figures, "features", 0), figure(each.figures, "mflops", 0),
                    figure(each.figures, "p50_ms", 2), each.about.value("licence", ""), each.about.value("file", ""),
                    each.tree.substr(0, 12)});
  if (!rows.empty()) console.table({"name", "side", "features", "MFLOP", "p50 ms", "licence", "file", "digest"}, rows);
  return 0;
}

Result<int> run_train(Console& console, const BackboneArguments& arguments) {
  if (arguments.what.empty()) return Error{ErrorKind::usage, "which recipe? `sightline backbone train RECIPE.yaml --data FOLDER`"};
  factory::BackboneTraining training;
  SIGHTLINE_TRY(training.recipe, factory::read_backbone_recipe(arguments.what));
  const std::size_t slash = arguments.what.rfind('/');
  training.data = absolute_path(!arguments.data.empty()      ? arguments.data
                                : slash == std::string::npos ? "."
                                                             : arguments.what.substr(0, slash));
  training.threads = arguments.cores > 0 ? std::min(arguments.cores, usable_cores()) : usable_cores();
  SIGHTLINE_TRY(store::Workspace workspace, store::Workspace::open(workspace_root(console)));
  SIGHTLINE_TRY(const factory::TrainedBackbone trained,
                factory::train_backbone(training, workspace, [&](const line::Planned& planned, const line::StepRecord* finished) {
                  if (finished == nullptr && planned.decision != line::Decision::reuse)
                    console.remark("{}: {}", planned.step, planned.sentence);
                }));
  const std::string out = arguments.out.empty() ? training.recipe.name + ".safetensors" : arguments.out;
  SIGHTLINE_TRY(const std::string weights, workspace.blobs().get(trained.weights));
  SIGHTLINE_CHECK(write_file(out, weights));
  SIGHTLINE_TRY(factory::BackboneImport import, factory::import_of_weights(out));
  SIGHTLINE_TRY(const store::Backbone backbone, factory::import_backbone(import, workspace, usable_cores()));
  Json steps = Json::array();
  for (const line::StepRecord& record : trained.steps) steps.push_back({{"step", record.step}, {"figures", record.figures}});
  console.document({{"file", absolute_path(out)},
                    {"weights", trained.weights},
                    {"ran_anything", trained.ran_anything},
                    {"backbone", to_json(backbone)},
                    {"steps", steps}});
  if (!console.json) tell(console, backbone);
  console.say("{} written; use it with  backbone: {{name: {}, freeze: backbone}}", out, backbone.name);
  return 0;
}

Result<int> run_backbone(Console& console, const BackboneArguments& arguments) {
  if (arguments.action == "import") return run_import(console, arguments);
  if (arguments.action == "train") return run_train(console, arguments);
  if (arguments.action == "list") return run_list(console);
  if (arguments.what.empty()) return Error{ErrorKind::usage, fmt::format("which one? `sightline backbone {} NAME`", arguments.action)};
  SIGHTLINE_TRY(store::Workspace workspace,
                arguments.action == "remove" ? existing_workspace(console) : store::Workspace::open(workspace_root(console)));
  if (arguments.action == "remove") {
    SIGHTLINE_CHECK(workspace.registry().remove_backbone(arguments.what));
    console.document({{"removed", arguments.what}});
    console.say("removed {}; models that are built on it stay as they are", arguments.what);
    return 0;
  }
  SIGHTLINE_TRY(const std::optional<store::Backbone> found, factory::find_workspace_backbone(arguments.what, workspace, usable_cores()));
  if (!found) {
    SIGHTLINE_TRY(const std::vector<store::Backbone> all, workspace.registry().backbones());
    std::vector<std::string> names;
    for (const store::Backbone& each : all) names.push_back(each.name);
    for (const factory::ShippedBackbone& each : factory::shipped_backbones()) names.push_back(each.name);
    return Error{ErrorKind::not_found, fmt::format("there is no backbone \"{}\"{}", arguments.what, did_you_mean(arguments.what, names))};
  }
  tell(console, *found);
  return 0;
}

Action declare_backbone(Arguments& arguments) {
  auto values = std::make_shared<BackboneArguments>();
  arguments.positional("ACTION", values->action, "what to do", true, {"import", "train", "list", "show", "remove"});
  arguments.positional("WHAT", values->what, "import: the file; train: the recipe; show and remove: the name", false);
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
  arguments.option("--data", values->data, "FOLDER", "train: where the recipe's paths begin (default: the recipe's folder)");
  arguments.option("--out", values->out, "FILE", "train: the weights (default: NAME.safetensors)");
  arguments.option("--cores", values->cores, "N", "train: cores to use; 0: all");
  return [values](Console& console) { return run_backbone(console, *values); };
}

constexpr Example backbone_examples[] = {
    {"sightline backbone import mobilenetv2.onnx --name mobilenet --licence Apache-2.0",
     "cut at its features, measured, kept under a name"},
    {"sightline backbone import weights.safetensors --net resnet-s --side 64 --name ours", "weights for a net of ours"},
    {"sightline backbone import mobilenetv2.onnx --name light --precision auto --pictures photos",
     "in fewer bits where its features stay the same, once for all models on it"},
    {"sightline backbone list", "what demands can be built on"},
    {"sightline backbone train backbones/sight-s.yaml --data ../shared/data", "make a backbone as the recipe says; run again, it goes on"},
};

}  // namespace

constexpr Verb backbone_verb{
    "backbone",
    Group::make,
    "the networks that models are built on",
    "Imports a network (ONNX, or weights for a net of ours) into the workspace: cut at its feature layer, with licence, "
    "digest and measured cost. A demand uses it with  backbone: {name: NAME, freeze: backbone}; those that come with the program need no "
    "import. train makes one: a net of ours learns what another network says of many views of pictures; Ctrl-C stops at a safe point, and "
    "the same command goes on from there.",
    backbone_examples,
    declare_backbone};

}  // namespace sightline::cli
