// The record of a data set: every file accounted for, with content digest, label, group and split. Written as JSON lines: a header, then
// one sample or rejection a line (docs/formats/manifest.md).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "annotation/annotation.h"
#include "base/fields.h"
#include "base/json.h"
#include "base/sha256.h"
#include "image/image.h"

namespace sightline::dataset {

enum class Split { train, validation, test };

// The picture that says what each pixel of a sample shows (masks.h).
struct MaskFile {
  std::string path;  // relative to the root; "": none
  Digest digest;     // of the file's bytes
  bool operator==(const MaskFile&) const = default;
};

struct Sample {
  std::string path;   // relative to the root; "train-images-idx3-ubyte.gz#17" for record 17 of an IDX file, "car.jpg#253,218,130,29" for a
                      // part of a picture (left, top, width, height), "clip.mp4#t=12.000" for a frame (video_frames.h)
  Digest digest;      // of the file's bytes (of the pixels for IDX records and frames)
  int label = 0;      // index into classes
  std::string group;  // samples of one group are never torn apart; "" is a group of its own
  Split split = Split::train;
  int width = 0, height = 0, channels = 0;  // as seen (after EXIF)
  std::uint64_t perceptual_hash = 0;
  double mean = 0, deviation = 0, sharpness = 0;  // image::Statistics
  // What there is in the picture, where the task asks for that; none is an answer too. Its line carries them behind the other keys:
  //   "objects":[[label,left,top,right,bottom,flags],…], flags 1 crowd, 2 difficult
  //   "attributes":"10?…", a character a class: yes, no, nothing is said
  //   "text":"AB123"
  //   "landmarks":[[x,y,said],…], one a class; said 0 nothing, 1 covered, 2 visible
  annotation::Annotation annotation = {};
  MaskFile mask = {};  // likewise: "mask":[path,digest]; what it says stays in its file
  static constexpr auto fields() {
    return std::tuple{field("path", &Sample::path),     field("digest", &Sample::digest),       field("label", &Sample::label),
                      field("group", &Sample::group),   field("split", &Sample::split),         field("width", &Sample::width),
                      field("height", &Sample::height), field("channels", &Sample::channels),   field("phash", &Sample::perceptual_hash),
                      field("mean", &Sample::mean),     field("deviation", &Sample::deviation), field("sharpness", &Sample::sharpness)};
  }
};

struct Rejection {
  std::string path, reason;
  static constexpr auto fields() { return std::tuple{field("path", &Rejection::path), field("reason", &Rejection::reason)}; }
};

// What the pixels of all masks mean.
struct MaskMeaning {
  bool instances = false;   // each value is an object of its own, all of one class, and 0 is background
  std::vector<int> values;  // else: of each class; 0 is background, 255 beside several values is not judged
  static constexpr auto fields() { return std::tuple{field("instances", &MaskMeaning::instances), field("values", &MaskMeaning::values)}; }
};

struct Manifest {
  std::string root;    // absolute folder
  std::string format;  // "folders", "idx", "csv", "mvtec"; with objects "coco", "yolo", "voc"; with texts "texts"; with masks "masks"; with
                       // landmarks "landmarks"
  std::string licence, origin;
  std::vector<std::string> classes;
  bool given_test = false;  // the data bring their own test split
  bool given_validation = false;
  std::optional<MaskMeaning> masks;  // every sample then has one
  std::vector<Rejection> rejected;
  std::vector<Sample> samples;  // in the order of the listing
  // Which pictures are to be compared, where the data say so; by places among the samples. A line each, behind those of the samples:
  //   {"pair":[first,second,fold]}
  std::vector<annotation::Pair> pairs = {};
};

// Whether classes are those of objects in the pictures (any picture has one): a picture then has no class, and its label says nothing.
bool holds_objects(const Manifest& manifest);
// Whether classes are labels of which any number may be true of a picture, likewise.
bool holds_attributes(const Manifest& manifest);
// Whether classes are the symbols of texts, likewise.
bool holds_texts(const Manifest& manifest);
// Whether classes are the names of points, of which each picture has one each, likewise.
bool holds_landmarks(const Manifest& manifest);
// None of these, nor masks: every picture has the one class that is its label.
bool one_class_each(const Manifest& manifest);
// The classes that a picture counts for, where it has not one: of its objects and of its text's symbols, each as often as it is there; of
// its attributes that are true; of its landmarks that are known. What its mask says stays in the file.
std::vector<std::int32_t> classes_within(const Manifest& manifest, const Sample& sample);

std::string write_manifest(const Manifest& manifest);
// The same as gzip, a third as long: how builds keep it.
std::string pack_manifest(const Manifest& manifest);
// Of either. Errors name source and line: invalid_data, unsupported, refused (4 GiB or more when inflated).
Result<Manifest> parse_manifest(const std::string& text, const std::string& source);

// Reads pixels of samples; keeps IDX files mapped (inflated once), a few videos open, and is safe to call from several threads. Errors:
// not_found, io, and those of image::decode; they name the sample.
class SampleReader {
 public:
  explicit SampleReader(std::string root);
  ~SampleReader();
  SampleReader(SampleReader&&) noexcept;
  Result<image::Image> read(const std::string& sample_path, const image::DecodeOptions& options = {}) const;
  // The same, and the digest that Sample::digest is compared with (also when the bytes do not decode).
  Result<image::Image> read_and_digest(const std::string& sample_path, const image::DecodeOptions& options, Digest* digest) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sightline::dataset

template <>
struct sightline::EnumNames<sightline::dataset::Split> {
  static constexpr std::array<const char*, 3> names{"train", "validation", "test"};
};
