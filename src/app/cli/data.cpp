// data check|show|split|convert: the data's part of the line on its own.
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <map>

#include "app/cli/data_convert.h"
#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/temporary_folder.h"
#include "base/text.h"
#include "dataset/audit.h"
#include "dataset/drawn_lines.h"
#include "dataset/good_pictures.h"
#include "dataset/import.h"
#include "dataset/packed_set.h"
#include "dataset/split.h"
#include "demand/demand.h"
#include "factory/recipe.h"
#include "factory/step_inputs.h"
#include "image/image.h"
#include "line/worker.h"
#include "modules/training_spec.h"

namespace sightline::cli {
namespace {

struct DataArguments {
  std::string action, directory, target;
  std::string format = "auto", labels, attributes, group_by = "near_duplicates", bad_boxes = "reject", pattern, column, out, augmented;
  double validation = 0.1, test = 0.2;
  std::int64_t seed = 0;
  int side = 0, most = 5;
  bool label_errors = false;
  std::vector<std::string> layouts;
  std::int64_t count = 1000;
  DataConversion conversion;
};

// DIR may be a demand file: then its data and split sections count.
Result<demand::Demand> demand_of(const DataArguments& arguments) {
  const std::filesystem::path path = arguments.directory;
  if (path.extension() == ".yaml" || path.extension() == ".yml") return demand::read_demand(arguments.directory);
  demand::Demand demand;
  demand.name = "data";
  demand.data.path = absolute_path(arguments.directory);
  demand.data.format = arguments.format;
  demand.data.max_rejected = 1;  // whoever looks at the data wants to see all that is wrong with them
  if (!arguments.labels.empty()) demand.data.labels = arguments.labels;
  if (!arguments.attributes.empty()) demand.data.attributes = split(arguments.attributes, ',');
  enum_from(arguments.group_by, demand.split.group_by);
  enum_from(arguments.bad_boxes, demand.data.bad_boxes);
  if (!arguments.pattern.empty()) demand.split.pattern = arguments.pattern;
  if (!arguments.column.empty()) demand.split.column = arguments.column;
  demand.split.validation = arguments.validation;
  demand.split.test = arguments.test;
  demand.seed = arguments.seed;
  if (arguments.side > 0) demand.recipe.side = arguments.side;
  return demand;
}

Result<dataset::Manifest> split_manifest(const demand::Demand& demand) {
  SIGHTLINE_TRY(dataset::Manifest manifest,
                dataset::import_data(demand.data, demand.split, nullptr, demand.task == "anomaly", demand.task == "restore"));
  SIGHTLINE_CHECK(demand.task == "anomaly" ? dataset::assign_good_splits(manifest, demand.split, demand.seed)
                                           : dataset::assign_splits(manifest, demand.split, demand.seed));
  return manifest;
}

// Images per class and split; objects where the pictures have some; nothing of classes where masks say what is where.
std::vector<std::array<std::int64_t, 3>> split_counts(const dataset::Manifest& manifest) {
  if (manifest.masks) return {};
  const bool one_class = dataset::one_class_each(manifest);
  std::vector<std::array<std::int64_t, 3>> counts(manifest.classes.size());
  for (const dataset::Sample& sample : manifest.samples) {
    const auto split = static_cast<std::size_t>(sample.split);
    if (one_class) ++counts[static_cast<std::size_t>(sample.label)][split];
    for (const std::int32_t label : dataset::classes_within(manifest, sample)) ++counts[static_cast<std::size_t>(label)][split];
  }
  return counts;
}

// Images per split, and how many of them have no object.
std::array<std::array<std::int64_t, 3>, 2> picture_counts(const dataset::Manifest& manifest) {
  std::array<std::array<std::int64_t, 3>, 2> counts{};
  for (const dataset::Sample& sample : manifest.samples) {
    ++counts[0][static_cast<std::size_t>(sample.split)];
    if (sample.annotation.objects.empty()) ++counts[1][static_cast<std::size_t>(sample.split)];
  }
  return counts;
}

void say_counts(const Console& console, const dataset::Manifest& manifest) {
  std::vector<std::vector<std::string>> rows;
  const auto row = [&](const std::string& name, const std::array<std::int64_t, 3>& counts) {
    rows.push_back({name});
    for (const std::int64_t count : counts) rows.back().push_back(human_count(static_cast<std::uint64_t>(count)));
  };
  if (manifest.masks) {
    row("images", picture_counts(manifest)[0]);
    console.table({manifest.masks->instances ? "with a mask of objects" : "with a mask of classes", "train", "validation", "test"}, rows);
    return;
  }
  std::array<std::int64_t, 3> sums{};
  const auto counts = split_counts(manifest);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    row(manifest.classes[i], counts[i]);
    for (std::size_t s = 0; s < 3; ++s) sums[s] += counts[i][s];
  }
  const bool objects = dataset::holds_objects(manifest), attributes = dataset::holds_attributes(manifest),
             texts = dataset::holds_texts(manifest), landmarks = dataset::holds_landmarks(manifest);
  if (!attributes && !landmarks) row(objects ? "all objects" : texts ? "all symbols" : "all", sums);
  if (!dataset::one_class_each(manifest)) {
    const auto pictures = picture_counts(manifest);
    row("images", pictures[0]);
    if (objects) row("images without objects", pictures[1]);
  }
  console.table({objects      ? "objects of"
                 : attributes ? "true of"
                 : texts      ? "symbol"
                 : landmarks  ? "known places of"
                              : "class",
                 "train", "validation", "test"},
                rows);
}

void say_rejected(const Console& console, const dataset::Manifest& manifest, int most) {
  if (manifest.rejected.empty()) return;
  console.say("\n{}:", console.paint(Colour::yellow, plural(manifest.rejected.size(), "rejected file")));
  for (std::size_t i = 0; i < manifest.rejected.size() && i < static_cast<std::size_t>(most); ++i)
    console.say("  {}  ({})", manifest.rejected[i].path, manifest.rejected[i].reason);
  if (manifest.rejected.size() > static_cast<std::size_t>(most))
    console.say("  … and {} more (--most N, or --json for all)", manifest.rejected.size() - static_cast<std::size_t>(most));
}

Result<std::vector<dataset::Suspect>> suspects_of(const demand::Demand& demand, const dataset::Manifest& manifest) {
  const std::string folder = (std::filesystem::temp_directory_path() / fmt::format("sightline-{}", ::getpid())).string();
  SIGHTLINE_CHECK(make_directories(folder));
  const bool grey = std::all_of(manifest.samples.begin(), manifest.samples.end(), [](const dataset::Sample& s) { return s.channels == 1; });
  const auto find = [&]() -> Result<std::vector<dataset::Suspect>> {
    SIGHTLINE_CHECK(dataset::pack(manifest, {.width = 32, .height = 32, .channels = grey ? 1 : 3}, folder + "/images"));
    SIGHTLINE_TRY(const dataset::PackedSet packed, dataset::PackedSet::open(folder + "/images"));
    return factory::find_label_errors(manifest, packed, demand.seed);
  };
  Result<std::vector<dataset::Suspect>> suspects = find();
  SIGHTLINE_CHECK(remove_all(folder));
  return suspects;
}

Result<int> check(Console& console, const DataArguments& arguments) {
  SIGHTLINE_TRY(const demand::Demand demand, demand_of(arguments));
  SIGHTLINE_TRY(const dataset::Manifest manifest, split_manifest(demand));
  const dataset::Audit audit = dataset::audit(manifest);
  std::vector<dataset::Suspect> suspects;
  const bool objects = dataset::holds_objects(manifest);
  if (arguments.label_errors && !dataset::one_class_each(manifest))
    return Error{ErrorKind::usage, "--label-errors ranks pictures with one class each; these have objects, masks, attributes or texts"};
  if (arguments.label_errors) {
    SIGHTLINE_TRY(suspects, suspects_of(demand, manifest));
  }
  const auto counts = split_counts(manifest);
  Json objects_of = Json::object();
  for (std::size_t i = 0; objects && i < counts.size(); ++i) objects_of[manifest.classes[i]] = counts[i][0] + counts[i][1] + counts[i][2];
  console.document({{"root", manifest.root},
                    {"format", manifest.format},
                    {"images", manifest.samples.size()},
                    {"classes", manifest.classes},
                    {"objects", objects_of},
                    {"rejected", to_json(manifest.rejected)},
                    {"audit", to_json(audit)},
                    {"suspects", to_json(suspects)}});
  console.say("{} in {}, {}, format {}\n", plural(manifest.samples.size(), "image"), manifest.root,
              plural(manifest.classes.size(), "class"), manifest.format);
  say_counts(console, manifest);
  say_rejected(console, manifest, arguments.most);
  std::map<std::string, int> shown;
  for (const dataset::Finding& finding : audit.findings) {
    const int nth = ++shown[finding.kind];
    if (nth == 1)
      console.say("\n{} ({}):", console.paint(Colour::yellow, finding.kind),
                  plural(static_cast<std::uint64_t>(audit.counts.at(finding.kind)), "image"));
    if (nth <= arguments.most) console.say("  {}", finding.sentence);
  }
  for (std::size_t i = 0; i < suspects.size() && i < static_cast<std::size_t>(arguments.most); ++i) {
    if (i == 0) console.say("\n{} (most suspect first):", console.paint(Colour::yellow, "labels that are probably wrong"));
    const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(suspects[i].sample)];
    console.say("  {}  is called {}, looks like {}", sample.path, manifest.classes[static_cast<std::size_t>(suspects[i].given)],
                manifest.classes[static_cast<std::size_t>(suspects[i].suggested)]);
  }
  if (audit.findings.empty() && manifest.rejected.empty()) console.say("\nnothing is wrong with these images");
  if (!arguments.label_errors && dataset::one_class_each(manifest))
    console.remark("\n--label-errors also ranks labels that are probably wrong");
  return 0;
}

