#include "dataset/import.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <set>

#include "base/files.h"
#include "base/log.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/good_pictures.h"
#include "dataset/import_attributes.h"
#include "dataset/import_keypoints.h"
#include "dataset/import_landmarks.h"
#include "dataset/import_masks.h"
#include "dataset/import_mvtec.h"
#include "dataset/import_videos.h"
#include "dataset/importers.h"
#include "dataset/lfw_pairs.h"
#include "dataset/object_checks.h"
#include "dataset/video_frames.h"

namespace sightline::dataset {
namespace {

// One row per importer, in the order in which a folder is tried.
struct Importer {
  const char* name;
  const char* looks_like;
  bool (*detect)(const Source&);
  Result<Listing> (*list)(const Source&, const demand::SplitPlan&);  // of pictures with a class each
  Result<Collection> (*collect)(const Source&);                      // or of pictures with objects
  bool one_class = false;                                            // tried only for a task that takes one
};
constexpr std::array<Importer, 11> importers{{
    {"coco", "a JSON file with images, annotations and categories", looks_like_coco, nullptr, collect_coco},
    {"voc", "XML files with <annotation>", looks_like_voc, nullptr, collect_voc},
    {"yolo", "text files with a class number and four shares a line, beside a data.yaml or classes.txt that names the classes",
     looks_like_yolo, nullptr, collect_yolo},
    {"idx", "IDX pairs such as train-images-idx3-ubyte.gz with train-labels-idx1-ubyte.gz", looks_like_idx, list_idx, nullptr},
    {"texts", "a CSV file with the columns path and text", looks_like_texts, list_texts, nullptr},
    {"landmarks", "a CSV file with the columns path and, for each point, NAME_x and NAME_y; named as such a COCO file with keypoints",
     looks_like_landmarks, list_landmarks, nullptr},
    {"csv", "a CSV file with the columns path and label", looks_like_csv, list_csv, nullptr},
    {"mvtec", "train/good beside test/KIND, with masks in ground_truth/KIND", looks_like_mvtec, list_mvtec, nullptr},
    {"masks", "a PNG mask for each image, in masks/ or instances/ beside images/, or beside the image", looks_like_masks, list_masks,
     nullptr},
    {"folders", "a folder of images per class, below train, validation, test or not", looks_like_folders, list_folders, nullptr},
    {"pictures", "images directly in the folder, all of them good (task: anomaly, restore)", looks_like_pictures, list_good_pictures,
     nullptr, true},
}};

std::string what_is_there(const Source& source) {
  if (source.files.empty()) return "the folder holds no files";
  std::map<std::string, std::size_t> kinds;
  std::size_t loose_images = 0;
  for (const std::string& path : source.files) {
    const std::string extension = extension_of(path);
    ++kinds[extension.empty() ? "files without extension" : extension + " files"];
    loose_images += is_called_like_pictures(path) && path.find('/') == std::string::npos ? 1 : 0;
  }
  std::vector<std::pair<std::string, std::size_t>> sorted(kinds.begin(), kinds.end());
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<std::string> words;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, sorted.size()); ++i)
    words.push_back(fmt::format("{} {}", human_count(sorted[i].second), sorted[i].first));
  std::string text = "found " + join(words, ", ") + (sorted.size() > 3 ? " and others" : "");
  if (loose_images > 0)
    text += fmt::format("; {} directly in the folder: put each class into a folder of its own, or add a CSV file with path,label rows",
                        plural(loose_images, "image"));
  return text;
}

Result<const Importer*> detect(const Source& source, bool one_class) {
  for (const Importer& importer : importers) {
    if ((importer.one_class && !one_class) || !importer.detect(source)) continue;
    // The same objects in two forms, or half of them in each: only a person knows.
    for (const Importer& other : importers) {
      if (&other == &importer || importer.collect == nullptr || other.collect == nullptr || !other.detect(source)) continue;
      return Error{ErrorKind::invalid_data,
                   fmt::format("{}: {} and {} annotations lie side by side; say which count, as data.format in the demand", source.root,
                               importer.name, other.name)};
    }
    return &importer;
  }
  std::vector<std::string> wanted;
  for (const Importer& importer : importers) wanted.push_back(fmt::format("{} ({})", importer.name, importer.looks_like));
  return Error{ErrorKind::invalid_data,
               fmt::format("{}: no known form of data. Looked for: {}; {}", source.root, join(wanted, "; "), what_is_there(source))};
}

