// A task of its own, as small as one can be: which quadrant of a picture is the brightest. It shows what a task is: this folder, and a row
// in each of the two tables, which add() puts there. The net needs no training.
#pragma once

#include "base/result.h"

namespace sightline::brightest_quadrant {

// Classes are "top left", "top right", "bottom left", "bottom right", in any order; the metric is "hits". Error conflict: added already.
Result<void> add();

}  // namespace sightline::brightest_quadrant