// What training sees of a picture in its first epochs, side by side, drawn by the worker that trains.
Result<image::Image> draw_augmented(const image::Image& input, const modules::Recipe& recipe, std::int64_t seed, std::size_t sample) {
  constexpr int epochs = 8;
  constexpr int gap = 2;
  SIGHTLINE_TRY(const std::string worker, line::find_worker("sightline-train"));
  const TemporaryFolder folder;
  const std::string picture = folder / "picture.raw", output = folder / "drawn.raw";
  SIGHTLINE_CHECK(write_file(picture, std::string_view(reinterpret_cast<const char*>(input.pixels.data()), input.pixels.size())));
  const modules::AugmentationSpec spec{.augmentation = recipe.augmentation,
                                       .height = input.height,
                                       .width = input.width,
                                       .channels = input.channels,
                                       .seed = seed,
                                       .sample = static_cast<std::int64_t>(sample),
                                       .epochs = epochs,
                                       .picture = picture,
                                       .output = output};
  SIGHTLINE_CHECK(line::run_worker(worker, to_json(spec), folder / "spec.json", [](const Json&) {}));
  SIGHTLINE_TRY(const std::string drawn, read_file(output));
  if (drawn.size() != input.pixels.size() * epochs) return Error{ErrorKind::internal, worker + " drew something else"};
  image::Image sheet{.width = epochs * (input.width + gap) - gap, .height = input.height, .channels = input.channels, .pixels = {}};
  sheet.pixels.assign(static_cast<std::size_t>(sheet.height) * sheet.row_bytes(), 255);
  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (int y = 0; y < input.height; ++y) {
      const std::size_t from = static_cast<std::size_t>(epoch * input.height + y) * input.row_bytes();
      const std::size_t to = static_cast<std::size_t>(y) * sheet.row_bytes() +
                             static_cast<std::size_t>(epoch * (input.width + gap)) * static_cast<std::size_t>(input.channels);
      std::copy_n(drawn.begin() + static_cast<std::ptrdiff_t>(from), input.row_bytes(),
                  sheet.pixels.begin() + static_cast<std::ptrdiff_t>(to));
    }
  }
  return sheet;
}