Result<const Importer*> importer_for(const demand::Data& data, const Source& source, bool one_class) {
  if (data.format == "auto") return detect(source, one_class);
  for (const Importer& importer : importers) {
    if (data.format == importer.name) return &importer;
  }
  return Error{ErrorKind::usage, fmt::format("data.format \"{}\" is none of auto, {}{}", data.format, join(format_names(), ", "),
                                             did_you_mean(data.format, format_names()))};
}

Result<Listing> list_with(const Importer& importer, const Source& source, const demand::SplitPlan& plan) {
  if (importer.collect == nullptr) return importer.list(source, plan);
  SIGHTLINE_TRY(Collection collection, importer.collect(source));
  return list_collection(std::move(collection), source, plan);
}

// Reads and describes every entry, but for videos where these give frames; reasons[i] says why entry i gives no sample.
Result<void> describe(const Listing& listing, const std::string& root, bool with_videos, Intake* intake, std::vector<Sample>& samples,
                      std::vector<std::string>& reasons) {
  const SampleReader reader(root);
  std::mutex mutex;  // of what is new
  std::vector<Digest> new_pictures;
  std::vector<Facts> new_facts;
  // True: known, and sample is filled.
  const auto is_known = [&](Sample& sample) {
    if (intake == nullptr || sample.path.find('#') != std::string::npos) return false;
    Result<Digest> digest = intake->digest_of(root + "/" + sample.path);
    const std::optional<Facts> facts = digest.ok() ? intake->find(*digest) : std::nullopt;
    if (!facts) return false;
    sample.digest = *std::move(digest);
    set_facts(sample, *facts);
    return true;
  };
  Progress progress("reading images", listing.entries.size(), "image");
  constexpr std::size_t block = 32;
  SIGHTLINE_CHECK(parallel_for(
      listing.entries.size(),
      [&](std::size_t i) -> Result<void> {
        const Entry& entry = listing.entries[i];
        Sample& sample = samples[i];
        sample.path = entry.path;
        sample.split = entry.split;
        if (i % block == block - 1) progress.advance(block);
        if (with_videos && image::is_called_like_a_video(entry.path)) return {};
        if (is_known(sample)) return {};
        const auto image = reader.read_and_digest(entry.path, {}, &sample.digest);
        if (image.ok()) {
          const Facts facts = facts_of(*image);
          set_facts(sample, facts);
          if (intake != nullptr) {
            const std::lock_guard lock(mutex);
            new_pictures.push_back(sample.digest);
            new_facts.push_back(facts);
          }
        } else {
          reasons[i] = image.error().message;
          if (const std::string prefix = entry.path + ": "; reasons[i].starts_with(prefix)) reasons[i].erase(0, prefix.size());
        }
        return {};
      },
      0, block));
  if (intake != nullptr) SIGHTLINE_CHECK(intake->add(new_pictures, new_facts));
  progress.set(listing.entries.size());
  progress.finish();
  return {};
}

std::string list_of(const std::vector<Refusal>& lost) {
  constexpr std::size_t shown = 5;
  std::string list;
  for (std::size_t i = 0; i < std::min(shown, lost.size()); ++i)
    list += fmt::format("\n  {}: {}", as_utf8(lost[i].path), as_utf8(lost[i].reason));
  if (lost.size() > shown) list += fmt::format("\n  and {} more", human_count(lost.size() - shown));
  return list;
}

// Classes that lost all their images are not classes of the model.
std::vector<std::string> classes_in_use(const Listing& listing, const std::vector<std::string>& reasons) {
  std::set<std::string> used;
  for (std::size_t i = 0; i < reasons.size(); ++i)
    if (reasons[i].empty()) used.insert(listing.entries[i].class_name);
  if (listing.class_order.empty()) return {used.begin(), used.end()};
  std::vector<std::string> classes;
  std::copy_if(listing.class_order.begin(), listing.class_order.end(), std::back_inserter(classes),
               [&](const std::string& name) { return used.contains(name); });
  return classes;
}

// All of the file that lists them, or those of the texts that are there, in the order of their code points (as UTF-8 sorts them).
Result<std::vector<std::string>> symbols_in_use(const Listing& listing, const Source& source, const std::vector<std::string>& reasons) {
  if (!source.symbols.empty()) return read_symbols(source.symbols);
  std::set<std::string> used;
  for (std::size_t i = 0; i < reasons.size(); ++i)
    if (reasons[i].empty())
      for (std::string& symbol : characters_of(listing.entries[i].text)) used.insert(std::move(symbol));
  return std::vector<std::string>(used.begin(), used.end());
}

