// The one table of tasks: what a demand may ask for. Help, schema, docs, evaluation, prediction and the report read its rows.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "annotation/annotation.h"
#include "base/fields.h"
#include "base/json.h"
#include "base/result.h"
#include "image/image.h"
#include "tensor/tensor.h"

namespace sightline::tasks {

struct Metric {
  const char* name;  // the field's standard name, as a demand writes it; the larger, the better
  const char* description;
  double most = 1;  // that it can be, as a target
};

std::vector<std::string> names_of(std::span<const Metric> metrics);

// One picture of an evaluation.
struct Case {
  annotation::Annotation truth, prediction;
  int width = 0, height = 0;  // of the picture
  std::string group = {};     // of whom figures are told apart as well; "": of none
  Tensor shown = {};          // u8 h×w×C: what the model was shown, where that is not the picture itself (Task::show)
};

// Numbers of one class, by the names of the task's metrics.
struct ClassValues {
  std::string name;
  std::int64_t count = 0;  // of what was to be found
  std::map<std::string, double> values;
  static constexpr auto fields() {
    return std::tuple{field("name", &ClassValues::name), field("count", &ClassValues::count), field("values", &ClassValues::values)};
  }
};

struct Line {
  std::string name;
  std::vector<double> x, y;
  static constexpr auto fields() { return std::tuple{field("name", &Line::name), field("x", &Line::x), field("y", &Line::y)}; }
};
struct Curve {
  std::string title, x, y;  // of the axes
  std::vector<Line> lines;
  static constexpr auto fields() {
    return std::tuple{field("title", &Curve::title), field("x", &Curve::x), field("y", &Curve::y), field("lines", &Curve::lines)};
  }
};

// How often an answer took one thing for another; "" for nothing: given but not answered, or answered but not given.
struct Confusion {
  std::string given, answered;
  std::int64_t count = 0;
  static constexpr auto fields() {
    return std::tuple{field("given", &Confusion::given), field("answered", &Confusion::answered), field("count", &Confusion::count)};
  }
};

// What an evaluation says, whatever the task.
struct Figures {
  std::int64_t pictures = 0, count = 0;  // count: of what was to be found
  std::map<std::string, double> values;  // by metric: those that a demand may target, and more; what cannot be measured is left out
  std::vector<ClassValues> per_class;
  std::vector<Curve> curves;
  std::vector<Confusion> confusions;  // the most frequent first
  static constexpr auto fields() {
    return std::tuple{field("pictures", &Figures::pictures), field("count", &Figures::count),
                      field("values", &Figures::values),     field("per_class", &Figures::per_class),
                      field("curves", &Figures::curves),     field("confusions", &Figures::confusions)};
  }
};

// Two cases by their places, and how alike the model finds them.
struct JudgedPair {
  std::int64_t first = 0, second = 0;
  bool same = false;  // by their labels
  double score = 0;
};

// Keeps what each picture adds, so that figures over any choice of them are cheap: intervals come from hundreds of choices.
class Meter {
 public:
  Meter() = default;
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;
  virtual ~Meter() = default;
  virtual void add(const Case& one) = 0;
  // Over the cases (else units) at these places in the order of adding, with repetition. curves: whether they are wanted.
  virtual Figures figures(std::span<const std::int64_t> chosen, bool curves) const = 0;
  // How wrong the answer to the case at this place is, 0 to 1: the report shows the worst ones.
  virtual double wrongness(std::int64_t place) const = 0;

  // Of tasks that compare pictures: the pairs that count, by the places of their cases. Before any figures().
  virtual void compare(std::span<const annotation::Pair> /*pairs*/) {}
  // How many there are of what is drawn with repetition when intervals are resampled, and chosen in figures(): the cases, unless the task
  // says otherwise.
  virtual std::int64_t units(std::int64_t cases) const { return cases; }
  // Pairs that are told apart, or not, most wrongly; the worst first.
  virtual std::vector<JudgedPair> worst_pairs(std::size_t /*most*/) const { return {}; }
};

// Outputs of a served graph by name, for a batch.
using Outputs = std::map<std::string, Tensor>;

// One answer as `predict` tells it.
struct Told {
  Json json;                                   // an object: keys beside the file's
  std::vector<std::vector<std::string>> rows;  // of a table whose columns are Task::columns
};

// What else the package says that an answer follows from.
struct Terms {
  const std::vector<std::string>& classes;
  const std::map<std::string, std::string>& metadata;  // of the graph
};

struct Task {
  const char* name;
  const char* description;
  std::span<const Metric> metrics;  // what a demand may target; the first one where it says nothing
  // A model's answers speak of no class: those of the data are the data's own, and need not be known to it.
  bool open_classes = false;

  // Learns from good pictures only: the first class of data is the good one, every other a kind of what is not, which a model need not
  // know.
  bool from_good = false;

  // Of tasks whose answers are annotations; null for classify, whose answers are probabilities (classify.h).
  //
  // The names of the graph's outputs, and whether they fit the classes. Error unsupported says what is wrong.
  Result<void> (*check_outputs)(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes) = nullptr;
  // Answers to a batch, each in its own picture's frame. placements: where each picture lay in the network's input.
  Result<std::vector<annotation::Annotation>> (*decode)(const Outputs& outputs, std::span<const image::Placement> placements,
                                                        const Terms& terms) = nullptr;
  std::span<const char* const> columns = {};
  Told (*tell)(const annotation::Annotation& annotation, const std::vector<std::string>& classes) = nullptr;
  std::unique_ptr<Meter> (*meter)(const std::vector<std::string>& classes) = nullptr;
  // Of tasks that make bad pictures of good ones and want them back: what a model is shown in place of `picture`, and the picture as the
  // truth. name: of the picture, the same whenever it is measured. Any pictures do as data. Error invalid_data: the metadata.
  Result<image::Image> (*show)(const image::Image& picture, const std::string& name, const Terms& terms,
                               annotation::Annotation& truth) = nullptr;
  // Pictures of any size come to the network piece by piece, at their own size, and its outputs f32 N×K×H×W (N×K×sH×sW) are blended into
  // those of the whole before they are decoded (image/tiles.h).
  bool tiled = false;
  // A picture of one case, for the report.
  image::Image (*strip)(const Case& one) = nullptr;
  // Draws what a model answered onto its picture; and what people say of it, so that both can stand on one picture.
  void (*draw)(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes) = nullptr;
  void (*draw_truth)(image::Image& picture, const annotation::Annotation& annotation, const std::vector<std::string>& classes) = nullptr;
};

std::span<const Task> all_tasks();
// One more row, of a program or test that brings a task of its own; before anything reads the table. Error conflict: the name is taken.
Result<void> add_task(const Task& task);
// Error not_found names the nearest match.
Result<const Task*> find_task(const std::string& name);

}  // namespace sightline::tasks
