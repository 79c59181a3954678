// The sections of the report about answers that are annotations: what was measured, class by class, curves, and pictures with the answers
// drawn onto them. The task's own row says how.
#pragma once

#include <string>

#include "evaluation/report.h"
#include "evaluation/report_pictures.h"

namespace sightline::evaluation {

// What the gallery will show; call before Pictures::load.
void want_answers(const ReportInput& input, Pictures& pictures);

std::string measured_section(const ReportInput& input);
// The pairs that are told apart, or not, most wrongly; of tasks that compare pictures.
std::string pairs_section(const ReportInput& input, const Pictures& pictures);
// Of detect: the boxes of people that the model contradicts.
std::string suspect_boxes_section(const ReportInput& input);
std::string answers_section(const ReportInput& input, const Pictures& pictures);

}  // namespace sightline::evaluation