// More than data.max_rejected of the files, or of the objects.
Result<void> check_losses(const std::string& root, const std::vector<Refusal>& lost, std::size_t accepted, const char* noun,
                          double allowed) {
  if (static_cast<double>(lost.size()) <= allowed * static_cast<double>(accepted + lost.size())) return {};
  return Error{
      ErrorKind::invalid_data,
      fmt::format("{}: {} of {} cannot be used, and data.max_rejected allows {:g}%. Repair or remove them, or raise data.max_rejected:{}",
                  root, human_count(lost.size()), plural(lost.size() + accepted, noun), allowed * 100, list_of(lost))};
}

// Those that do not fit their pictures say nothing.
Result<void> reject_bad_masks(Manifest& manifest, double allowed) {
  SIGHTLINE_TRY(const std::vector<Rejection> bad, bad_masks(manifest));
  if (bad.empty()) return {};
  std::vector<Refusal> lost;
  for (const Rejection& each : bad) {
    lost.push_back({each.path, each.reason, Loss::object});
    // It stands there already, as the mask of a picture.
    const auto known = std::ranges::find(manifest.rejected, each.path, &Rejection::path);
    if (known != manifest.rejected.end()) known->reason = each.reason;
  }
  const auto others =
      static_cast<std::size_t>(std::ranges::count_if(manifest.samples, [](const Sample& sample) { return sample.label != 0; }));
  SIGHTLINE_CHECK(check_losses(manifest.root, lost, others - std::min(others, lost.size()), "mask", allowed));
  log_warning("{} rejected; the manifest says why", plural(lost.size(), "mask"));
  return {};
}

// Relative to the folder of the pictures where it lies there.
Result<std::string> pairs_file(const demand::Data& data, const Source& source) {
  const std::string inside = source.root + "/" + *data.pairs,
                    path = !data.pairs->starts_with('/') && path_exists(inside) ? inside : *data.pairs;
  if (path_exists(path)) return path;
  return Error{ErrorKind::not_found, fmt::format("{}: there is no such file (data.pairs in the demand)", *data.pairs)};
}

}  // namespace

Result<Source> list_source(const demand::Data& data) {
  Source source;
  source.root = absolute_path(data.path);
  while (source.root.size() > 1 && source.root.ends_with('/')) source.root.pop_back();
  if (!path_exists(source.root))
    return Error{ErrorKind::not_found, fmt::format("{}: there is no such file or folder (data.path in the demand)", data.path)};
  if (as_utf8(source.root) != source.root)
    return Error{ErrorKind::unsupported, fmt::format("{}: the folder's name is not UTF-8; rename it", as_utf8(source.root))};
  source.labels = data.labels.value_or("");
  if (data.attributes) source.attributes = *data.attributes;
  source.symbols = data.symbols.value_or("");
  if (!is_directory(source.root)) {
    const std::size_t slash = source.root.rfind('/');
    source.labels = source.root.substr(slash + 1);
    source.root.resize(std::max<std::size_t>(slash, 1));
  }
  if (source.labels.starts_with('/')) {
    if (!path_exists(source.labels))
      return Error{ErrorKind::not_found, fmt::format("{}: there is no such file (data.labels in the demand)", source.labels)};
    if (!lower_case(source.labels).ends_with(".json")) {
      SIGHTLINE_TRY(source.files, files_of_table(source.labels, source.root));
      return source;
    }
  }
  SIGHTLINE_TRY(source.files, list_files(source.root, [&](const std::string& path, const std::string& reason) {
                  // A loop hides nothing: what it leads to is listed under its own name.
                  source.problems.push_back({path, reason, reason == "symbolic link loop" ? Loss::none : Loss::picture});
                }));
  if (!source.labels.empty() && !source.labels.starts_with('/') && !path_exists(source.root + "/" + source.labels))
    return Error{ErrorKind::not_found, fmt::format("{}/{}: there is no such file (data.labels in the demand)", source.root, source.labels)};
  return source;
}

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Importer& importer : importers) names.emplace_back(importer.name);
  return names;
}

Result<std::string> detect_format(const std::string& root) {
  SIGHTLINE_TRY(const Source source, list_source({.path = root, .labels = std::nullopt}));
  SIGHTLINE_TRY(const Importer* importer, detect(source, false));
  return std::string(importer->name);
}

