// One sentence for each decision, from what a step is now and what its last record says it was.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "line/line.h"

namespace sightline::line {

// "parameter \"epochs\" changed from 12 to 20", one for each difference: version, parameters, inputs, environment, in this order.
std::vector<std::string> differences(const Step& step, const std::map<std::string, Digest>& inputs, const StepRecord& before);

// "runs because …" of a step whose key has no record; before is null when the step never ran in this pipeline.
std::string why_it_runs(const Step& step, const std::map<std::string, Digest>& inputs, const StepRecord* before);

}  // namespace sightline::line
