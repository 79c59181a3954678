// Labels that people corrected, kept apart from the data, which are never altered: a file of revisions, each a correction of one picture or
// the undoing of an earlier revision (docs/formats/corrections.md). An import applies what is in force.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"
#include "dataset/manifest.h"

namespace sightline::dataset {

struct Correction {
  std::int64_t revision = 0;  // 1, 2, …
  std::string path;           // of the sample, as in the manifest
  Digest digest;              // of its content: another picture under the same name is not corrected
  std::string from, to;       // names of classes; from: what the data say
  std::string when, who;      // UTC; who may be ""
  std::int64_t undoes = 0;    // > 0: this revision takes back that one, and the rest repeats what it said
  static constexpr auto fields() {
    return std::tuple{field("revision", &Correction::revision), field("path", &Correction::path),    field("digest", &Correction::digest),
                      field("from", &Correction::from),         field("to", &Correction::to),        field("when", &Correction::when),
                      field("who", &Correction::who),           field("undoes", &Correction::undoes)};
  }
};

// WORKSPACE/corrections/NAME.jsonl
std::string corrections_path(const std::string& workspace_root, const std::string& demand);

// All revisions, in their order; none where there is no file. Error invalid_data with FILE:LINE.
Result<std::vector<Correction>> read_corrections(const std::string& path);
// Those that count: of each picture the last revision that is not undone, by path.
std::vector<Correction> corrections_in_force(const std::vector<Correction>& revisions);
// Of what is in force; "" of nothing. Part of the import's key.
Digest digest_of_corrections(const std::vector<Correction>& in_force);

// Adds a revision and gives it; any number of processes (a lock per file), written whole or not at all. revision, when and undoes are not
// read, nor is from where a correction of this picture is in force: it is that one's. Errors: io, invalid_data.
Result<Correction> add_correction(const std::string& path, Correction correction);
// Takes the last revision that is in force back, or this one. Error not_found: there is none.
Result<Correction> undo_correction(const std::string& path, const std::string& who, std::int64_t revision = 0);

struct Corrected {
  std::int64_t changed = 0;
  std::vector<std::string> left_out;  // a sentence each: the picture is gone or another one, its label changed, no such class
};
// Changes the labels of a manifest whose pictures have one class each; of any other it leaves all out.
Corrected apply_corrections(const std::vector<Correction>& in_force, Manifest& manifest);

}  // namespace sightline::dataset
