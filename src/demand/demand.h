// What a person wants, parsed once from YAML into this plain struct. Everything but name, task and data has a default.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "base/yaml.h"
#include "tasks/degradation.h"
#include "tasks/text_formats.h"

namespace sightline::demand {

// A box without area, beyond its picture, or of no known class: leave it out, keep what of it lies in the picture, or build nothing.
enum class BadBoxes { reject, clip, stop };
enum class GroupBy { none, folder, pattern, column, near_duplicates };

// Which frames of a video are pictures of the data: one at the start and then at these steps; of a video that would give more, as many as
// are allowed, spread evenly over it.
struct Frames {
  double every_s = 1;
  int at_most = 200;
  static constexpr auto fields() {
    return std::tuple{field("every_s", &Frames::every_s, "seconds from one frame to the next"),
                      field("at_most", &Frames::at_most, "frames of one video; a longer one gives as many, spread evenly")};
  }
};

struct Data {
  std::string path;
  std::string format = "auto";
  std::optional<std::string> labels;  // CSV: the file, relative to path
  std::optional<std::vector<std::string>> attributes;
  std::string licence = "not stated";
  std::string origin = "not stated";
  std::optional<std::string> good;
  double max_rejected = 0.01;
  BadBoxes bad_boxes = BadBoxes::reject;
  std::optional<std::string> pairs;  // relative to path
  std::optional<std::string> symbols;
  Frames frames;  // of videos
  static constexpr auto fields() {
    return std::tuple{
        field("path", &Data::path, "folder of images, IDX folder, or CSV file; relative to the demand file"),
        field("format", &Data::format,
              "auto, folders, idx, csv, mvtec or pictures (of anomaly and restore); with boxes coco, yolo or voc; with texts texts; with "
              "masks masks; with "
              "landmarks landmarks"),
        field("labels", &Data::labels,
              "for csv and texts: the file with path,label or path,text rows, relative to path; or one elsewhere, which alone says what "
              "the data are; for coco: the "
              "JSON file"),
        field("attributes", &Data::attributes,
              "for task attributes: columns of the CSV file, each a question of yes or no, of values or of tags"),
        field("licence", &Data::licence, "licence of the images; goes into the lineage"),
        field("origin", &Data::origin, "where the images come from; goes into the lineage"),
        field("good", &Data::good, "of anomaly: the class of what is as it should be; left out: the one called good, ok, normal, …"),
        field("max_rejected", &Data::max_rejected, "share of files, and of boxes, that may be rejected before the build stops"),
        field("bad_boxes", &Data::bad_boxes,
              "boxes without area or beyond the picture, and masks that cannot be used: reject, clip (masks: reject) or stop"),
        field("pairs", &Data::pairs,
              "of embed: which pictures are compared, and in which fold, as LFW's pairs.txt says it; relative to path"),
        field("symbols", &Data::symbols, "of texts: a file with one symbol a line; a text with any other is rejected"),
        field("frames", &Data::frames)};
  }
};

struct SplitPlan {
  double validation = 0.1;
  double test = 0.2;
  GroupBy group_by = GroupBy::near_duplicates;
  std::optional<std::string> pattern;
  std::optional<std::string> column;
  std::vector<int> test_folds;
  static constexpr auto fields() {
    return std::tuple{
        field("validation", &SplitPlan::validation, "share of the training images kept for choosing and calibrating"),
        field("test", &SplitPlan::test, "share kept untouched for the final figures, when the data bring no test split"),
        field("group_by", &SplitPlan::group_by, "what must not be torn apart: none, folder, pattern, column, near_duplicates"),
        field("pattern", &SplitPlan::pattern, "for pattern: a regular expression; its first group names the group"),
        field("column", &SplitPlan::column, "for column: the CSV column"),
        field("test_folds", &SplitPlan::test_folds, "with data.pairs: the folds whose identities are kept for the test, at least one")};
  }
};

struct Target {
  std::string metric = "top1";  // the task's first one, where the demand says nothing
  double at_least = 0.0;
  static constexpr auto fields() {
    return std::tuple{field("metric", &Target::metric, "one of the task's metrics (docs/demand.md); its first one, where nothing is said"),
                      field("at_least", &Target::at_least, "the least value that is released")};
  }
};

struct Limits {
  std::optional<double> latency_ms;
  std::optional<double> size_mb;
  int cores = 0;
  static constexpr auto fields() {
    return std::tuple{field("latency_ms", &Limits::latency_ms, "p95 per image at batch 1, after decoding"),
                      field("size_mb", &Limits::size_mb, "the package without its golden samples, decimal megabytes"),
                      field("cores", &Limits::cores, "cores that training and the measurements may use; 0: all")};
  }
};

// Fewer bits than f32 for what is shipped.
struct Compress {
  std::string precision = "f32";
  double tolerance = 0.5;
  std::string method = "percentile";
  int calibration_images = 256;
  static constexpr auto fields() {
    return std::tuple{
        field("precision", &Compress::precision, "f32, auto, bf16, mixed or int8: what to try; f32 is kept when the loss is too large"),
        field("tolerance", &Compress::tolerance, "points of the target's metric that may be lost on validation images"),
        field("method", &Compress::method, "how int8 chooses ranges: percentile or entropy"),
        field("calibration_images", &Compress::calibration_images, "training images that the ranges are taken from")};
  }
};

struct Budget {
  std::optional<int> epochs;
  std::optional<double> minutes;
  static constexpr auto fields() {
    return std::tuple{field("epochs", &Budget::epochs, "passes over the training images"),
                      field("minutes", &Budget::minutes, "or: minutes of training")};
  }
};

// How candidates share the time of a search: by successive halving; drawn at random, each judged whole; or the default alone.
enum class SearchStrategy { halving, random, standard };

// Backbones, heads, sides, recipes compete under the limits, instead of the line's own choice.
struct Search {
  double minutes = 0;
  SearchStrategy strategy = SearchStrategy::halving;
  static constexpr auto fields() {
    return std::tuple{field("minutes", &Search::minutes, "what the search may take, by the clock"),
                      field("strategy", &Search::strategy, "halving; random or default: what it is compared with")};
  }
};

// Pins parts of the recipe; what is left out is chosen by the line.
struct RecipePins {
  std::optional<std::string> backbone;
  std::optional<std::vector<std::string>> cut;
  std::optional<std::string> neck;
  std::optional<std::string> head;
  std::optional<std::string> loss;
  std::optional<double> smoothing;
  std::optional<int> side;
  std::optional<int> batch;
  std::optional<double> learning_rate;
  std::optional<std::string> augmentation;
  std::optional<std::string> optimizer;
  std::optional<std::string> schedule;
  std::optional<double> weight_decay;
  static constexpr auto fields() {
    return std::tuple{field("backbone", &RecipePins::backbone, "see `sightline modules`"),
                      field("cut", &RecipePins::cut,
                            "what of a network the head reads: words (early, middle, last, all) or names of values, one or a list"),
                      field("neck", &RecipePins::neck, "how the places of a map become one vector: average, max or generalised_mean"),
                      field("head", &RecipePins::head, "linear, or for a frozen backbone the kind that is fitted in closed form"),
                      field("loss", &RecipePins::loss,
                            "cross_entropy, balanced_cross_entropy, class_balanced or focal; of embed softmax, cosface, arcface, adaface, "
                            "contrastive, triplet or deepid2"),
                      field("smoothing", &RecipePins::smoothing, "share of a label that is spread over all classes"),
                      field("side", &RecipePins::side, "input side in pixels"),
                      field("batch", &RecipePins::batch, "images per training step"),
                      field("learning_rate", &RecipePins::learning_rate, "peak learning rate"),
                      field("augmentation", &RecipePins::augmentation,
                            "none, flip, light, strong, light_unflipped or strong_unflipped; of detect also mosaic, of read text"),
                      field("optimizer", &RecipePins::optimizer, "sgd or adamw"),
                      field("schedule", &RecipePins::schedule, "one_cycle or cosine"),
                      field("weight_decay", &RecipePins::weight_decay, "how much weights are pulled to zero")};
  }
};

// What of a foreign network stays as it is while the head learns. automatic: as much as the target allows (factory/escalation.h).
enum class Freeze { automatic, none, early, backbone };

// Weights that somebody else trained.
struct Backbone {
  std::optional<std::string> name;
  std::optional<std::string> onnx;
  std::vector<std::string> cut = {"auto"};
  std::optional<std::string> weights;
  Freeze freeze = Freeze::automatic;
  std::optional<std::vector<double>> mean;
  std::optional<std::vector<double>> scale;
  std::optional<std::string> licence;
  std::optional<std::string> origin;
  static constexpr auto fields() {
    return std::tuple{
        field("name", &Backbone::name, "a network that was imported into the workspace (`sightline backbone list`)"),
        field("onnx", &Backbone::onnx, "a network as an ONNX file, relative to the demand file: its features are used and tuned"),
        field("cut", &Backbone::cut, "the values that the new head reads: auto, words (early, middle, last, all) or names in the file"),
        field("weights", &Backbone::weights, "for recipe.backbone: .safetensors, or PyTorch's .pth, .pt or .ckpt"),
        field(
            "freeze", &Backbone::freeze,
            "what stays as it is: auto (as much as the target allows), none, early (the first half of the layers), backbone (only the head "
            "learns)"),
        field("mean", &Backbone::mean, "what the network expects to be subtracted, on the 0..255 scale: one number or one per channel"),
        field("scale", &Backbone::scale, "what it expects to be divided by afterwards, likewise"),
        field("licence", &Backbone::licence, "licence of the weights; goes into the lineage"),
        field("origin", &Backbone::origin, "where the weights come from; goes into the lineage")};
  }
};

enum class Thresholds { none, per_class };

// How a model decides between classes, beyond taking the most probable one.
struct Decide {
  Thresholds thresholds = Thresholds::none;
  std::optional<double> precision;
  static constexpr auto fields() {
    return std::tuple{
        field("thresholds", &Decide::thresholds, "none, or per_class: each class has a probability of its own that it must reach"),
        field("precision", &Decide::precision,
              "with per_class: how often an answer must be right; where no class is that sure, the model says so")};
  }
};

// Sets of classes that hold the right one with a stated probability.
struct PredictionSets {
  double coverage = 0.9;
  bool per_class = false;
  static constexpr auto fields() {
    return std::tuple{field("coverage", &PredictionSets::coverage, "the share of pictures whose set holds the right class"),
                      field("per_class", &PredictionSets::per_class, "whether that holds within each class, or over all pictures")};
  }
};

// When a model that learned from good pictures says that one is not.
struct Alarm {
  double false_alarms = 0.05;
  static constexpr auto fields() {
    return std::tuple{
        field("false_alarms", &Alarm::false_alarms, "share of good pictures that may be taken for bad; what the threshold is chosen by")};
  }
};

// How a segmenter comes to pictures that are larger than its input.
struct Segmenting {
  bool pieces = false;
  static constexpr auto fields() {
    return std::tuple{field("pieces", &Segmenting::pieces,
                            "pictures are cut into overlapping pieces at their own size, to learn from and to answer, instead of shrunk")};
  }
};

struct Demand {
  std::string name;
  std::string task = "classify";  // a row of tasks/tasks.h
  Data data;
  SplitPlan split;
  Target target;
  Limits limits;
  Compress compress;
  Budget budget;
  std::optional<Search> search;
  RecipePins recipe;
  std::optional<Backbone> backbone;
  std::optional<Decide> decide;
  std::optional<PredictionSets> prediction_sets;
  std::optional<Alarm> alarm;
  std::optional<tasks::StatedFormats> read;
  std::optional<tasks::Degradation> restore;
  std::optional<Segmenting> segment;
  std::int64_t seed = 0;
  bool in_pieces() const { return segment && segment->pieces; }
  static constexpr auto fields() {
    return std::tuple{field("name", &Demand::name, "names the model: letters, digits, - and _"),
                      field("task", &Demand::task,
                            "what is answered about a picture: classify, detect, segment, anomaly, embed, attributes, read or restore"),
                      field("data", &Demand::data),
                      field("split", &Demand::split),
                      field("target", &Demand::target),
                      field("limits", &Demand::limits),
                      field("compress", &Demand::compress),
                      field("budget", &Demand::budget),
                      field("search", &Demand::search),
                      field("recipe", &Demand::recipe),
                      field("backbone", &Demand::backbone),
                      field("decide", &Demand::decide),
                      field("prediction_sets", &Demand::prediction_sets),
                      field("alarm", &Demand::alarm),
                      field("read", &Demand::read),
                      field("restore", &Demand::restore),
                      field("segment", &Demand::segment),
                      field("seed", &Demand::seed, "decides every random choice")};
  }
};

// What of the demand's network the head reads: recipe.cut, else backbone.cut ({"auto"}).
std::vector<std::string> cuts_of(const Demand& demand);

// From a node of a YAML document; paths stay as written.
Result<Demand> demand_from(const YamlNode& root);
// Makes data.path, data.labels, backbone.onnx and backbone.weights absolute (relative to `folder`). Error not_found names the line of
// `root`.
Result<void> settle_paths(const YamlNode& root, const std::string& folder, Demand& demand);

// source names the file in errors, which are invalid_data with "FILE:LINE: what; remedy". parse_demand leaves paths as written; read_demand
// makes data.path, backbone.onnx and backbone.weights absolute (relative to the folder of the demand) and gives not_found when nothing is
// there.
Result<Demand> parse_demand(const std::string& text, const std::string& source);
Result<Demand> read_demand(const std::string& path);

}  // namespace sightline::demand

template <>
struct sightline::EnumNames<sightline::demand::BadBoxes> {
  static constexpr std::array<const char*, 3> names{"reject", "clip", "stop"};
};
template <>
struct sightline::EnumNames<sightline::demand::SearchStrategy> {
  static constexpr std::array<const char*, 3> names{"halving", "random", "default"};
};
template <>
struct sightline::EnumNames<sightline::demand::Thresholds> {
  static constexpr std::array<const char*, 2> names{"none", "per_class"};
};
template <>
struct sightline::EnumNames<sightline::demand::Freeze> {
  static constexpr std::array<const char*, 4> names{"auto", "none", "early", "backbone"};
};
template <>
struct sightline::EnumNames<sightline::demand::GroupBy> {
  static constexpr std::array<const char*, 5> names{"none", "folder", "pattern", "column", "near_duplicates"};
};
