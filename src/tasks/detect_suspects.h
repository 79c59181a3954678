// Boxes that people gave and that a model which did not learn from them contradicts: the first places to look for wrong labels. What
// dataset/audit.h does with the labels of whole pictures, for objects: the answers of the model are compared with how sure it usually is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "annotation/annotation.h"
#include "base/fields.h"
#include "tasks/tasks.h"

namespace sightline::tasks {

enum class Suspicion {
  missed,     // the model sees a thing where nothing is said to be
  unseen,     // it sees nothing where a thing is said to be
  other,      // it sees a thing of another class there
  displaced,  // it sees the thing, but elsewhere
};
// "an object that has no box", …
const char* words_for(Suspicion suspicion);

struct SuspectBox {
  std::int64_t place = 0;  // of the case
  Suspicion suspicion = Suspicion::missed;
  std::optional<annotation::Object> given, seen;  // what people say, and what the model says; missed has no given, unseen no seen
  double score = 0;                               // 0 to 1; larger: more likely wrong
  static constexpr auto fields() {
    return std::tuple{field("place", &SuspectBox::place), field("suspicion", &SuspectBox::suspicion), field("given", &SuspectBox::given),
                      field("seen", &SuspectBox::seen), field("score", &SuspectBox::score)};
  }
};

// The ranking over all cases, most suspect first, one row at most for each given box and each found one. Scores, with the class's usual
// confidence t (mean score of the best box of the class that meets one given of it by half) and usual overlap u (their mean overlap); those
// below 0.1 are left out, and what is left is multiplied by 0.05 / (0.05 + f), f the sum of the scores of its kind over the number of given
// boxes: what the model contradicts often is its own weakness rather than the labels'.
//   missed     the found box's score, where it overlaps no given box of any class by 0.3 or more
//   unseen     t − p: p the best score of any found box that overlaps it by 0.1 or more; nobody is surprised where the class is usually
//              overlooked
//   other      the score of the box of the other class that meets it by half, less that of the best one of its own
//   displaced  (1 − overlap / u) times the score of the best box of its own class, where that overlaps it by less than 0.75 u but 0.1 or
//   more
// Given boxes that are ignored (crowd, difficult) are not suspected, nor are found ones within them.
std::vector<SuspectBox> rank_suspect_boxes(std::span<const Case> cases);

}  // namespace sightline::tasks

namespace sightline {
template <>
struct EnumNames<tasks::Suspicion> {
  static constexpr std::array<const char*, 4> names{"missed", "unseen", "other", "displaced"};
};
}  // namespace sightline
