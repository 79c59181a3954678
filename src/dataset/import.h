// From a folder to a manifest without splits decided: class folders (ImageFolder, with train/val/test above the classes or not), IDX pairs
// (.gz too), CSV (path,label[,split][,group…]); texts as CSV
// (path,text[,x,y,w,h][,split][,group…]) and landmarks (path,NAME_x,NAME_y,…); pictures with objects as COCO JSON, Pascal VOC or YOLO
// (docs/formats/annotations.md). Every file is accepted, or rejected with a reason; nothing is dropped in silence. A CSV outside of the
// folder (data.labels absolute) says alone what the data are: files that it does not name are not looked at.
//
// A video where a picture could be (class folders, pictures directly in the folder, MVTec's folders, rows of a CSV, texts) gives one sample
// a frame, as data.frames says, and its frames are always one group (video_frames.h); to be rejected it must give none at all.
//
// Sample::group is filled here from the split plan: folder (class folders: the folders between class and file, so that class/patient7/x.png
// and other/patient7/y.png are one group, and a file directly in its class folder is a group of its own; CSV: the file's folder), pattern
// (std::regex, ECMAScript without back references, searched in the path: its first group, or the whole match without one), column (CSV).
// With objects, folder is the picture's folder. For none and near_duplicates it stays ""; assign_splits fills the latter. Sample::split is
// the given split, train where none is given.
#pragma once

#include <string>
#include <vector>

#include "dataset/collection.h"
#include "dataset/intake.h"
#include "dataset/manifest.h"
#include "demand/demand.h"

namespace sightline::dataset {

// One row per importer (import.cpp): name, what it looks like, detect, list.
std::vector<std::string> format_names();
// Error invalid_data says what was looked for and what was found instead.
Result<std::string> detect_format(const std::string& root);

// Digest of what the folder holds as far as stat tells (paths, sizes, modification times): cheap, for the dirty check.
Result<Digest> listing_digest(const demand::Data& data);

// The classes of the pictures, sorted, as far as names tell: opens none. Pictures that lie directly in the folder are of one class; those
// with objects have none. Errors as list_pictures.
Result<std::vector<std::string>> list_classes(const demand::Data& data);

// What COCO, VOC or YOLO files say, before any picture is opened. Errors as list_pictures; invalid_data for the other formats.
Result<Collection> read_collection(const demand::Data& data);

// Decodes every image once (in parallel, bounded memory), with progress; those that `intake` knows not at all. Classes are sorted bytewise
// (IDX, YOLO: by their number; COCO: by their id); one whose images were all rejected is left out, one without objects is not. Boxes that
// cannot be are left out, clipped, or an error, as data.bad_boxes says. Rejections are sorted by path; held against data.max_rejected are
// those of files in class folders, rows of the CSV and files with an image's extension, not those of side files such as a README. Hidden
// files (".x") are not looked at. Errors: not_found, invalid_data (no images, one class only, no object at all, more files or boxes
// rejected than data.max_rejected: lists the first ones), interrupted.
//
// any_pictures (task: restore): what classes there are does not count; pictures directly in the folder will do.
// from_good (task: anomaly) takes a single class, and pictures that lie directly in the folder, as good ones; its manifests are settled
// (good_pictures.h), and masks that do not fit count as boxes do.
Result<Manifest> import_data(const demand::Data& data, const demand::SplitPlan& split, Intake* intake = nullptr, bool from_good = false,
                             bool any_pictures = false);

// The files of pictures that import_data would look at, absolute, in no particular order; pictures inside IDX files and frames of videos
// are left out. Opens no picture. Errors as import_data.
Result<std::vector<std::string>> list_pictures(const demand::Data& data, const demand::SplitPlan& split);

}  // namespace sightline::dataset
