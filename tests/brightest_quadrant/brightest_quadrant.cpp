#include "brightest_quadrant/brightest_quadrant.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "factory/build.h"
#include "factory/task_line.h"
#include "graph/builder.h"
#include "tasks/tasks.h"

namespace sightline::brightest_quadrant {
namespace {

using annotation::Annotation;
using tasks::Figures;

constexpr const char* output = "quadrants";
constexpr std::array quadrants{"top left", "top right", "bottom left", "bottom right"};  // as the net has them
constexpr std::array metrics{tasks::Metric{"hits", "share of pictures whose brightest quadrant is found"}};
constexpr std::array columns{"quadrant", "probability"};

// --- what its answers are ---

Result<void> check_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes) {
  const auto found = outputs.find(output);
  if (found == outputs.end() || found->second.second.size() != 2 || classes != quadrants.size())
    return Error{ErrorKind::unsupported, fmt::format("no output \"{}\" f32 N×4", output)};
  return {};
}

Result<std::vector<Annotation>> decode(const tasks::Outputs& outputs, std::span<const image::Placement> placements,
                                       const tasks::Terms& /*terms*/) {
  const std::span<const float> values = outputs.at(output).values<float>();
  std::vector<Annotation> answers(placements.size());
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const auto row = values.subspan(i * quadrants.size(), quadrants.size());
    const auto best = std::ranges::max_element(row);
    answers[i].label = static_cast<std::int32_t>(best - row.begin());
    answers[i].score = static_cast<double>(*best);
  }
  return answers;
}

tasks::Told tell(const Annotation& annotation, const std::vector<std::string>& classes) {
  const std::string name = annotation::name_of_class(classes, annotation.label);
  return {.json = {{"quadrant", name}, {"probability", annotation.score}}, .rows = {{name, fmt::format("{:.3f}", annotation.score)}}};
}

class Hits final : public tasks::Meter {
 public:
  void add(const tasks::Case& one) override { right_.push_back(one.truth.label == one.prediction.label); }
  Figures figures(std::span<const std::int64_t> chosen, bool /*curves*/) const override {
    Figures figures{.pictures = static_cast<std::int64_t>(chosen.size()), .count = static_cast<std::int64_t>(chosen.size())};
    const auto hits = std::ranges::count_if(chosen, [&](std::int64_t i) { return right_[static_cast<std::size_t>(i)]; });
    if (!chosen.empty()) figures.values["hits"] = static_cast<double>(hits) / static_cast<double>(chosen.size());
    return figures;
  }
  double wrongness(std::int64_t place) const override { return right_[static_cast<std::size_t>(place)] ? 0 : 1; }

 private:
  std::vector<bool> right_;
};

std::unique_ptr<tasks::Meter> meter(const std::vector<std::string>& /*classes*/) { return std::make_unique<Hits>(); }

void draw(image::Image& picture, const Annotation& annotation, const std::vector<std::string>& classes) {
  const auto place = std::ranges::find(quadrants, annotation::name_of_class(classes, annotation.label)) - quadrants.begin();
  const double x = picture.width / 2.0, y = picture.height / 2.0;
  const double left = place % 2 == 0 ? 0 : x, top = place < 2 ? 0 : y;
  image::draw_rectangle(picture, left, top, left + x, top + y, {.colour = image::class_colour(0), .width = 2});
}

// --- how its models are made ---

Result<void> check_data(const dataset::Manifest& manifest) {
  const bool all = std::ranges::all_of(quadrants, [&](const char* name) { return std::ranges::count(manifest.classes, name) == 1; });
  if (all && manifest.classes.size() == quadrants.size()) return {};
  return Error{ErrorKind::invalid_data,
               fmt::format("{}: the folders must be called top left, top right, bottom left, bottom right", manifest.root)};
}

Result<factory::ChosenRecipe> choose(const demand::Demand& demand, const dataset::Manifest& manifest,
                                     const std::optional<factory::StartingWeights>& /*start*/, int /*threads*/) {
  factory::ChosenRecipe chosen;
  chosen.recipe.backbone = "none";
  chosen.recipe.side = demand.recipe.side.value_or(16);
  chosen.reasons.emplace_back("means of the four quadrants: nothing has to be learned");
  graph::Builder builder(static_cast<std::uint64_t>(demand.seed));
  const std::int64_t side = chosen.recipe.side;
  std::string x = builder.image_input(side, side, 3, {0, 0, 0}, {255, 255, 255});
  x = builder.average_pool(x, side / 2, side / 2);  // N×3×2×2
  x = builder.flatten(builder.node("ReduceMean", {x}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{1}}}));
  // To the order of the classes.
  Tensor order(Dtype::i64, {static_cast<std::int64_t>(quadrants.size())});
  for (std::size_t i = 0; i < quadrants.size(); ++i)
    order.values<std::int64_t>()[i] = std::ranges::find(quadrants, manifest.classes[i]) - quadrants.begin();
  x = builder.node("Gather", {x, builder.constant("order", order)}, {{"axis", std::int64_t{1}}});
  builder.rename(builder.softmax(builder.scale(x, 20.0F, "sharpness")), output);
  SIGHTLINE_TRY(chosen.graph, builder.finish({output}, {}));
  return chosen;
}

line::Step fit_step(const factory::BuildContext& /*build*/) {
  line::Step step{.name = "fit", .version = 1, .says = "nothing has to be learned"};
  step.inputs = {{.name = "graph", .step = "recipe", .output = "graph"}};
  step.outputs = {"model", "history"};
  step.body = [](line::StepContext& context) -> Result<void> {
    SIGHTLINE_TRY(const std::string graph, context.read_input("graph"));
    SIGHTLINE_CHECK(context.put("model", graph));
    return context.put("history", "{}");
  };
  return step;
}

}  // namespace

Result<void> add() {
  SIGHTLINE_CHECK(tasks::add_task({.name = "brightest_quadrant",
                                   .description = "which quadrant is the brightest",
                                   .metrics = metrics,
                                   .check_outputs = check_outputs,
                                   .decode = decode,
                                   .columns = columns,
                                   .tell = tell,
                                   .meter = meter,
                                   .draw = draw,
                                   .draw_truth = draw}));
  return factory::add_line(
      {.task = "brightest_quadrant", .fit = image::Fit::stretch, .check_data = check_data, .choose = choose, .fit_step = fit_step});
}

}  // namespace sightline::brightest_quadrant
