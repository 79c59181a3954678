// The sections of the report that show pictures and the data: mistakes, suspected label errors, findings of the audit, counts.
#pragma once

#include <string>

#include "evaluation/report.h"
#include "evaluation/report_pictures.h"

namespace sightline::evaluation {

// What the galleries will show; call before Pictures::load.
void want_pictures(const ReportInput& input, Pictures& pictures);

std::string mistakes_section(const ReportInput& input, const Pictures& pictures);
std::string suspects_section(const ReportInput& input, const Pictures& pictures);
std::string audit_section(const ReportInput& input, const Pictures& pictures);
std::string data_section(const ReportInput& input);

// <section id="…"><h2>…</h2>…</section>
std::string section(const std::string& id, const std::string& title, const std::string& body);

}  // namespace sightline::evaluation
