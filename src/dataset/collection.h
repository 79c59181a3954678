// A set of pictures with objects as a file says it: COCO JSON, YOLO text or Pascal VOC XML (docs/formats/annotations.md). The readers fill
// it, the writers write it, and what was read and is written again is the same text but for its order and layout: ids, the numbers of the
// boxes, pictures without objects, and every key that means nothing to us are kept as they stand. import_data reads data through it.
//
// A reader judges the file's form only: what it cannot keep is a Refusal with file and line (or JSON pointer). Whether a box makes sense is
// for the importer (object_checks.h).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "annotation/annotation.h"
#include "base/result.h"
#include "dataset/manifest.h"
#include "dataset/refusal.h"

namespace sightline::dataset {

enum class BoxFormat { coco, yolo, voc };

// What has no field here, as text of its format: a JSON value, an XML element, a YAML value.
struct Extra {
  std::string key, text;
  bool operator==(const Extra&) const = default;
};

struct CollectedObject {
  std::size_t category = 0;
  // As the format writes it. coco: left, top, width, height; voc: xmin, ymin, xmax, ymax, read as edges; both in pixels of the picture as
  // seen. yolo: centre x, centre y, width, height as shares of the picture's sides.
  std::array<double, 4> box{};
  std::vector<double> outline;     // yolo: x, y, x, y, …, as shares, of a line that has no box; box is then what it spans
  std::optional<std::int64_t> id;  // coco
  std::optional<bool> crowd, difficult, truncated;
  std::optional<std::string> pose;
  std::vector<Extra> extra;
  std::string place;  // "line 7", "/annotations/7": where it was read
};

struct CollectedPicture {
  std::string path;                         // of the picture's file, relative to the root
  std::string name;                         // as the annotations call it (coco: file_name, voc: filename), "" where they do not
  std::string label_file;                   // the file that speaks of it, relative to the root; yolo: "" where there is none
  std::string place;                        // within that file
  std::optional<Split> split;               // that the data give
  bool listed = true;                       // false: the data say which pictures are in a split, and this one is in none
  std::optional<std::int64_t> id;           // coco
  std::optional<int> width, height, depth;  // as written
  std::vector<CollectedObject> objects;
  std::vector<Extra> extra;
};

struct CollectedCategory {
  std::string name;
  std::optional<std::int64_t> id;  // coco
  std::vector<Extra> extra;
};

// coco: a JSON file; yolo: data.yaml or classes.txt.
struct CollectedFile {
  std::string path;
  std::vector<Extra> extra;
  std::vector<std::size_t> categories;  // that it names
};

// A file to be written, relative to the root.
struct TextFile {
  std::string path, text;
  bool operator==(const TextFile&) const = default;
};

struct Collection {
  BoxFormat format = BoxFormat::coco;
  std::vector<CollectedCategory> categories;  // the classes, in their order
  std::vector<CollectedPicture> pictures;
  std::vector<CollectedFile> files;
  std::vector<TextFile> lists;   // voc, yolo: which picture is in which split, as it stood
  std::vector<Refusal> refused;  // in no particular order; paths are relative to the root
};

// The rectangle in pixels of a picture of that size.
annotation::Box edges_of(BoxFormat format, const std::array<double, 4>& box, int width, int height);
// The way back; up to rounding.
std::array<double, 4> box_of(BoxFormat format, const annotation::Box& edges, int width, int height);

// --- readers: root is the absolute folder, files are all of those below it, relative and sorted (Source) ---
// Errors: invalid_data where nothing can be made of the data (no JSON at all, two names for one category), with file and line.

// tables: the JSON files, relative to root or absolute.
Result<Collection> read_coco(const std::string& root, const std::vector<std::string>& files, const std::vector<std::string>& tables);
Result<Collection> read_yolo(const std::string& root, const std::vector<std::string>& files);
Result<Collection> read_voc(const std::string& root, const std::vector<std::string>& files);

// --- writers: the collection must be of that format; sizes are given where the format has them (settle_sizes in convert.h) ---
std::vector<TextFile> write_coco(const Collection& collection);
std::vector<TextFile> write_yolo(const Collection& collection);
std::vector<TextFile> write_voc(const Collection& collection);

// The shortest text that reads back to the same number: 12 for 12.0.
std::string number_text(double value);

}  // namespace sightline::dataset

template <>
struct sightline::EnumNames<sightline::dataset::BoxFormat> {
  static constexpr std::array<const char*, 3> names{"coco", "yolo", "voc"};
};
