// What data say to a task that learns from good pictures only (anomaly): which class is the good one, what is kept for what, and where the
// masks of the others lie. A manifest that was settled has the good class first: label 0 is good, every other a kind of what is not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "annotation/annotation.h"
#include "base/result.h"
#include "dataset/manifest.h"
#include "demand/demand.h"

namespace sightline::dataset {

// So many good pictures are wanted to learn from, and besides for the threshold.
inline constexpr std::int64_t least_good_to_learn = 8, least_good_for_threshold = 4;

// Whether it is called as good pictures usually are: good, ok, normal, fault-free, …, in any case.
bool is_called_good(const std::string& class_name);

// Brings the good class to the front of the classes. `wanted` is its name; where nothing is given it is the one that is called good, or the
// only one. Errors invalid_data: no class is, or several are; they are listed.
Result<void> settle_good_class(Manifest& manifest, const std::optional<std::string>& wanted);

// The splits of a settled manifest. Pictures that are not good are for the test only, wherever they lie. Good ones are shared out as
// assign_splits does, into those to learn from (train), those for the threshold (validation) and those for the test; where the data bring
// good ones for the test, these are it. Errors invalid_data: pictures that are not good in the given training part; too few good ones; and
// those of assign_splits.
Result<void> assign_good_splits(Manifest& manifest, const demand::SplitPlan& plan, std::int64_t seed);

// Masks that are not as large as their pictures, or cannot be read: path and reason. Reads every mask of a settled manifest's samples that
// are not good. Error interrupted.
Result<std::vector<Rejection>> bad_masks(const Manifest& manifest);

// What people say of a sample of a settled manifest: its kind as label, score 0 or 1, and the mask where there is one that fits.
annotation::Annotation truth_of(const Manifest& manifest, const Sample& sample);

}  // namespace sightline::dataset
