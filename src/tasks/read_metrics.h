// Figures of readers (docs/read.md).
//
//   text_accuracy, character_accuracy, top5   as tasks.cpp says them
//   calibration_error             expected calibration error of the first reading's probability: over ten bins of equal width, the mean
//   distance between
//                      how sure and how often right, weighed by how many there are (Guo et al. 2017); less is better
//   confidence         the mean of that probability
// Per symbol: count (given), recall (of those given, how many are read) and precision (of those read, how many were given), by the cheapest
// alignment of answer and truth (Levenshtein 1966; of equally cheap ones the one that pairs characters, then leaves out, then adds, counted
// from the end). The same alignment gives the confusions, the twenty most frequent.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tasks/tasks.h"

namespace sightline::tasks {

std::unique_ptr<Meter> read_meter(const std::vector<std::string>& classes);

// Pairs of characters, "" where one side has none, front to back.
std::vector<std::pair<std::string, std::string>> align_texts(const std::string& truth, const std::string& answer);

}  // namespace sightline::tasks