Result<Digest> listing_digest(const demand::Data& data) {
  SIGHTLINE_TRY(const Source source, list_source(data));
  Sha256 hash;
  hash.add_field(source.root).add_field(source.labels);
  if (source.labels.starts_with('/')) {
    SIGHTLINE_TRY(const Digest table, sha256_of_file(source.labels));
    hash.add_field(table);
  }
  if (data.pairs) {
    SIGHTLINE_TRY(const std::string pairs, pairs_file(data, source));
    SIGHTLINE_TRY(const Digest digest, sha256_of_file(pairs));
    hash.add_field(digest);
  }
  if (!source.symbols.empty()) {
    SIGHTLINE_TRY(const Digest symbols, sha256_of_file(source.symbols));
    hash.add_field(symbols);
  }
  for (const Refusal& problem : source.problems) hash.add_field(problem.path).add_field(problem.reason);
  for (const std::string& path : source.files) {
    struct stat info {};
    if (::stat((source.root + "/" + path).c_str(), &info) != 0) info = {};
    const std::array<std::int64_t, 3> facts{info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec};
    hash.add_field(path).add(std::as_bytes(std::span(facts)));
  }
  return hash.finish();
}

Result<std::vector<std::string>> list_pictures(const demand::Data& data, const demand::SplitPlan& split) {
  SIGHTLINE_TRY(const Source source, list_source(data));
  SIGHTLINE_TRY(const Importer* importer, importer_for(data, source, true));
  SIGHTLINE_TRY(const Listing listing, list_with(*importer, source, split));
  std::vector<std::string> paths;
  for (const Entry& entry : listing.entries)
    if (entry.path.find('#') == std::string::npos && !image::is_called_like_a_video(entry.path))
      paths.push_back(source.root + "/" + entry.path);
  return paths;
}

Result<std::vector<std::string>> list_classes(const demand::Data& data) {
  SIGHTLINE_TRY(const Source source, list_source(data));
  SIGHTLINE_TRY(const Importer* importer, importer_for(data, source, true));
  if (importer->collect != nullptr) return std::vector<std::string>();
  SIGHTLINE_TRY(const Listing listing, importer->list(source, {}));
  std::set<std::string> names;
  for (const Entry& entry : listing.entries) names.insert(as_utf8(entry.class_name));
  return std::vector<std::string>(names.begin(), names.end());
}

Result<Collection> read_collection(const demand::Data& data) {
  SIGHTLINE_TRY(const Source source, list_source(data));
  SIGHTLINE_TRY(const Importer* importer, importer_for(data, source, false));
  if (importer->collect != nullptr) return importer->collect(source);
  if (importer->list == list_landmarks) return collect_landmarks(source);
  return Error{ErrorKind::invalid_data, fmt::format("{}: {} data have a class a picture, and no objects", source.root, importer->name)};
}