// What there is in a picture, a line an object.
void say_objects(const Console& console, const dataset::Manifest& manifest, const dataset::Sample& sample) {
  console.say("  objects     {}", sample.annotation.objects.size());
  for (const annotation::Object& object : sample.annotation.objects)
    console.say("    {}  left {:g}, top {:g}, right {:g}, bottom {:g}{}{}", manifest.classes[static_cast<std::size_t>(object.label)],
                object.box.left, object.box.top, object.box.right, object.box.bottom, object.crowd ? ", crowd" : "",
                object.difficult ? ", difficult" : "");
}

// Or where its landmarks are.
void say_landmarks(const Console& console, const dataset::Manifest& manifest, const dataset::Sample& sample) {
  for (std::size_t k = 0; k < sample.annotation.landmarks.size(); ++k) {
    const annotation::Landmark& point = sample.annotation.landmarks[k];
    if (point.said == annotation::Landmark::unknown)
      console.say("    {}  not said", manifest.classes[k]);
    else
      console.say("    {}  x {:g}, y {:g}{}", manifest.classes[k], point.x, point.y,
                  point.said == annotation::Landmark::hidden ? ", covered" : "");
  }
}

Json objects_json(const dataset::Manifest& manifest, const dataset::Sample& sample) {
  Json objects = Json::array();
  for (const annotation::Object& object : sample.annotation.objects)
    objects.push_back({{"class", manifest.classes[static_cast<std::size_t>(object.label)]},
                       {"box", {object.box.left, object.box.top, object.box.right, object.box.bottom}},
                       {"crowd", object.crowd},
                       {"difficult", object.difficult}});
  return objects;
}

