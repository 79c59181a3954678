#include "dataset/picture_set.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/text.h"
#include "dataset/idx.h"
#include "dataset/importers.h"
#include "dataset/manifest.h"

namespace sightline::dataset {
namespace {

std::string stem_of(const std::string& name) { return name.substr(0, name.rfind('.')); }

Result<std::set<std::string>> names_in(const std::string& list) {
  SIGHTLINE_TRY(const std::string text, read_file(list));
  std::set<std::string> names;
  for (const std::string& line : split(text, '\n'))
    if (const std::string name = trim(line); !name.empty()) names.insert(name);
  if (names.empty()) return Error{ErrorKind::invalid_data, fmt::format("{} names no file", list)};
  return names;
}

Result<void> keep_named(std::vector<std::string>& samples, const std::string& list) {
  SIGHTLINE_TRY(const std::set<std::string> names, names_in(list));
  std::set<std::string> found;
  std::erase_if(samples, [&](const std::string& sample) {
    const std::string name = sample.substr(sample.rfind('/') + 1);
    for (const std::string& each : {name, stem_of(name)}) {
      if (!names.contains(each)) continue;
      found.insert(each);
      return false;
    }
    return true;
  });
  for (const std::string& name : names)
    if (!found.contains(name)) return Error{ErrorKind::invalid_data, fmt::format("{} names {}, and there is no such picture", list, name)};
  return {};
}

void thin_out(std::vector<std::string>& samples, std::int64_t most) {
  const auto wanted = static_cast<std::size_t>(most);
  if (most <= 0 || samples.size() <= wanted) return;
  for (std::size_t i = 0; i < wanted; ++i) samples[i] = samples[i * samples.size() / wanted];
  samples.resize(wanted);
}

}  // namespace

Result<PictureListing> list_picture_set(const std::string& path, const std::optional<std::string>& list, std::int64_t most) {
  PictureListing listing;
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return system_error("cannot read", path);
  if (S_ISDIR(info.st_mode)) {
    listing.root = path;
    SIGHTLINE_TRY(listing.samples,
                  list_files(path, [](const std::string& where, const std::string& reason) { log_warning("{}: {}", where, reason); }));
    std::erase_if(listing.samples, [](const std::string& sample) { return !has_image_extension(sample); });
  } else {
    const std::size_t slash = path.rfind('/');
    listing.root = slash == std::string::npos ? "." : path.substr(0, slash);
    SIGHTLINE_TRY(const std::vector<std::size_t> dimensions, IdxFile::read_dimensions(path));
    for (std::size_t i = 0; i < dimensions[0]; ++i) listing.samples.push_back(fmt::format("{}#{}", path.substr(slash + 1), i));
  }
  if (list) SIGHTLINE_CHECK(keep_named(listing.samples, *list));
  thin_out(listing.samples, most);
  if (listing.samples.empty()) return Error{ErrorKind::invalid_data, fmt::format("there are no pictures in {}", path)};
  Sha256 sum;
  for (const std::string& sample : listing.samples) {
    const std::string file = listing.root + "/" + sample.substr(0, sample.find('#'));
    if (::stat(file.c_str(), &info) != 0) return system_error("cannot read", file);
    sum.add_field(sample).add_field(fmt::format("{} {}.{}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec));
  }
  listing.digest = sum.finish();
  return listing;
}

Result<std::vector<image::Image>> read_picture_set(const PictureListing& listing, int largest_side, int threads) {
  const SampleReader reader(listing.root);
  std::vector<image::Image> pictures(listing.samples.size());
  SIGHTLINE_CHECK(parallel_for(
      pictures.size(),
      [&](std::size_t i) -> Result<void> {
        SIGHTLINE_TRY(pictures[i], reader.read(listing.samples[i]));
        image::Image& picture = pictures[i];
        if (const int longest = std::max(picture.width, picture.height); longest > largest_side)
          picture = image::resize(picture, std::max(1, picture.width * largest_side / longest),
                                  std::max(1, picture.height * largest_side / longest));
        return {};
      },
      threads));
  return pictures;
}

}  // namespace sightline::dataset