Result<Manifest> import_data(const demand::Data& data, const demand::SplitPlan& split, Intake* intake, bool from_good, bool any_pictures) {
  SIGHTLINE_TRY(const Source source, list_source(data));
  SIGHTLINE_TRY(const Importer* importer, importer_for(data, source, from_good || any_pictures));
  SIGHTLINE_TRY(Listing listing, list_with(*importer, source, split));
  listing.refused.insert(listing.refused.end(), source.problems.begin(), source.problems.end());
  std::erase_if(listing.entries, [&](const Entry& entry) {
    const bool nameless = as_utf8(entry.path) != entry.path || as_utf8(entry.class_name) != entry.class_name ||
                          as_utf8(entry.folder) != entry.folder || as_utf8(entry.column) != entry.column;
    if (nameless) listing.refused.push_back({entry.path, "the name is not UTF-8; rename it", Loss::picture});
    return nameless;
  });

  std::vector<Sample> samples(listing.entries.size());
  std::vector<std::string> reasons(listing.entries.size());
  SIGHTLINE_CHECK(fill_groups(listing, split, samples));

  Manifest manifest{.root = source.root,
                    .format = importer->name,
                    .licence = data.licence,
                    .origin = data.origin,
                    .classes = {},
                    .given_test = false,
                    .given_validation = false,
                    .masks = std::nullopt,
                    .rejected = {},
                    .samples = {}};
  const bool with_objects = importer->collect != nullptr, with_attributes = !source.attributes.empty(),
             with_texts = importer->list == list_texts, with_masks = importer->list == list_masks,
             with_landmarks = importer->list == list_landmarks,
             with_label = !with_objects && !with_attributes && !with_texts && !with_masks && !with_landmarks;
  // What annotations say of one picture is not true of all frames.
  const bool with_videos = !with_objects && !with_masks && !with_landmarks;
  if (with_attributes && importer->list != list_csv)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: data.attributes names columns of a CSV file, and the data are {}", source.root, importer->name)};
  SIGHTLINE_CHECK(describe(listing, source.root, with_videos, intake, samples, reasons));
  if (with_videos) SIGHTLINE_CHECK(describe_videos(source.root, data.frames, listing, samples, reasons));
  if (with_masks) {
    SIGHTLINE_CHECK(settle_masks(source, listing, data.bad_boxes, samples, reasons, manifest));
  } else if (with_objects) {
    fill_objects(listing, data.bad_boxes, samples, reasons);
    for (const CollectedCategory& category : listing.collection->categories) manifest.classes.push_back(as_utf8(category.name));
  } else if (with_landmarks) {
    fill_landmarks(listing, data.bad_boxes, samples, reasons);
    manifest.classes = listing.class_order;
  } else if (with_attributes) {
    SIGHTLINE_TRY(manifest.classes, fill_attributes(source.attributes, listing, samples, reasons));
  } else if (with_texts) {
    SIGHTLINE_TRY(manifest.classes, symbols_in_use(listing, source, reasons));
  } else {
    manifest.classes = classes_in_use(listing, reasons);
  }
  std::map<std::string_view, int> label_of;
  for (std::size_t c = 0; c < manifest.classes.size(); ++c) label_of[manifest.classes[c]] = static_cast<int>(c);

  std::size_t objects = 0;
  manifest.samples.reserve(samples.size());
  for (std::size_t i = 0; i < samples.size(); ++i) {
    if (!reasons[i].empty()) {
      listing.refused.push_back({listing.entries[i].path, std::move(reasons[i]), Loss::picture});
      continue;
    }
    samples[i].label = with_label ? label_of[listing.entries[i].class_name] : 0;
    samples[i].annotation.text = listing.entries[i].text;
    objects += samples[i].annotation.objects.size() + samples[i].annotation.landmarks.size();
    manifest.given_test = manifest.given_test || samples[i].split == Split::test;
    manifest.given_validation = manifest.given_validation || samples[i].split == Split::validation;
    manifest.samples.push_back(std::move(samples[i]));
  }
  keep_videos_whole(manifest.samples);
  std::stable_sort(listing.refused.begin(), listing.refused.end(), [](const Refusal& a, const Refusal& b) { return a.path < b.path; });
  std::vector<Refusal> lost, lost_objects;
  for (Refusal& refusal : listing.refused) {
    manifest.rejected.push_back({as_utf8(refusal.path), as_utf8(refusal.reason)});
    if (refusal.loss == Loss::picture) {
      lost.push_back(std::move(refusal));
    } else if (refusal.loss == Loss::object) {
      lost_objects.push_back(std::move(refusal));
    }
  }

  if (data.pairs) {
    SIGHTLINE_TRY(const std::string pairs, pairs_file(data, source));
    SIGHTLINE_CHECK(read_pairs(pairs, data.max_rejected, manifest));
  }
  const std::size_t accepted = manifest.samples.size();
  SIGHTLINE_CHECK(check_losses(source.root, lost, accepted, "file", data.max_rejected));
  if (data.bad_boxes == demand::BadBoxes::stop && !lost_objects.empty())
    return Error{ErrorKind::invalid_data, fmt::format("{}: {} cannot be used, and data.bad_boxes is stop:{}", source.root,
                                                      plural(lost_objects.size(), "object"), list_of(lost_objects))};
  SIGHTLINE_CHECK(check_losses(source.root, lost_objects, objects, "object", data.max_rejected));
  if (accepted == 0) return Error{ErrorKind::invalid_data, fmt::format("{}: no images ({})", source.root, what_is_there(source))};
  if (with_objects && objects == 0)
    return Error{ErrorKind::invalid_data, fmt::format("{}: none of the {} has an object", source.root, plural(accepted, "image"))};
  if (from_good && with_label) {
    SIGHTLINE_CHECK(settle_good_class(manifest, data.good));
    SIGHTLINE_CHECK(reject_bad_masks(manifest, data.max_rejected));
  } else if (with_label && manifest.classes.size() < 2 && !any_pictures)
    return Error{ErrorKind::invalid_data,
                 fmt::format("{}: only one class, \"{}\"; a classifier needs two or more", source.root, manifest.classes.front())};
  if (!lost.empty()) log_warning("{} rejected; the manifest says why", plural(lost.size(), "file"));
  if (!lost_objects.empty()) log_warning("{} rejected; the manifest says why", plural(lost_objects.size(), "object"));
  return manifest;
}

}  // namespace sightline::dataset
