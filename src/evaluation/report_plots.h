// The report's drawings, as SVG text without scripts: every mark that carries a number has a <title> with it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "evaluation/evaluation.h"

namespace sightline::evaluation {

// Where a value and its interval lie relative to a goal; nothing to draw gives "".
std::string interval_bar(double value, const Interval& interval, const double* goal);

struct Series {
  std::string name;
  bool first = true;                              // the first is solid with filled dots, the second dashed with hollow ones
  std::vector<std::pair<double, double>> points;  // x ascending
  bool named = true;                              // at its end
};
// Lines over a common x, with whole numbers below where all x are such. `alt` says in words what the drawing shows.
std::string line_plot(const std::vector<Series>& series, const std::string& x_name, const std::string& alt);

// The series of history.json ({"epochs":[{"epoch":1,"loss":…,"train_top1":…,"validation_loss":…,"validation_top1":…,"learning_rate":…}]});
// what is missing or not a finite number is left out.
struct History {
  std::vector<std::pair<double, double>> train_loss, validation_loss, train_top1, validation_top1, learning_rate;
};
History read_history(const Json& history);

// Rows are the given classes, columns the predicted ones; the colour is the share of the row. Draws at most 6,000 cells (the largest).
std::string confusion_map(const tasks::ClassifyFigures& figures, const std::vector<std::string>& classes);

// Accuracy by confidence, with the distance to the diagonal, above the number of samples.
std::string reliability_diagram(const std::vector<tasks::ReliabilityBin>& bins, const std::string& alt);

}  // namespace sightline::evaluation
