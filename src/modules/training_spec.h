// The contract between the line and sightline-train: one specification (JSON in), files and JSON lines out. The only way to training.
//
// Lines on stdout, each an object with "event":
//   {"event":"schedule","steps":N,"steps_per_epoch":M}                    once, before the first step (again when a time budget had to be
//   shortened)
//   {"event":"progress","step":n,"steps":N,"epoch":e,"loss":x,"images_per_second":v,"seconds_left":t}
//   {"event":"epoch","epoch":e,"loss":x,"train_top1":a,"validation_loss":y,"validation_top1":b,"learning_rate":r}
//     (what has no one label per picture has no top1: both are null)
//   {"event":"done","seconds":t,"steps":N,"best_epoch":e}
//   {"event":"error","kind":"invalid_data","message":"…"}
// Files in `output` when done: model.onnx (the trained graph with its training outputs), history.json (the schedule and every epoch; no
// times), timing.json. In `checkpoint`: checkpoint.* (atomic; resumed exactly: the same final bits as an undisturbed run).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"

namespace sightline::modules {

enum class Optimizer { sgd, adamw };
enum class Schedule { one_cycle, cosine };
enum class Loss { cross_entropy, balanced_cross_entropy, class_balanced, focal };  // training_parts.h tells them apart
// What embeddings are taught by; metric_losses.h tells them apart.
enum class MetricLoss { softmax, cosface, arcface, adaface, contrastive, triplet, deepid2 };
enum class Augmentation { none, flip, light, strong, light_unflipped, strong_unflipped, mosaic, text };

struct Recipe {
  std::string backbone = "resnet-s";
  int side = 0;   // input height in pixels, and width
  int width = 0;  // where that is another; 0: as the height
  int channels = 3;
  std::optional<int> epochs;      // at most so many, and
  std::optional<double> minutes;  // at most so long; one of the two at least
  int batch = 128;
  Optimizer optimizer = Optimizer::sgd;
  double learning_rate = 0.2;  // peak
  double momentum = 0.9;
  double weight_decay = 5e-4;  // not on biases and normalisation
  Schedule schedule = Schedule::one_cycle;
  double warmup = 0.15;  // share of the steps
  Loss loss = Loss::cross_entropy;
  double label_smoothing = 0.05;
  double weight_average = 0.0;  // exponential moving average of the weights, per step; 0: none
  double clip = 0.0;            // largest norm of the gradient; 0: none
  int patience = 0;             // epochs without a better validation loss before stopping; 0: never
  double dropout = 0.0;
  Augmentation augmentation = Augmentation::flip;
  double backbone_rate = 1.0;  // factor of the learning rate for everything but the head: the layer that makes the logits, or what stands
                               // behind the layers that the graph says are its backbone's (modules/detector.h)
  bool bf16 = false;           // convolutions multiply in bf16: several times faster where the processor has AMX
  // Of task embed.
  MetricLoss metric_loss = MetricLoss::softmax;
  double margin = 0, scale = 1;   // of the loss; 0: it has none
  double pair_weight = 0;         // of deepid2's pairs beside its identities
  int pictures_per_identity = 1;  // that come into a batch together, where an identity has as many
  int frozen_layers = 0;          // so many layers from the picture on stay as they are, their normalisation's statistics included
  int input_width() const { return width > 0 ? width : side; }
  static constexpr auto fields() {
    return std::tuple{field("backbone", &Recipe::backbone),
                      field("side", &Recipe::side),
                      field("width", &Recipe::width),
                      field("channels", &Recipe::channels),
                      field("epochs", &Recipe::epochs),
                      field("minutes", &Recipe::minutes),
                      field("batch", &Recipe::batch),
                      field("optimizer", &Recipe::optimizer),
                      field("learning_rate", &Recipe::learning_rate),
                      field("momentum", &Recipe::momentum),
                      field("weight_decay", &Recipe::weight_decay),
                      field("schedule", &Recipe::schedule),
                      field("warmup", &Recipe::warmup),
                      field("loss", &Recipe::loss),
                      field("label_smoothing", &Recipe::label_smoothing),
                      field("weight_average", &Recipe::weight_average),
                      field("clip", &Recipe::clip),
                      field("patience", &Recipe::patience),
                      field("dropout", &Recipe::dropout),
                      field("augmentation", &Recipe::augmentation),
                      field("backbone_rate", &Recipe::backbone_rate),
                      field("bf16", &Recipe::bf16),
                      field("metric_loss", &Recipe::metric_loss),
                      field("margin", &Recipe::margin),
                      field("scale", &Recipe::scale),
                      field("pair_weight", &Recipe::pair_weight),
                      field("pictures_per_identity", &Recipe::pictures_per_identity),
                      field("frozen_layers", &Recipe::frozen_layers)};
  }
};

struct TrainingSpec {
  std::string task = "classify";  // or another row of training/objective.h: what the loss is
  std::string graph;              // initial graph, ONNX file
  std::string data;               // packed set; when it carries target vectors, "logits" learns them (distillation) in place of the labels
  std::string output;             // folder, created
  std::string checkpoint;         // folder, created
  Recipe recipe;
  std::vector<std::string> leave_out;  // classes whose samples take no part
  std::int64_t seed = 0;
  int threads = 0;  // 0: from the affinity mask
  double checkpoint_seconds = 20;
  static constexpr auto fields() {
    return std::tuple{field("task", &TrainingSpec::task),       field("leave_out", &TrainingSpec::leave_out),
                      field("graph", &TrainingSpec::graph),     field("data", &TrainingSpec::data),
                      field("output", &TrainingSpec::output),   field("checkpoint", &TrainingSpec::checkpoint),
                      field("recipe", &TrainingSpec::recipe),   field("seed", &TrainingSpec::seed),
                      field("threads", &TrainingSpec::threads), field("checkpoint_seconds", &TrainingSpec::checkpoint_seconds)};
  }
};

// The other thing that the worker does: draw what training sees of one picture.
struct AugmentationSpec {
  Augmentation augmentation = Augmentation::none;
  int height = 0, width = 0, channels = 0;
  std::int64_t seed = 0, sample = 0;
  int epochs = 1;
  std::string picture;  // file of u8 H×W×C
  std::string output;   // file to write: epochs×H×W×C
  static constexpr auto fields() {
    return std::tuple{field("augmentation", &AugmentationSpec::augmentation),
                      field("height", &AugmentationSpec::height),
                      field("width", &AugmentationSpec::width),
                      field("channels", &AugmentationSpec::channels),
                      field("seed", &AugmentationSpec::seed),
                      field("sample", &AugmentationSpec::sample),
                      field("epochs", &AugmentationSpec::epochs),
                      field("picture", &AugmentationSpec::picture),
                      field("output", &AugmentationSpec::output)};
  }
};

}  // namespace sightline::modules

template <>
struct sightline::EnumNames<sightline::modules::Optimizer> {
  static constexpr std::array<const char*, 2> names{"sgd", "adamw"};
};
template <>
struct sightline::EnumNames<sightline::modules::Schedule> {
  static constexpr std::array<const char*, 2> names{"one_cycle", "cosine"};
};
template <>
struct sightline::EnumNames<sightline::modules::Loss> {
  static constexpr std::array<const char*, 4> names{"cross_entropy", "balanced_cross_entropy", "class_balanced", "focal"};
};
template <>
struct sightline::EnumNames<sightline::modules::MetricLoss> {
  static constexpr std::array<const char*, 7> names{"softmax", "cosface", "arcface", "adaface", "contrastive", "triplet", "deepid2"};
};
template <>
struct sightline::EnumNames<sightline::modules::Augmentation> {
  static constexpr std::array<const char*, 8> names{"none",   "flip", "light", "strong", "light_unflipped", "strong_unflipped",
                                                    "mosaic", "text"};
};
