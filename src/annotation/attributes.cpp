#include "annotation/attributes.h"

namespace sightline::annotation {

std::string label_of_value(const std::string& question, const std::string& value) { return question + value_mark + value; }

std::vector<Question> questions_of(const std::vector<std::string>& labels) {
  std::vector<Question> questions;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::size_t mark = labels[i].find(value_mark);
    const bool exclusive = mark != std::string::npos;
    const std::string name = labels[i].substr(0, mark);
    if (exclusive && !questions.empty() && questions.back().exclusive && questions.back().name == name) {
      ++questions.back().count;
    } else {
      questions.push_back({.name = name, .first = i, .count = 1, .exclusive = exclusive});
    }
  }
  return questions;
}

}  // namespace sightline::annotation
