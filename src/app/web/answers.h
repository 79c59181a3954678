// What a released classifier answers to each of its test pictures: computed with the release's own package when it is first asked for, and
// remembered while the program runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "app/web/site.h"
#include "tensor/tensor.h"

namespace sightline::web {

struct Answer {
  std::int64_t sample = 0;                // index into the manifest
  std::int32_t given = 0, predicted = 0;  // in the model's classes
  float probability = 0;                  // of the predicted one
};
struct AnswersOfRelease {
  Digest manifest;
  std::vector<std::string> classes;
  std::vector<Answer> answers;  // in the order of the manifest
  Tensor probabilities;         // f32 N×K, of the same pictures
  std::vector<std::int32_t> labels;
};

// Any number of threads; one release is computed at a time.
class Answers {
 public:
  // Errors: unsupported (no classifier), not_found (the log no longer says which pictures), and those of evaluation::answer.
  Result<std::shared_ptr<const AnswersOfRelease>> of(Site& site, const store::Release& release);

 private:
  std::mutex mutex_;
  std::map<Digest, std::shared_ptr<const AnswersOfRelease>> known_;  // by package and manifest
};

// The pictures of one cell of the confusion matrix: {"manifest", "total", "pictures":
// [{"number","path","given","predicted","probability"}…]}, the surest first. Errors: usage (no such class).
Result<Json> pictures_of_cell(const AnswersOfRelease& answers, const dataset::Manifest& manifest, std::int64_t given,
                              std::int64_t predicted, std::size_t most);

}  // namespace sightline::web
