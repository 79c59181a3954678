// From columns of a table to attributes (annotation/attributes.h).
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "dataset/importers.h"

namespace sightline::dataset {

// Gives the labels, and fills the annotation of every sample whose reason is empty. What a column is follows from what stands in it, an
// empty cell says nothing:
//   1 0 yes no true false   one question, the label is the column's name
//   a;b  ;  c               tags, as soon as one cell has a semicolon: a label each; a lone semicolon: none of them
//   anything else           values that exclude each other: "COLUMN: VALUE"
// Errors invalid_data: a column in which only one thing is said, a label of two columns, a name with the mark of values in it.
Result<std::vector<std::string>> fill_attributes(const std::vector<std::string>& columns, const Listing& listing,
                                                 std::vector<Sample>& samples, const std::vector<std::string>& reasons);

}  // namespace sightline::dataset
