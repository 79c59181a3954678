// Names of attributes: labels that are true of a picture or not. "damaged" is a question of yes or no; "colour: red" and "colour: blue",
// which stand side by side, exclude each other: one of them is true.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace sightline::annotation {

inline constexpr const char* value_mark = ": ";

// The label of a value of a question.
std::string label_of_value(const std::string& question, const std::string& value);

struct Question {
  std::string name;
  std::size_t first = 0, count = 1;  // of its labels
  bool exclusive = false;            // one of the labels is true; else there is one, true or not
};
// In the order of the labels, all of which are asked for.
std::vector<Question> questions_of(const std::vector<std::string>& labels);

}  // namespace sightline::annotation