std::string size_of(const image::Image& picture) { return fmt::format("{}×{}×{}", picture.height, picture.width, picture.channels); }

// A picture with objects: which net it goes to is decided by the build, so that the walk ends at the letterboxed picture.
Result<int> show_with_objects(Console& console, const DataArguments& arguments, const demand::Demand& demand,
                              const dataset::Manifest& manifest, std::size_t index) {
  if (!arguments.augmented.empty())
    return Error{ErrorKind::usage, "--augmented draws pictures with one class each; these have objects, landmarks or masks"};
  constexpr int usual_side = 416;
  const int side = demand.recipe.side.value_or(usual_side);
  const dataset::Sample& sample = manifest.samples[index];
  SIGHTLINE_TRY(const image::Image stored, dataset::SampleReader(manifest.root).read(sample.path, {.apply_exif = false}));
  SIGHTLINE_TRY(const image::Image upright, dataset::SampleReader(manifest.root).read(sample.path));
  const image::Image input = image::resize(upright, side, side, image::Fit::fit);
  if (!arguments.out.empty()) SIGHTLINE_CHECK(write_file(arguments.out, image::encode_png(input)));
  console.document({{"index", index},
                    {"sample", to_json(sample)},
                    {"objects", objects_json(manifest, sample)},
                    {"landmarks", to_json(sample.annotation.landmarks)},
                    {"mask", sample.mask.path.empty() ? Json(nullptr) : Json(sample.mask.path)},
                    {"decoded", size_of(stored)},
                    {"upright", size_of(upright)},
                    {"input", size_of(input)}});
  console.say("sample {} of {}: {}", index, manifest.samples.size(), sample.path);
  console.say("  digest      {}", sample.digest);
  console.say("  split       {}{}", enum_name(sample.split), sample.group.empty() ? "" : ", group " + sample.group);
  console.say("  decoded     {} (rows × columns × channels), 8 bits", size_of(stored));
  console.say("  upright     {}", size_of(upright));
  console.say("  letterboxed {} (--side)", size_of(input));
  if (manifest.masks)
    console.say("  mask        {}", sample.mask.path);
  else if (!sample.annotation.landmarks.empty())
    say_landmarks(console, manifest, sample);
  else
    say_objects(console, manifest, sample);
  if (!arguments.out.empty()) console.say("  written     {} (letterboxed)", arguments.out);
  return 0;
}

