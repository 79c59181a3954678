#include "demand/composition.h"

#include <array>

namespace sightline::demand {
namespace {

bool frozen(const Demand& demand) { return demand.backbone && demand.backbone->freeze == Freeze::backbone; }
// Something is certain to be trained, and nothing is fitted in closed form.
bool trained(const Demand& demand) {
  return !demand.backbone || demand.backbone->freeze == Freeze::none || demand.backbone->freeze == Freeze::early;
}
bool brings_network(const Demand& demand) { return demand.backbone && (demand.backbone->onnx || demand.backbone->name); }

bool classifies(const Demand& demand) { return demand.task == "classify"; }
// Its heads stand on a backbone that stays as it is.
bool only_heads(const Demand& demand) { return demand.task == "attributes"; }
// Learns from good pictures only.
bool of_good(const Demand& demand) { return demand.task == "anomaly"; }
bool remembers_good(const Demand& demand) {
  const std::string head = demand.recipe.head.value_or("");
  return head == "memory_bank" || head == "placed_bank" || head == "gaussian_field" || head == "pooled_field";
}
bool embeds(const Demand& demand) { return demand.task == "embed"; }

constexpr const char* not_read = "a task other than read";
constexpr const char* other_task = "a task other than classify";
constexpr const char* of_classifiers = "it is about probabilities of classes, of which a picture has one answer";
constexpr const char* frozen_backbone = "backbone.freeze: backbone";
constexpr const char* nothing_trained = "nothing is trained, the head is fitted in closed form";
constexpr const char* anomaly = "task: anomaly";
constexpr const char* good_is_kept = "nothing is trained: what the backbone says of good pictures is kept";
constexpr const char* unfreeze = "leave it out, or let the network be tuned (freeze: none or early)";

constexpr std::array rows{
    Clash{"backbone", other_task, [](const Demand& d) { return d.backbone && !classifies(d) && !only_heads(d); },
          "such a net is built on the backbone that comes with the program", "leave backbone out"},
    Clash{"backbone.freeze", "attributes",
          [](const Demand& d) {
            return d.backbone && only_heads(d) && d.backbone->freeze != Freeze::backbone && d.backbone->freeze != Freeze::automatic;
          },
          "heads are fitted on a backbone that stays as it is", "leave backbone.freeze out"},
    Clash{"backbone.weights", "attributes", [](const Demand& d) { return d.backbone && only_heads(d) && d.backbone->weights; },
          "such a net would have to be trained", "name a network (backbone: {name: …} or {onnx: …})"},
    Clash{"search", other_task, [](const Demand& d) { return d.search && !classifies(d); }, "the search knows classifiers only",
          "leave search out, and pin what should be tried with recipe"},
    Clash{"decide", other_task, [](const Demand& d) { return d.decide && !classifies(d); }, of_classifiers, "leave decide out"},
    Clash{"prediction_sets", other_task, [](const Demand& d) { return d.prediction_sets && !classifies(d); }, of_classifiers,
          "leave prediction_sets out"},
    Clash{"recipe.head", other_task, [](const Demand& d) { return d.recipe.head && !classifies(d) && !of_good(d); },
          "the task has a head of its own", "leave recipe.head out"},
    Clash{"recipe.head", anomaly, [](const Demand& d) { return d.recipe.head && of_good(d) && !remembers_good(d); },
          "it knows good pictures only and tells no classes apart",
          "name memory_bank, placed_bank, gaussian_field or pooled_field, or leave it out"},
    Clash{"recipe.head", "a task other than anomaly", [](const Demand& d) { return remembers_good(d) && !of_good(d); },
          "it keeps what good pictures look like", "write task: anomaly, or leave recipe.head out"},
    Clash{"data.good", "a task other than anomaly", [](const Demand& d) { return d.data.good && !of_good(d); },
          "no other task learns from one class alone", "write task: anomaly, or leave data.good out"},
    Clash{"alarm", "a task other than anomaly", [](const Demand& d) { return d.alarm && !of_good(d); },
          "it is about pictures that are not good", "write task: anomaly, or leave alarm out"},
    Clash{"budget", anomaly, [](const Demand& d) { return (d.budget.epochs || d.budget.minutes) && of_good(d); }, good_is_kept,
          "leave budget out"},
    Clash{"recipe.cut", anomaly, [](const Demand& d) { return d.recipe.cut && of_good(d); }, "which maps are read is settled",
          "leave recipe.cut out"},
    Clash{"recipe.augmentation", anomaly, [](const Demand& d) { return d.recipe.augmentation && of_good(d); }, good_is_kept,
          "leave recipe.augmentation out"},
    Clash{"recipe.batch", anomaly, [](const Demand& d) { return d.recipe.batch && of_good(d); }, good_is_kept, "leave recipe.batch out"},
    Clash{"recipe.learning_rate", anomaly, [](const Demand& d) { return d.recipe.learning_rate && of_good(d); }, good_is_kept,
          "leave recipe.learning_rate out"},
    Clash{"recipe.optimizer", anomaly, [](const Demand& d) { return d.recipe.optimizer && of_good(d); }, good_is_kept,
          "leave recipe.optimizer out"},
    Clash{"recipe.schedule", anomaly, [](const Demand& d) { return d.recipe.schedule && of_good(d); }, good_is_kept,
          "leave recipe.schedule out"},
    Clash{"recipe.weight_decay", anomaly, [](const Demand& d) { return d.recipe.weight_decay && of_good(d); }, good_is_kept,
          "leave recipe.weight_decay out"},
    Clash{"recipe.neck", other_task, [](const Demand& d) { return d.recipe.neck && !classifies(d); }, "the task has a neck of its own",
          "leave recipe.neck out"},
    Clash{"data.pairs", "a task other than embed", [](const Demand& d) { return d.data.pairs && !embeds(d); },
          "only embeddings are compared with each other", "leave data.pairs and split.test_folds out, or write task: embed"},
    Clash{"recipe.loss", other_task, [](const Demand& d) { return d.recipe.loss && !classifies(d) && !embeds(d); },
          "the task has a loss of its own", "leave recipe.loss out"},
    Clash{"recipe.smoothing", other_task, [](const Demand& d) { return d.recipe.smoothing && !classifies(d); }, of_classifiers,
          "leave recipe.smoothing out"},
    Clash{"recipe.augmentation", "embed",
          [](const Demand& d) { return d.recipe.augmentation && *d.recipe.augmentation == "mosaic" && embeds(d); },
          "four pictures in one show no one thing", "name none, flip, light, strong, light_unflipped or strong_unflipped"},
    Clash{"recipe.augmentation", "classify",
          [](const Demand& d) { return d.recipe.augmentation && *d.recipe.augmentation == "mosaic" && classifies(d); },
          "four pictures in one have no one label", "name none, flip, light, strong, light_unflipped or strong_unflipped"},
    Clash{"recipe.augmentation", "task: read",
          [](const Demand& d) {
            const std::string kind = d.recipe.augmentation.value_or("none");
            return d.task == "read" && (kind == "flip" || kind == "light" || kind == "strong" || kind == "mosaic");
          },
          "a text that is mirrored or cut into pieces says something else", "name text, none, light_unflipped or strong_unflipped"},
    Clash{"read", not_read, [](const Demand& d) { return d.read && d.task != "read"; }, "it says what texts look like", "leave read out"},
    Clash{"data.symbols", not_read, [](const Demand& d) { return d.data.symbols && d.task != "read"; }, "it is about texts",
          "leave data.symbols out"},
    Clash{"recipe.augmentation", "masks and landmarks",
          [](const Demand& d) {
            return d.recipe.augmentation && *d.recipe.augmentation == "mosaic" && (d.task == "segment" || d.task == "landmarks");
          },
          "it moves boxes, not masks or points", "name none, flip, light, strong, light_unflipped or strong_unflipped"},
    Clash{"restore", "a task other than restore", [](const Demand& d) { return d.restore && d.task != "restore"; },
          "it says what is undone to a picture", "write task: restore, or leave restore out"},
    Clash{"segment", "a task other than segment", [](const Demand& d) { return d.segment && d.task != "segment"; },
          "it says how a segmenter comes to large pictures", "write task: segment, or leave segment out"},
    Clash{"recipe.augmentation", "task: restore",
          [](const Demand& d) {
            const std::string kind = d.recipe.augmentation.value_or("flip");
            return d.task == "restore" && kind != "flip" && kind != "none";
          },
          "it mixes pixels, and what is restored must be sharp", "name flip or none"},
    Clash{"recipe.cut", "a net that is trained from the start", [](const Demand& d) { return d.recipe.cut && !brings_network(d); },
          "such a net is read at its end", "name a network (backbone: {name: …} or {onnx: …}), or leave recipe.cut out"},
    Clash{"recipe.neck", "backbone.name", [](const Demand& d) { return d.recipe.neck && d.backbone && d.backbone->name; },
          "how its places are brought together was settled when it was imported",
          "leave recipe.neck out, or import it with `sightline backbone import --neck`"},
    Clash{"recipe.head", "a net that is trained",
          [](const Demand& d) { return d.recipe.head && *d.recipe.head != "linear" && trained(d) && !of_good(d); },
          "heads in closed form are fitted on features that stay as they are",
          "set backbone: {…, freeze: backbone}, or recipe: {head: linear}"},
    Clash{"recipe.head", frozen_backbone, [](const Demand& d) { return d.recipe.head && *d.recipe.head == "linear" && frozen(d); },
          "\"linear\" is the head that is trained by gradients, and nothing is trained there",
          "name ridge, discriminant, logistic or nearest_mean, which are linear as well, or leave it out"},
    Clash{"recipe.loss", frozen_backbone, [](const Demand& d) { return d.recipe.loss && frozen(d); }, nothing_trained, unfreeze},
    Clash{"recipe.smoothing", frozen_backbone, [](const Demand& d) { return d.recipe.smoothing && frozen(d); }, nothing_trained, unfreeze},
    Clash{"recipe.augmentation", frozen_backbone, [](const Demand& d) { return d.recipe.augmentation && frozen(d); },
          "what the backbone says of each picture is computed once", unfreeze},
    Clash{"recipe.batch", frozen_backbone, [](const Demand& d) { return d.recipe.batch && frozen(d); }, nothing_trained, unfreeze},
    Clash{"recipe.learning_rate", frozen_backbone, [](const Demand& d) { return d.recipe.learning_rate && frozen(d); }, nothing_trained,
          unfreeze},
    Clash{"recipe.optimizer", frozen_backbone, [](const Demand& d) { return d.recipe.optimizer && frozen(d); }, nothing_trained, unfreeze},
    Clash{"recipe.schedule", frozen_backbone, [](const Demand& d) { return d.recipe.schedule && frozen(d); }, nothing_trained, unfreeze},
    Clash{"recipe.weight_decay", frozen_backbone, [](const Demand& d) { return d.recipe.weight_decay && frozen(d); }, nothing_trained,
          unfreeze},
};

// "recipe.loss: focal"
std::string stated(const YamlNode& root, const std::string& part, const YamlNode** at) {
  *at = &root;
  for (const std::string& key : split(part, '.'))
    if (const YamlNode* next = (*at)->find(key)) *at = next;
  if ((*at)->kind == YamlNode::Kind::scalar) return fmt::format("{}: {}", part, (*at)->scalar);
  std::vector<std::string> items;
  for (const YamlNode& item : (*at)->items) items.push_back(item.scalar);
  return items.empty() ? part : fmt::format("{}: [{}]", part, join(items, ", "));
}

}  // namespace

std::span<const Clash> clashes() { return rows; }

Result<void> check_composition(const YamlNode& root, const Demand& demand) {
  for (const Clash& clash : rows) {
    if (!clash.given(demand)) continue;
    const YamlNode* at = nullptr;
    const std::string part = stated(root, clash.part, &at);
    return at->error(fmt::format("{} and {} do not go together: {}; {}", part, clash.other, clash.why, clash.remedy));
  }
  return {};
}

}  // namespace sightline::demand
