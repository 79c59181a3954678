#include "tasks/classify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/json.h"
#include "base/random.h"
#include "tasks/tasks.h"

namespace sightline::tasks {
namespace {

struct Tolerance {
  double figure = 1e-12;      // the same f32 inputs, f64 arithmetic, another order of summing
  double probability = 1e-6;  // stored as f32
  double temperature = 1e-4;  // relative; logarithms are kept as f32
} constexpr kTolerance;

struct GoldenCase {
  std::string name;
  Tensor probabilities;
  std::vector<std::int32_t> labels;
  std::vector<std::string> classes;
  Json json;
};

std::vector<float> flat(const Json& rows) {
  std::vector<float> values;
  for (const Json& row : rows) {
    for (const Json& value : row) values.push_back(value.get<float>());
  }
  return values;
}

// Numbers from tests/golden/classify_golden.py.
std::vector<GoldenCase> golden_cases() {
  const auto json = read_json_file("tests/golden/classify.json");
  EXPECT_TRUE(json.ok()) << json.error().message;
  std::vector<GoldenCase> cases;
  for (const Json& each : (*json)["cases"]) {
    const Json& rows = each["probabilities"];
    const Shape shape{static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(rows[0].size())};
    GoldenCase one{each["name"], Tensor::of(shape, flat(rows)), each["labels"].get<std::vector<std::int32_t>>(), {}, each};
    for (std::int64_t k = 0; k < shape[1]; ++k) one.classes.push_back("class " + std::to_string(k));
    cases.push_back(std::move(one));
  }
  return cases;
}

TEST(Classify, FiguresEqualTheGoldenNumbers) {
  const auto cases = golden_cases();
  ASSERT_EQ(cases.size(), 5U);
  for (const GoldenCase& each : cases) {
    SCOPED_TRACE(each.name);
    const auto expected = struct_from_json<ClassifyFigures>(each.json["figures"], "figures");
    ASSERT_TRUE(expected.ok()) << expected.error().message;
    const ClassifyFigures got = measure(each.probabilities, each.labels, each.classes);
    EXPECT_EQ(got.count, expected->count);
    EXPECT_NEAR(got.top1, expected->top1, kTolerance.figure);
    EXPECT_NEAR(got.top5, expected->top5, kTolerance.figure);
    EXPECT_NEAR(got.macro_f1, expected->macro_f1, kTolerance.figure);
    EXPECT_NEAR(got.balanced_accuracy, expected->balanced_accuracy, kTolerance.figure);
    EXPECT_NEAR(got.log_loss, expected->log_loss, kTolerance.figure);
    EXPECT_NEAR(got.calibration_error, expected->calibration_error, kTolerance.figure);
    EXPECT_EQ(got.confusion, expected->confusion);
    ASSERT_EQ(got.per_class.size(), expected->per_class.size());
    for (std::size_t k = 0; k < got.per_class.size(); ++k) {
      EXPECT_EQ(got.per_class[k].name, expected->per_class[k].name);
      EXPECT_EQ(got.per_class[k].count, expected->per_class[k].count);
      EXPECT_NEAR(got.per_class[k].precision, expected->per_class[k].precision, kTolerance.figure);
      EXPECT_NEAR(got.per_class[k].recall, expected->per_class[k].recall, kTolerance.figure);
      EXPECT_NEAR(got.per_class[k].f1, expected->per_class[k].f1, kTolerance.figure);
    }
  }
}

TEST(Classify, ReliabilityEqualsTheGoldenNumbers) {
  for (const GoldenCase& each : golden_cases()) {
    SCOPED_TRACE(each.name);
    const auto bins = reliability(each.probabilities, each.labels);
    ASSERT_EQ(bins.size(), each.json["reliability"].size());
    for (std::size_t b = 0; b < bins.size(); ++b) {
      EXPECT_EQ(bins[b].count, each.json["reliability"][b]["count"].get<std::int64_t>());
      EXPECT_NEAR(bins[b].confidence, each.json["reliability"][b]["confidence"].get<double>(), kTolerance.figure);
      EXPECT_NEAR(bins[b].accuracy, each.json["reliability"][b]["accuracy"].get<double>(), kTolerance.figure);
    }
  }
}

TEST(Classify, TemperatureEqualsTheGoldenNumbers) {
  for (const GoldenCase& each : golden_cases()) {
    SCOPED_TRACE(each.name);
    const auto expected = each.json["temperature"].get<double>();
    EXPECT_NEAR(fit_temperature(each.probabilities, each.labels) / expected, 1, kTolerance.temperature);
    const Tensor tempered = apply_temperature(each.probabilities, 2.5);
    const auto wanted = flat(each.json["at_temperature_2_5"]);
    for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_NEAR(tempered.values<float>()[i], wanted[i], kTolerance.probability);
  }
}

TEST(Classify, TheFittedTemperatureIsFoundAgain) {
  // Answers drawn from their own probabilities are calibrated; sharpening them by 3 must be undone by a temperature of 3.
  Random random(11);
  const std::int64_t samples = 4000, classes = 6;
  Tensor honest(Dtype::f32, {samples, classes});
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < samples; ++i) {
    std::vector<double> weights(classes);
    double sum = 0;
    for (double& w : weights) sum += w = std::exp(1.5 * random.normal());
    double left = random.uniform() * sum;
    std::int32_t label = 0;
    while (label + 1 < classes && left > weights[static_cast<std::size_t>(label)]) left -= weights[static_cast<std::size_t>(label++)];
    labels.push_back(label);
    for (std::int64_t k = 0; k < classes; ++k)
      honest.values<float>()[static_cast<std::size_t>(i * classes + k)] = static_cast<float>(weights[static_cast<std::size_t>(k)] / sum);
  }
  EXPECT_NEAR(fit_temperature(honest, labels), 1, 0.08);
  const Tensor sharp = apply_temperature(honest, 1.0 / 3);
  EXPECT_NEAR(fit_temperature(sharp, labels) / fit_temperature(honest, labels), 3, 1e-3);
  const std::vector<std::string> names(classes);
  EXPECT_GT(measure(sharp, labels, names).calibration_error, 0.1);
  EXPECT_LT(measure(apply_temperature(sharp, fit_temperature(sharp, labels)), labels, names).calibration_error, 0.03);
}

TEST(Classify, TemperatureStaysInItsRange) {
  // Always right: sharper is always better. Always wrong: flatter is always better. Zeros must not make it infinite.
  const Tensor sure = Tensor::of<float>({2, 2}, {1, 0, 0, 1});
  EXPECT_NEAR(fit_temperature(Tensor::of<float>({1, 2}, {0.6F, 0.4F}), std::vector<std::int32_t>{0}), 0.05, 1e-6);
  EXPECT_NEAR(fit_temperature(sure, std::vector<std::int32_t>{1, 0}), 20, 1e-6);
  EXPECT_EQ(fit_temperature(Tensor(Dtype::f32, {0, 3}), {}), 1);
}

TEST(Classify, NoSamplesGiveZeros) {
  const ClassifyFigures figures = measure(Tensor(Dtype::f32, {0, 3}), {}, {"a", "b", "c"});
  EXPECT_EQ(figures.count, 0);
  EXPECT_EQ(figures.top1, 0);
  EXPECT_EQ(figures.log_loss, 0);
  EXPECT_EQ(figures.per_class.size(), 3U);
}

TEST(Classify, TopClassesAreInOrderAndEqualsByLabel) {
  const std::vector<float> probabilities{0.1F, 0.3F, 0.3F, 0.2F, 0.1F};
  const auto best = top_classes(probabilities, {"a", "b", "c", "d"}, 3);
  ASSERT_EQ(best.size(), 3U);
  EXPECT_EQ(best[0].name, "b");
  EXPECT_EQ(best[1].name, "c");
  EXPECT_EQ(best[2].label, 3);
  EXPECT_FLOAT_EQ(static_cast<float>(best[2].probability), 0.2F);
  EXPECT_EQ(top_classes(probabilities, {}, 100).back().name, "4");  // as many as there are; a number where the name is missing
  EXPECT_TRUE(top_classes(probabilities, {}, -1).empty());
}

TEST(Classify, TopClassesPutWhatIsNotANumberLast) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const auto best = top_classes(std::vector<float>{nan, 0.2F, nan, 0.8F}, {}, 4);
  EXPECT_EQ(best[0].label, 3);
  EXPECT_EQ(best[1].label, 1);
}

TEST(Classify, EveryMetricOfTheTableHasAValue) {
  ClassifyFigures figures;
  figures.macro_f1 = 0.25;
  ASSERT_THAT(metric_names(), testing::ElementsAre("top1", "top5", "macro_f1", "balanced_accuracy"));
  for (const std::string& name : metric_names()) EXPECT_TRUE(metric_value(figures, name).ok()) << name;
  EXPECT_EQ(*metric_value(figures, "macro_f1"), 0.25);
  const auto unknown = metric_value(figures, "top2");
  ASSERT_FALSE(unknown.ok());
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("did you mean \"top1\""));
}

TEST(Tasks, TheTableIsSearchedByName) {
  ASSERT_TRUE(find_task("classify").ok());
  EXPECT_EQ((*find_task("classify"))->metrics.size(), 4U);
  const auto unknown = find_task("clasify");
  ASSERT_FALSE(unknown.ok());
  EXPECT_EQ(unknown.error().kind, ErrorKind::not_found);
  EXPECT_THAT(unknown.error().message, testing::HasSubstr("did you mean \"classify\""));
}

}  // namespace
}  // namespace sightline::tasks