Result<int> show(Console& console, const DataArguments& arguments) {
  SIGHTLINE_TRY(const demand::Demand demand, demand_of(arguments));
  SIGHTLINE_TRY(const dataset::Manifest manifest, split_manifest(demand));
  std::size_t index = manifest.samples.size();
  if (!arguments.target.empty() && arguments.target.size() < 10 && arguments.target.find_first_not_of("0123456789") == std::string::npos) {
    index = static_cast<std::size_t>(std::stoul(arguments.target));
  } else {
    for (std::size_t i = 0; i < manifest.samples.size(); ++i) {
      if (manifest.samples[i].path == arguments.target) index = i;
    }
  }
  if (index >= manifest.samples.size()) {
    return Error{ErrorKind::usage, fmt::format("\"{}\" is not a sample: give a number from 0 to {} or a path inside {}", arguments.target,
                                               manifest.samples.size() - 1, manifest.root)};
  }
  if (!dataset::one_class_each(manifest)) return show_with_objects(console, arguments, demand, manifest, index);
  const dataset::Sample& sample = manifest.samples[index];
  const dataset::SampleReader reader(manifest.root);
  const bool texts = dataset::holds_texts(manifest);
  SIGHTLINE_TRY(const factory::ChosenRecipe chosen,
                texts ? factory::choose_reader_recipe(demand, manifest, std::nullopt, 1) : factory::choose_recipe(demand, manifest, 1));
  SIGHTLINE_TRY(const image::Image stored, reader.read(sample.path, {.apply_exif = false}));
  SIGHTLINE_TRY(const image::Image upright, reader.read(sample.path, {.channels = chosen.recipe.channels}));
  const image::Image input = image::resize(upright, chosen.recipe.input_width(), chosen.recipe.side);
  const image::Statistics before = image::statistics_of(upright);
  const image::Statistics after = image::statistics_of(input);
  if (!arguments.out.empty()) SIGHTLINE_CHECK(write_file(arguments.out, image::encode_png(input)));
  if (!arguments.augmented.empty()) {
    SIGHTLINE_TRY(const image::Image sheet, draw_augmented(input, chosen.recipe, demand.seed, index));
    SIGHTLINE_CHECK(write_file(arguments.augmented, image::encode_png(sheet)));
  }

  console.document({{"index", index},
                    {"sample", to_json(sample)},
                    {texts ? "text" : "class", texts ? sample.annotation.text : manifest.classes[static_cast<std::size_t>(sample.label)]},
                    {"decoded", size_of(stored)},
                    {"upright", size_of(upright)},
                    {"input", size_of(input)},
                    {"input_mean", after.mean},
                    {"input_deviation", after.deviation},
                    {"augmentation", enum_name(chosen.recipe.augmentation)}});
  console.say("sample {} of {}: {}", index, manifest.samples.size(), sample.path);
  console.say("  digest      {}", sample.digest);
  if (texts)
    console.say("  text        {}", sample.annotation.text);
  else
    console.say("  label       {} ({})", sample.label, manifest.classes[static_cast<std::size_t>(sample.label)]);
  console.say("  split       {}{}", enum_name(sample.split), sample.group.empty() ? "" : ", group " + sample.group);
  console.say("  decoded     {} (rows × columns × channels), 8 bits", size_of(stored));
  console.say("  upright     {}  grey levels {:.1f} ± {:.1f}, sharpness {:.0f}", size_of(upright), before.mean, before.deviation,
              before.sharpness);
  console.say("  resized     {}  grey levels {:.1f} ± {:.1f}", size_of(input), after.mean, after.deviation);
  console.say("  augmented   {} (training only, drawn anew each epoch)", enum_name(chosen.recipe.augmentation));
  for (const graph::Node& node : chosen.graph.nodes) {
    if (node.op_type == "Conv") break;
    console.say("  in the net  {} -> {}", node.op_type, node.outputs.front());
  }
  if (!arguments.out.empty()) console.say("  written     {} (the network's input)", arguments.out);
  if (!arguments.augmented.empty()) console.say("  written     {} (as training sees it in eight epochs)", arguments.augmented);
  return 0;
}

