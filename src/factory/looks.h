// Which looks at a picture compete under a head on a frozen backbone (features/looks.h): its own side alone, and where pictures are few
// larger sides beside it, which cost more and often see more.
#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "dataset/manifest.h"
#include "factory/build.h"
#include "features/features.h"
#include "tensor/tensor.h"

namespace sightline::factory {

struct Look {
  features::Backbone backbone;  // without weights_path
  std::string name;             // for sentences: "sides of 96, 192 pixels together"
  Tensor features, mirrored;    // f32 N×D of the samples, and of them seen in a mirror
};

// The looks dearer than the backbone's own, cheapest first, with the features of `samples` (indices into the manifest): twice and three
// times its side beside it. Nothing where the demand pins recipe.side or recipe.cut, the backbone is in integers or bf16 or made for
// pictures of more than 128 pixels, the samples are more than a thousand, a simple head suffers from mirrored pictures (factory/mirror.h),
// or looks break the demand's limits; a look at more than three times the pictures' own size brings nothing either. `own`: f32 N×D, the
// features of the samples in a mirror at the backbone's own side; undefined where there are no looks. Errors: those of features.
Result<std::vector<Look>> dearer_looks(const BuildContext& build, const features::FeatureSource& source, const dataset::Manifest& manifest,
                                       const std::vector<std::int64_t>& samples, const store::Workspace& workspace, Tensor& own);

// The sentence of a limit that a head for so many classes on the backbone would break; "" when none is.
Result<std::string> limit_broken_by(const BuildContext& build, const features::Backbone& backbone, int classes);

}  // namespace sightline::factory
