// A picture asked of a model, and the answer in its task's own words: the same as `sightline predict --json` gives.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "annotation/annotation.h"
#include "base/json.h"
#include "image/image.h"
#include "serving/repository.h"

namespace sightline::serving {

struct AskOptions {
  int top = 1;                            // of a classifier: how many classes are told
  double score = annotation::sure_score;  // of what is told, least
  bool draw = false;
};

struct PictureAnswer {
  Json json;                        // an object
  std::vector<std::string> labels;  // what was said, for the distribution of answers
  image::Image drawn;               // the picture with the answer drawn onto it (of a restorer: as it should look); empty unless asked for
};

// Errors: invalid_data (with the codec's words), refused (too many pixels).
Result<image::Image> decode_picture(std::string_view bytes, const package::Model& model, std::int64_t most_pixels);
// Errors as package::Model's.
Result<PictureAnswer> answer_picture(const Repository::Lease& lease, const image::Image& picture, const AskOptions& options);
// Of a classifier whose graph was run already: probabilities f32 1×K.
PictureAnswer answer_of(const Loaded& loaded, std::span<const float> probabilities, const AskOptions& options);

}  // namespace sightline::serving