Result<int> split_verb(Console& console, const DataArguments& arguments) {
  SIGHTLINE_TRY(const demand::Demand demand, demand_of(arguments));
  SIGHTLINE_TRY(const dataset::Manifest manifest, split_manifest(demand));
  if (!arguments.out.empty()) SIGHTLINE_CHECK(write_file(arguments.out, dataset::write_manifest(manifest)));
  Json counts = Json::object();
  const auto table = split_counts(manifest);
  for (std::size_t i = 0; i < table.size(); ++i)
    counts[manifest.classes[i]] = {{"train", table[i][0]}, {"validation", table[i][1]}, {"test", table[i][2]}};
  console.document(
      {{"classes", counts}, {"given_test", manifest.given_test}, {"rejected", manifest.rejected.size()}, {"manifest", arguments.out}});
  say_counts(console, manifest);
  say_rejected(console, manifest, arguments.most);
  console.say("\nthe test split {}", manifest.given_test ? "is the data's own" : fmt::format("was drawn with seed {}", demand.seed));
  if (!arguments.out.empty()) console.say("manifest  {}", arguments.out);
  return 0;
}

Result<int> draw(Console& console, const DataArguments& arguments) {
  if (arguments.layouts.empty()) {
    std::vector<std::string> words;
    for (const dataset::LineLayout& layout : dataset::line_layouts())
      words.push_back(fmt::format("{} ({})", layout.name, layout.description));
    return Error{ErrorKind::usage, "--layout says what is drawn: " + join(words, ", ")};
  }
  if (arguments.count < 1 || arguments.count > 10'000'000) return Error{ErrorKind::usage, "--count is 1 to 10,000,000"};
  SIGHTLINE_CHECK(dataset::draw_lines(arguments.layouts, arguments.count, static_cast<std::uint64_t>(arguments.seed), arguments.directory));
  const auto lines = static_cast<std::uint64_t>(arguments.count) * arguments.layouts.size();
  console.say("{} drawn into {}, what is written on them into {}/labels.csv", plural(lines, "picture"), arguments.directory,
              arguments.directory);
  console.document({{"folder", arguments.directory},
                    {"pictures", lines},
                    {"layouts", arguments.layouts},
                    {"seed", arguments.seed},
                    {"version", dataset::drawn_lines_version}});
  return 0;
}

Result<int> run_data(Console& console, const DataArguments& arguments) {
  if (arguments.action == "check") return check(console, arguments);
  if (arguments.action == "show") return show(console, arguments);
  if (arguments.action == "convert") {
    if (arguments.target.empty())
      return Error{ErrorKind::usage, "convert wants a folder to write: sightline data convert IN OUT --to coco"};
    SIGHTLINE_TRY(const demand::Demand demand, demand_of(arguments));
    return convert_data(console, demand.data, arguments.conversion);
  }
  if (arguments.action == "draw") return draw(console, arguments);
  return split_verb(console, arguments);
}

