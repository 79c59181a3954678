// The pictures of a model's last build: by class, split and problem; suspected label errors; corrections of labels.
#pragma once

#include "app/web/site.h"
#include "base/json.h"

namespace sightline::web {

// What of a model's pictures the last build left.
struct DataOfModel {
  Digest digest;
  std::shared_ptr<const dataset::Manifest> manifest;
  std::optional<Digest> audit, suspects;
  std::string demand;
};
// Errors: usage (the name), not_found (no build came as far as the split).
Result<DataOfModel> data_of(Site& site, const std::string& model);

// {"manifest","classes","counts": [split][class],"task_labels": whether pictures have one class each,"findings":
// [{"kind","title","meaning", "count"}…],"suspects": how many,"likely","rejected","corrections": in force,"licence","origin"}
Result<Json> data_about(Site& site, const DataOfModel& data);

struct SampleQuery {
  std::int64_t label = -1;  // -1: any
  std::string split;        // "": any
  std::int64_t from = 0;
  std::string search;      // in the path
  bool corrected = false;  // those alone that were corrected
};
// {"total","samples": [{"number","path","label","split","width","height","corrected": name or null}…]}. Error usage: no such split.
Result<Json> samples_of(Site& site, const DataOfModel& data, const SampleQuery& query);

// Findings of one kind with their samples: {"total","findings": [{"sentence","score","samples": […]}…]}. Error usage: no such kind.
Result<Json> findings_of(Site& site, const DataOfModel& data, const std::string& kind, std::int64_t from);

// Most suspect first: {"total","suspects": [{…sample,"given","suggested","score","likely"}…]}
Result<Json> suspects_of(Site& site, const DataOfModel& data, std::int64_t from);

// body: {"number": N, "label": CLASS NAME}; gives the new revision. Errors: invalid_data, unsupported (no labels), conflict (the manifest
// in "manifest" is no longer the last one).
Result<Json> correct(Site& site, const DataOfModel& data, const std::string& body, const std::string& who);
// body: {} or {"revision": N}.
Result<Json> undo(Site& site, const DataOfModel& data, const std::string& body, const std::string& who);
// {"revisions": all, "in_force": those that count, "left_out": sentences of the last import}
Result<Json> corrections_of(Site& site, const DataOfModel& data);

}  // namespace sightline::web
