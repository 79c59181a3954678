// init: looks at a folder of images and writes a commented demand for it.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <numeric>

#include "app/cli/verbs.h"
#include "base/files.h"
#include "base/text.h"
#include "dataset/good_pictures.h"
#include "dataset/import.h"
#include "demand/demand.h"

namespace sightline::cli {
namespace {

struct InitArguments {
  std::string directory, out, name;
  bool force = false;
};

std::string name_from(const std::string& directory) {
  std::string name = std::filesystem::path(absolute_path(directory + "/.")).parent_path().filename().string();
  for (char& c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '-' && c != '_') c = '-';
  }
  name.resize(std::min<std::size_t>(name.size(), 64));
  return name.empty() ? "model" : name;
}

std::string yaml_text(const std::string& text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

// One class alone, or one that is called good (as in MVTec's layout).
bool learns_from_good(const std::vector<std::string>& classes) {
  return classes.size() == 1 || std::ranges::count_if(classes, dataset::is_called_good) == 1;
}

std::string good_demand_text(const std::string& name, const std::string& path, const dataset::Manifest& manifest,
                             const std::string& classes) {
  const auto good = static_cast<std::size_t>(std::ranges::count(manifest.samples, 0, &dataset::Sample::label));
  const std::size_t others = manifest.samples.size() - good;
  std::string text;
  if (manifest.format == "pictures")
    text +=
        "# Sharp pictures alone can also teach how to mend noisy, blurred or small ones: then write task: restore and restore: {kind: "
        "denoise}\n# (or deblur, super_resolve) instead, and leave data.good, target and alarm out.\n\n";
  text += fmt::format("name: {}\ntask: anomaly   # learned from good pictures only", name);
  if (manifest.format != "mvtec" && manifest.classes.size() > 1) text += "; classify, where there are enough of the others to learn from";
  text += fmt::format("\n\n# {} and {} that {} not: {}\n", plural(good, "good picture"), plural(others, "picture"),
                      others == 1 ? "is" : "are", classes);
  if (others == 0)
    text += "# Without pictures that are not good only false alarms can be measured: bring some, in a folder for each kind.\n";
  if (!manifest.rejected.empty())
    text += fmt::format("# {} of the files are no samples; `sightline data check` lists them\n", human_count(manifest.rejected.size()));
  text += fmt::format(
      "data:\n  path: {}\n  format: {}\n  good: {}\n  licence: not stated   # goes into the lineage of every model\n  origin: not "
      "stated\n\n",
      yaml_text(path), manifest.format, yaml_text(manifest.classes.front()));
  text += others > 0
              ? "# What must be reached on untouched test images before anything is released.\ntarget:\n  metric: image_auroc   # or "
                "pixel_auroc, aupro (where there are masks), average_precision\n  at_least: 0.80\n\n"
              : "";
  text +=
      "# The share of good pictures that may be taken for bad.\nalarm:\n  false_alarms: 0.05\n\n"
      "# Limits that the model keeps on this machine; delete what does not matter.\nlimits:\n  latency_ms: 100       # p95 per image, "
      "after "
      "decoding\n  size_mb: 100\n\n"
      "# Of the good pictures: those that the threshold is chosen by, and those that are tested.\nsplit:\n  validation: 0.2\n";
  if (!manifest.given_test) text += "  test: 0.2\n";
  return text + "  group_by: near_duplicates   # or none, folder, pattern, column\n\nseed: 0\n";
}

// What the demand for a task suggests; numbers to begin with.
struct Suggestion {
  const char* task;
  const char* target;
  int latency_ms, size_mb, minutes;
};
constexpr std::array suggestions{
    Suggestion{"classify", "metric: top1          # or top5, macro_f1\n  at_least: 0.90", 10, 2, 3},
    Suggestion{"detect", "metric: mAP50         # or mAP50-95, AR100\n  at_least: 0.70", 100, 30, 10},
    Suggestion{"segment", "metric: mIoU           # or dice, boundary_f1\n  at_least: 0.50", 100, 30, 10},
    Suggestion{"landmarks", "metric: pck_0.1        # or pck_0.05, success_0.1, auc_0.1\n  at_least: 0.90", 50, 30, 10},
    Suggestion{"read", "metric: text_accuracy  # or character_accuracy, top5\n  at_least: 0.90", 20, 5, 5},
};

const Suggestion& suggestion_for(const dataset::Manifest& manifest) {
  const char* task = manifest.masks                       ? "segment"
                     : dataset::holds_objects(manifest)   ? "detect"
                     : dataset::holds_texts(manifest)     ? "read"
                     : dataset::holds_landmarks(manifest) ? "landmarks"
                                                          : "classify";
  return *std::ranges::find(suggestions, std::string_view(task), [](const Suggestion& each) { return std::string_view(each.task); });
}

// More than half of them lose half of their pixels a side in the largest usual input.
bool are_large(const dataset::Manifest& manifest) {
  constexpr int twice_the_input = 640;
  const auto large = std::ranges::count_if(
      manifest.samples, [](const dataset::Sample& sample) { return std::max(sample.width, sample.height) > twice_the_input; });
  return 2 * large > std::ssize(manifest.samples);
}

// "1,200 images, 3,400 objects in 3 classes: …"
std::string what_there_is(const dataset::Manifest& manifest, const std::string& task, const std::string& classes) {
  const auto objects = std::accumulate(manifest.samples.begin(), manifest.samples.end(), std::uint64_t{0},
                                       [](std::uint64_t sum, const auto& sample) { return sum + sample.annotation.objects.size(); });
  const char* noun = task == "read" ? "symbol" : task == "landmarks" ? "point" : "class";
  return fmt::format("{}{} {} {}: {}", plural(manifest.samples.size(), "image"), task == "detect" ? ", " + plural(objects, "object") : "",
                     task == "landmarks" ? "with" : "in", plural(manifest.classes.size(), noun), classes);
}

std::string demand_text(const std::string& file, const std::string& name, const std::string& path, const dataset::Manifest& manifest) {
  std::string classes = join({manifest.classes.begin(),
                              manifest.classes.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(manifest.classes.size(), 12))},
                             ", ");
  std::replace(classes.begin(), classes.end(), '\n', ' ');
  if (manifest.classes.size() > 12) classes += ", …";
  std::string text;
  text += fmt::format("# What Sightline shall make of {}.\n# Build it:   sightline build {}\n\n", plural(manifest.samples.size(), "image"),
                      file);
  const Suggestion& suggested = suggestion_for(manifest);
  const std::string task = suggested.task;
  if (task == "classify" && learns_from_good(manifest.classes)) return text + good_demand_text(name, path, manifest, classes);
  text += fmt::format("name: {}\ntask: {}\n\n", name, task);
  text += fmt::format("# {}\n", what_there_is(manifest, task, classes));
  if (!manifest.rejected.empty())
    text += fmt::format("# {} of the files or boxes rejected; `sightline data check` lists them\n", human_count(manifest.rejected.size()));
  text += fmt::format(
      "data:\n  path: {}\n  format: {}\n  licence: not stated   # goes into the lineage of every model\n  origin: not stated\n\n",
      yaml_text(path), manifest.format);
  if (task == "read")
    text +=
        "# What texts may look like, where that is known: A a letter, 9 a digit, * either, [..] one of these.\n"
        "# read: {formats: [\"AA-999\"]}\n\n";
  if (task == "segment" && are_large(manifest))
    text +=
        "# The pictures are much larger than the net's input, to which they are shrunk. Where what matters is small, cut them into pieces "
        "at\n"
        "# their own size instead.\n# segment: {pieces: true}\n\n";
  const bool apart = manifest.masks && manifest.masks->instances;
  text += fmt::format("# What must be reached on untouched test images before anything is released.\ntarget:\n  {}\n\n",
                      apart ? "metric: mask_ap50      # or mask_ap, mIoU, dice, boundary_f1\n  at_least: 0.50" : suggested.target);
  text += fmt::format(
      "# Limits that the model keeps on this machine; delete what does not matter.\nlimits:\n  latency_ms: {}        # p95 per image, "
      "after decoding\n  size_mb: {}\n\n",
      suggested.latency_ms, suggested.size_mb);
  text +=
      "# Ship fewer bits where no more than half a point of the metric is lost on validation images.\n# compress: {precision: auto}\n\n";
  text += fmt::format(
      "# How long it may train: minutes, or epochs (passes over the images; repeatable to the bit).\nbudget:\n  minutes: {}\n\n",
      suggested.minutes);
  text +=
      manifest.given_test
          ? "# The data bring their own test split, which is respected.\nsplit:\n  validation: 0.1\n"
          : "# Shares that are kept out of training; near duplicates never fall on both sides.\nsplit:\n  validation: 0.1\n  test: 0.2\n";
  text += "  group_by: near_duplicates   # or none, folder, pattern, column\n\nseed: 0\n";
  return text;
}

Result<dataset::Manifest> import_as_it_looks(const demand::Data& data) {
  SIGHTLINE_TRY(const std::vector<std::string> classes, dataset::list_classes(data));
  return dataset::import_data(data, {}, nullptr, learns_from_good(classes));
}

Result<int> run_init(Console& console, const InitArguments& arguments) {
  demand::Data data;
  data.path = absolute_path(arguments.directory);
  data.max_rejected = 1;
  SIGHTLINE_TRY(const dataset::Manifest manifest, import_as_it_looks(data));
  const std::string name = arguments.name.empty() ? name_from(arguments.directory) : arguments.name;
  const std::string out = arguments.out.empty() ? name + ".yaml" : arguments.out;
  if (path_exists(out) && !arguments.force)
    return Error{ErrorKind::conflict, fmt::format("{} exists already; --force overwrites it, --out FILE writes another", out)};
  const std::string text = demand_text(out, name, data.path, manifest);
  // What we write must be what we read.
  SIGHTLINE_TRY(const demand::Demand parsed, demand::parse_demand(text, out));
  SIGHTLINE_CHECK(write_file(out, text));
  console.document({{"demand", out},
                    {"name", parsed.name},
                    {"format", manifest.format},
                    {"images", manifest.samples.size()},
                    {"classes", manifest.classes},
                    {"rejected", manifest.rejected.size()}});
  console.say("wrote {}: {} in {}", out, plural(manifest.samples.size(), "image"), plural(manifest.classes.size(), "class"));
  if (!manifest.rejected.empty())
    console.say("{} of the files or boxes rejected: sightline data check {}", human_count(manifest.rejected.size()), arguments.directory);
  console.say("next  sightline build {}", out);
  return 0;
}

Action declare(Arguments& arguments) {
  auto values = std::make_shared<InitArguments>();
  arguments.positional("DIR", values->directory,
                       "folder of images: a folder per class, IDX files, a CSV file beside images with labels, texts or points; with boxes "
                       "COCO, YOLO or VOC; with masks a "
                       "PNG for each image; of good pictures MVTec's layout, folders of which one is called good, or pictures alone");
  arguments.option("-o,--out", values->out, "FILE", "where to write (default: NAME.yaml here)");
  arguments.option("--name", values->name, "NAME", "the model's name (default: the folder's)");
  arguments.flag("--force", values->force, "overwrite an existing file");
  return [values](Console& console) { return run_init(console, *values); };
}

constexpr Example examples[] = {{"sightline init images/", "look at the folder, write images.yaml"},
                                {"sightline init /usr/share/datasets/fashion-mnist --name apparel", "with a name of your own"}};

}  // namespace

constexpr Verb init_verb{"init",
                         Group::make,
                         "write a commented demand for a folder of images",
                         "Reads every image once, so that what cannot be read is known before anything is built on it.",
                         examples,
                         declare};

}  // namespace sightline::cli