Action declare(Arguments& arguments) {
  auto values = std::make_shared<DataArguments>();
  arguments.positional("ACTION", values->action, "check, show, split, convert or draw", true,
                       {"check", "show", "split", "convert", "draw"});
  arguments.positional("DIR", values->directory, "folder of images, or a demand file; draw: the folder to write");
  arguments.positional("TARGET", values->target, "show: the sample's number or path; convert: the folder to write", false);
  std::vector<std::string> formats = dataset::format_names();
  formats.insert(formats.begin(), "auto");
  arguments.option("--format", values->format, "NAME", "how the labels are stored", formats);
  arguments.option("--labels", values->labels, "FILE", "for csv: the file with path,label rows; for coco: the JSON file");
  arguments.option("--attributes", values->attributes, "COLUMNS", "for attributes: the CSV file's columns, with commas between");
  arguments.option("--bad-boxes", values->bad_boxes, "WHAT", "boxes without area or beyond the picture", {"reject", "clip", "stop"});
  arguments.option("--group-by", values->group_by, "WHAT", "what must not be torn apart",
                   {"none", "folder", "pattern", "column", "near_duplicates"});
  arguments.option("--pattern", values->pattern, "REGEX", "for --group-by pattern: its first group names the group");
  arguments.option("--column", values->column, "NAME", "for --group-by column: the CSV column");
  arguments.option("--validation", values->validation, "SHARE", "share for validation");
  arguments.option("--test", values->test, "SHARE", "share for test, when the data bring none");
  arguments.option("--seed", values->seed, "N", "decides the split, and what is drawn");
  arguments.option("--side", values->side, "PIXELS", "for show: the network's input side");
  arguments.option("--most", values->most, "N", "how many findings of a kind are printed");
  arguments.option("-o,--out", values->out, "FILE", "split: write the manifest; show: write the network's input as PNG");
  arguments.option("--augmented", values->augmented, "FILE", "show: draw what training sees of it in eight epochs, as PNG");
  arguments.option("--to", values->conversion.to, "FORMAT", "convert: the format to write", {"coco", "yolo", "voc"});
  arguments.option("--layout", values->layouts, "NAME", "draw: what the lines look like (eu, br, us, cn, words); may be given again");
  arguments.option("--count", values->count, "N", "draw: lines of each layout");
  arguments.flag("--strict", values->conversion.strict, "convert: write nothing when something would be lost");
  arguments.flag("--no-pictures", values->conversion.without_pictures, "convert: write the annotations only");
  arguments.flag("--label-errors", values->label_errors, "check: also rank labels that are probably wrong");
  return [values](Console& console) {
    values->conversion.out = values->target;
    return run_data(console, *values);
  };
}

constexpr Example examples[] = {
    {"sightline data check images/", "what is in the folder and what is wrong with it"},
    {"sightline data check images/ --label-errors", "also the labels that are probably wrong"},
    {"sightline data show images/ 17 --out input.png", "one sample through every transform"},
    {"sightline data show images/ 17 --augmented sheet.png", "what training makes of it, epoch by epoch"},
    {"sightline data split images/ --test 0.2 --seed 7 --out manifest.jsonl", "which image goes where"},
    {"sightline data convert voc/ coco/ --to coco", "the same pictures and boxes in another format, and what it cannot carry"},
    {"sightline data draw plates/ --layout eu --layout br --count 5000", "plates that were never made, with what is written on them"},
};

}  // namespace

constexpr Verb data_verb{"data",
                         Group::make,
                         "look at images: check, show, split, convert, draw",
                         "check  reads every image and lists duplicates, leaks between splits, bad images and odd classes\n"
                         "show   walks one sample through decoding, orientation, resizing and the net's own preprocessing\n"
                         "split  decides train, validation and test, and writes the manifest\n"
                         "convert writes boxes as COCO, YOLO or VOC into a new folder, pictures included\n"
                         "draw   writes pictures of plates and lines of text, and a table of what is written on them: to train readers",
                         examples,
                         declare};

}  // namespace sightline::cli
