#include "app/web/pictures.h"

#include <algorithm>
#include <cmath>

#include "dataset/good_pictures.h"
#include "image/image.h"
#include "tasks/tasks.h"

namespace sightline::web {
namespace {

constexpr std::size_t kReaders = 8;
constexpr int kQuality = 84;

image::Image reduced(image::Image picture, int side) {
  const int longer = std::max(picture.width, picture.height);
  if (longer <= side) return picture;
  const double factor = static_cast<double>(side) / longer;
  return image::resize(picture, std::max(1, static_cast<int>(std::lround(picture.width * factor))),
                       std::max(1, static_cast<int>(std::lround(picture.height * factor))));
}

// What is named by digest and number never changes.
net::Response as_response(const image::Image& picture) {
  const bool small = std::max(picture.width, picture.height) <= 64;
  net::Response response{.content_type = small ? "image/png" : "image/jpeg",
                         .headers = {{"Cache-Control", "private, max-age=31536000, immutable"}, {"X-Content-Type-Options", "nosniff"}}};
  response.body = small ? image::encode_png(picture) : image::encode_jpeg(picture, kQuality);
  return response;
}

}  // namespace

std::shared_ptr<const dataset::SampleReader> Pictures::reader_of(const std::string& root) {
  const std::lock_guard lock(mutex_);
  if (readers_.size() >= kReaders && !readers_.contains(root)) readers_.clear();
  std::shared_ptr<const dataset::SampleReader>& reader = readers_[root];
  if (reader == nullptr) reader = std::make_shared<const dataset::SampleReader>(root);
  return reader;
}

Result<net::Response> Pictures::thumbnail(Site& site, const Digest& digest, std::int64_t number, int side) {
  if (!is_digest(digest)) return Error{ErrorKind::not_found, "a manifest is named by its digest"};
  SIGHTLINE_TRY(const std::shared_ptr<const dataset::Manifest> manifest, site.manifest(digest));
  if (number < 0 || number >= static_cast<std::int64_t>(manifest->samples.size()))
    return Error{ErrorKind::not_found, fmt::format("the manifest has no picture {}", number)};
  const std::string& path = manifest->samples[static_cast<std::size_t>(number)].path;
  SIGHTLINE_TRY(image::Image picture, reader_of(manifest->root)->read(path, {.jpeg_min_side = 2 * side}));
  return as_response(reduced(std::move(picture), side));
}

Result<net::Response> Pictures::drawn_case(Site& site, const store::Release& release, std::int64_t place, bool truth, int side) {
  SIGHTLINE_TRY(const evaluation::Evaluation measured, site.evaluation_of(release));
  if (place < 0 || place >= static_cast<std::int64_t>(measured.shown.size()))
    return Error{ErrorKind::not_found, fmt::format("the evaluation shows no case {}", place)};
  SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(measured.task));
  if (task->draw == nullptr || task->draw_truth == nullptr)
    return Error{ErrorKind::unsupported, measured.task + " draws nothing onto pictures"};
  SIGHTLINE_TRY(const Digest digest, site.measured_on(release));
  SIGHTLINE_TRY(const std::shared_ptr<const dataset::Manifest> manifest, site.manifest(digest));
  const evaluation::ShownCase& shown = measured.shown[static_cast<std::size_t>(place)];
  const auto sample = std::ranges::find(manifest->samples, shown.path, &dataset::Sample::path);
  if (sample == manifest->samples.end()) return Error{ErrorKind::not_found, "the manifest does not hold this picture"};
  SIGHTLINE_TRY(image::Image picture, reader_of(manifest->root)->read(sample->path));
  if (picture.channels != 3) picture = image::convert_channels(picture, 3);
  if (truth) {
    task->draw_truth(picture, task->from_good ? dataset::truth_of(*manifest, *sample) : shown.truth, measured.classes);
  } else {
    annotation::Annotation answer = annotation::at_least(shown.answer, annotation::sure_score);
    if (Result<Tensor> map = annotation::map_of_text(shown.map); map.ok()) answer.score_map = *std::move(map);
    task->draw(picture, answer, measured.classes);
  }
  return as_response(reduced(std::move(picture), side));
}

}  // namespace sightline::web
