// What the importers of import.cpp's table share. Internal to this folder.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/collection.h"
#include "dataset/manifest.h"
#include "dataset/refusal.h"
#include "demand/demand.h"

namespace sightline::dataset {

// The folder as listed, before any file is opened.
struct Source {
  std::string root;     // absolute
  std::string labels;   // the CSV or JSON file, relative to root, when the demand names one; absolute when it lies elsewhere
  std::string symbols;  // the file that lists the symbols of texts, absolute; "": none
  std::vector<std::string> attributes;  // columns of the table that the demand names
  std::vector<std::string> files;       // relative to root, sorted
  std::vector<Refusal> problems;        // what could not be listed
};
Result<Source> list_source(const demand::Data& data);

// A sample to be: its pixels have not been looked at.
struct Entry {
  std::string path;  // as Sample::path
  std::string class_name;
  std::string text;  // what is written in it, of data with texts: these have no classes but symbols
  Split split = Split::train;
  std::string folder;                                // its group for group_by folder
  std::string column;                                // its group for group_by column
  std::size_t picture = 0;                           // of Listing::collection
  std::string mask;                                  // the file with its mask
  std::vector<std::string> cells = {};               // of Source::attributes
  std::vector<annotation::Landmark> landmarks = {};  // one for each of Listing::class_order, of data with landmarks
  std::size_t line = 0;                              // of the table, where there is one
};

struct Listing {
  std::vector<Entry> entries;
  std::vector<std::string> class_order;  // empty: the class names, sorted bytewise
  std::vector<Refusal> refused;
  std::optional<Collection> collection;  // of data with objects: these have classes, the pictures have none
};

// Sample::group of every entry, as import.h says it. Error invalid_data: a pattern that is none, or matches nothing.
Result<void> fill_groups(const Listing& listing, const demand::SplitPlan& plan, std::vector<Sample>& samples);

bool looks_like_folders(const Source& source);
Result<Listing> list_folders(const Source& source, const demand::SplitPlan& plan);
// Images directly in the folder and none below it: one class, called good.
bool looks_like_pictures(const Source& source);
Result<Listing> list_good_pictures(const Source& source, const demand::SplitPlan& plan);
bool looks_like_idx(const Source& source);
Result<Listing> list_idx(const Source& source, const demand::SplitPlan& plan);
// Paths (relative to root) of the files that the table names and that are there, sorted. Errors as list_csv.
Result<std::vector<std::string>> files_of_table(const std::string& table, const std::string& root);
bool looks_like_csv(const Source& source);
Result<Listing> list_csv(const Source& source, const demand::SplitPlan& plan);

bool looks_like_texts(const Source& source);
Result<Listing> list_texts(const Source& source, const demand::SplitPlan& plan);
// One symbol a line. Errors: invalid_data (file and line: more than one, or one twice), not_found, io.
Result<std::vector<std::string>> read_symbols(const std::string& file);

// Points of the pictures: columns "NAME_x" and "NAME_y" (or NAMEx, NAMEy), and if wanted "NAME_v" (COCO's 0, 1, 2).
bool looks_like_landmarks(const Source& source);
Result<Listing> list_landmarks(const Source& source, const demand::SplitPlan& plan);

// Names of a table's columns, and which column has one of them, in any case.
inline constexpr std::array<std::string_view, 6> path_columns{"path", "file", "filename", "file_name", "image", "image_path"};
inline constexpr std::array<std::string_view, 4> label_columns{"label", "class", "class_name", "category"};
inline constexpr std::array<std::string_view, 2> split_columns{"split", "subset"};
std::optional<std::size_t> find_column(const std::vector<std::string>& header, std::span<const std::string_view> names);
// The path as list_files writes it, or "" when it leaves the folder. No file system is asked.
std::string path_inside(std::string path, const std::string& root);

bool looks_like_coco(const Source& source);
bool looks_like_yolo(const Source& source);
bool looks_like_voc(const Source& source);
Result<Collection> collect_coco(const Source& source);
Result<Collection> collect_yolo(const Source& source);
Result<Collection> collect_voc(const Source& source);
// An entry for each picture of the collection, and every other file accounted for.
Result<Listing> list_collection(Collection collection, const Source& source, const demand::SplitPlan& plan);

// "train", "training", "val", "valid", "validation", "test", "testing", "t10k", in any case.
bool split_from(std::string_view name, Split& split);
std::string extension_of(std::string_view path);  // ".jpg", in small letters; "" where there is none
bool has_image_extension(std::string_view path);
bool is_called_like_pictures(std::string_view path);  // or like a video, which holds some
// "side file (.txt)" for what usually lies beside pictures; "" for everything else.
std::string side_file_reason(std::string_view path);
std::string lower_case(std::string_view text);  // ASCII letters only
std::string as_utf8(std::string_view text);     // RFC 3629; bytes that are no character become U+FFFD

}  // namespace sightline::dataset
