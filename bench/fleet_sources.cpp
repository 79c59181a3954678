#include "bench/fleet_sources.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/files.h"
#include "base/random.h"
#include "base/text.h"

namespace sightline::bench {
namespace {

namespace fs = std::filesystem;
using Half = std::pair<const char*, Part>;  // a folder or file of the set, and the side it is on

constexpr int least_crop = 24;  // pixels
constexpr double padding = 0.15;
constexpr int widest_gap = 1000;  // frames between two exposures of one magnetic tile

std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code code;
  for (fs::directory_iterator each(folder, code), end; !code && each != end; each.increment(code)) found.push_back(each->path());
  std::sort(found.begin(), found.end());
  return found;
}

Error missing(const fs::path& folder) {
  return {ErrorKind::not_found,
          fmt::format("{}: no such folder; the sets of shared/data and Debian's dataset-fashion-mnist are needed", folder.string())};
}

// Fills a source: a picture joins the class of each facet, which is made when it is first named.
class Collector {
 public:
  Collector(std::string name, std::string industry, const std::vector<std::string>& facets) {
    source_.name = std::move(name);
    source_.industry = std::move(industry);
    for (const std::string& facet : facets) source_.facets.push_back({facet, {}, -1});
  }

  Class& class_of(std::size_t facet, const std::string& name) {
    auto& classes = source_.facets[facet].classes;
    const auto found = std::find_if(classes.begin(), classes.end(), [&](const Class& each) { return each.name == name; });
    return found != classes.end() ? *found : classes.emplace_back(Class{name, {}});
  }

  std::size_t add(Picture picture, const std::string& class_name) {
    picture.path = source_.name + "/" + picture.path;
    source_.pictures.push_back(std::move(picture));
    class_of(0, class_name).pictures.push_back(source_.pictures.size() - 1);
    return source_.pictures.size() - 1;
  }

  // Every file of the folder. The group is the file's own unless said otherwise.
  void add_folder(const fs::path& folder, const std::string& prefix, const std::string& class_name, Part part,
                  std::string (*group)(const std::string& stem) = nullptr) {
    for (const fs::path& file : entries(folder)) {
      if (file.extension() != ".jpg") continue;
      const std::string path = prefix + "/" + file.filename().string();
      add({path, file.string(), {}, {}, group != nullptr ? prefix + "/" + group(file.stem().string()) : path, part}, class_name);
    }
  }

  Source& source() { return source_; }

 private:
  Source source_;
};

void keep_at_most(Source& source, std::size_t most, std::uint64_t seed) {
  for (Facet& facet : source.facets) {
    for (std::size_t c = 0; c < facet.classes.size(); ++c) {
      auto& pictures = facet.classes[c].pictures;
      Random random(seed, c);
      random.shuffle(pictures);
      std::array<std::size_t, 3> left{2 * most, most, most};
      std::erase_if(pictures, [&](std::size_t i) {
        std::size_t& places = left.at(static_cast<std::size_t>(source.pictures[i].part));
        if (places == 0) return true;
        --places;
        return false;
      });
      std::sort(pictures.begin(), pictures.end());
    }
  }
}

// Inflated, or as it is.
Result<std::string> read_gzip(const std::string& path) {
  const gzFile file = ::gzopen(path.c_str(), "rb");
  if (file == nullptr) return system_error("cannot be opened", path);
  std::string text, block(std::size_t{1} << 20U, '\0');
  int count = 0;
  while ((count = ::gzread(file, block.data(), static_cast<unsigned>(block.size()))) > 0)
    text.append(block, 0, static_cast<std::size_t>(count));
  ::gzclose(file);
  if (count < 0) return Error{ErrorKind::invalid_data, path + ": broken gzip file"};
  return text;
}

// Its own test part. Two garments of one wearer cannot be told; near duplicates are looked for.
Result<Source> apparel(const std::string& fashion, std::size_t most) {
  constexpr std::array<const char*, 10> names{"t-shirt", "trouser", "pullover", "dress", "coat",
                                              "sandal",  "shirt",   "sneaker",  "bag",   "boot"};
  constexpr std::size_t side = 28, pixels = side * side, images_at = 16, labels_at = 8;
  Collector collector("apparel", "apparel", {"garment"});
  for (const auto& [file, part] : {Half{"train", Part::train}, Half{"t10k", Part::test}}) {
    SIGHTLINE_TRY(const std::string images, read_gzip(fmt::format("{}/{}-images-idx3-ubyte.gz", fashion, file)));
    SIGHTLINE_TRY(const std::string labels, read_gzip(fmt::format("{}/{}-labels-idx1-ubyte.gz", fashion, file)));
    const std::size_t count = labels.size() - std::min(labels.size(), labels_at);
    if (count == 0 || images.size() != images_at + count * pixels) return Error{ErrorKind::invalid_data, fashion + ": not Fashion-MNIST"};
    std::array<std::size_t, names.size()> taken{};
    for (std::size_t i = 0; i < count; ++i) {
      const auto label = static_cast<unsigned char>(labels[labels_at + i]);
      // The first ones: keep_at_most draws, and what it cannot draw need not be held.
      if (label >= names.size() || taken.at(label)++ / 3 >= most) continue;
      const std::string path = fmt::format("{}/{:05}.png", file, i);
      Picture picture{path, path, {}, {side, side, 1, {}}, path, part};
      const auto* begin = images.data() + images_at + i * pixels;
      picture.pixels.pixels.assign(begin, begin + pixels);
      collector.add(std::move(picture), names.at(label));
    }
  }
  return std::move(collector.source());
}

// Its own test part; train and val together are for training.
Result<Source> grocery(const std::string& data) {
  const fs::path root = fs::path(data) / "cls_grocery_retail";
  if (!fs::is_directory(root)) return missing(root);
  Collector collector("grocery", "retail", {"goods"});
  for (const auto& [folder, part] : {Half{"train", Part::train}, Half{"val", Part::train}, Half{"test", Part::test}}) {
    for (const fs::path& each : entries(root / folder))
      collector.add_folder(each, fmt::format("{}/{}", folder, each.filename().string()), each.filename().string(), part);
  }
  return std::move(collector.source());
}

// No split. Pictures that follow one another were often cut from one strip of steel (their scratches go on): ten in a row are a group.
Result<Source> steel(const std::string& data) {
  const fs::path root = fs::path(data) / "det_cls_neu_steel" / "images";
  if (!fs::is_directory(root)) return missing(root);
  Collector collector("steel", "steel", {"defect"});
  for (const fs::path& file : entries(root)) {
    const std::string stem = file.stem().string();
    const std::size_t line = stem.rfind('_');
    if (line == std::string::npos) continue;
    const std::string defect = stem.substr(0, line);
    const int number = std::atoi(stem.c_str() + line + 1);
    collector.add({file.filename().string(), file.string(), {}, {}, fmt::format("{}-{}", defect, number / 10), Part::free}, defect);
  }
  return std::move(collector.source());
}

// No split. The exposures of one tile are a group (tiles_of).
Result<Source> tiles(const std::string& data) {
  const fs::path root = fs::path(data) / "seg_cls_anom_magnetic_tile";
  if (!fs::is_directory(root)) return missing(root);
  Collector collector("tiles", "magnetic parts", {"defect"});
  for (const fs::path& folder : entries(root))
    if (fs::is_directory(folder))
      collector.add_folder(folder, folder.filename().string(), folder.filename().string().substr(3), Part::free);
  Source& source = collector.source();
  std::vector<std::string> names;
  for (const Picture& each : source.pictures) names.push_back(fs::path(each.path).filename().string());
  const std::vector<std::string> groups = tiles_of(names);
  for (std::size_t i = 0; i < groups.size(); ++i) source.pictures[i].group = groups[i];
  return std::move(source);
}

// Its own test part. In training the number before the line is the track: up to three pictures of one sign while a car passes it.
Result<Source> signs(const std::string& data) {
  const fs::path root = fs::path(data) / "cls_gtsrb_signs";
  if (!fs::is_directory(root)) return missing(root);
  Collector collector("signs", "road signs", {"sign"});
  for (const auto& [folder, part] : {Half{"train", Part::train}, Half{"test", Part::test}}) {
    for (const fs::path& each : entries(root / folder)) {
      const std::string sign = each.filename().string();
      collector.add_folder(each, fmt::format("{}/{}", folder, sign), "sign" + sign, part,
                           part == Part::train ? +[](const std::string& stem) { return stem.substr(0, stem.find('_')); } : nullptr);
    }
  }
  return std::move(collector.source());
}

// No split, no order in the numbers. Equal files under two classes are left out where both are drawn, near duplicates stay together.
Result<Source> waste(const std::string& data) {
  const fs::path root = fs::path(data) / "cls_trashnet_waste";
  if (!fs::is_directory(root)) return missing(root);
  Collector collector("waste", "waste", {"material"});
  for (const fs::path& folder : entries(root)) {
    const std::string name = folder.filename().string();
    if (fs::is_directory(folder)) collector.add_folder(folder, name, name, Part::free);
  }
  return std::move(collector.source());
}

// Its own test part, which was cut off the end of each film: neighbours in time are on one side but at the cut. The classes are the
// cameras and places that the file names tell.
Result<Source> vehicles(const std::string& data) {
  const fs::path root = fs::path(data) / "cls_vehicle_adas";
  if (!fs::is_directory(root)) return missing(root);
  constexpr std::array<std::array<const char*, 3>, 7> kinds{{{"vehicles", "GTI_Far", "car-far"},
                                                             {"vehicles", "GTI_Left", "car-left"},
                                                             {"vehicles", "GTI_Right", "car-right"},
                                                             {"vehicles", "GTI_MiddleClose", "car-close"},
                                                             {"vehicles", "KITTI", "car-street"},
                                                             {"non-vehicles", "GTI", "motorway"},
                                                             {"non-vehicles", "Extras", "roadside"}}};
  Collector collector("vehicles", "vehicles", {"view"});
  for (const auto& [folder, part] : {Half{"train", Part::train}, Half{"test", Part::test}}) {
    for (const auto& [kind, prefix, name] : kinds) {
      for (const fs::path& file : entries(root / folder / kind)) {
        const std::string path = fmt::format("{}/{}/{}", folder, kind, file.filename().string());
        if (file.filename().string().starts_with(prefix)) collector.add({path, file.string(), {}, {}, path, part}, name);
      }
    }
  }
  return std::move(collector.source());
}

// "<name>value</name>" from `at` on, which moves behind it.
std::optional<std::string> tag(const std::string& text, const std::string& name, std::size_t& at) {
  const std::size_t begin = text.find("<" + name + ">", at);
  if (begin == std::string::npos) return std::nullopt;
  const std::size_t from = begin + name.size() + 2, end = text.find("</", from);
  if (end == std::string::npos) return std::nullopt;
  at = end;
  return text.substr(from, end - from);
}

struct Found {
  std::string name;
  Box box;
};

// The boxes of a VOC file.
Result<std::vector<Found>> read_boxes(const std::string& path) {
  SIGHTLINE_TRY(const std::string text, read_file(path));
  std::vector<Found> found;
  std::size_t at = 0;
  while (auto name = tag(text, "name", at)) {
    std::array<int, 4> sides{};
    for (std::size_t i = 0; i < 4; ++i) {
      const auto value = tag(text, std::array{"xmin", "ymin", "xmax", "ymax"}.at(i), at);
      if (!value) return Error{ErrorKind::invalid_data, path + ": an object without a whole box"};
      sides.at(i) = std::atoi(value->c_str());
    }
    found.push_back({*name, {sides[0], sides[1], sides[2] - sides[0], sides[3] - sides[1]}});
  }
  return found;
}

Box padded(const Box& box, int width, int height) {
  const auto side = [](int begin, int length, int limit) {
    const int wanted = std::min(limit, std::max(least_crop, static_cast<int>(length * (1 + 2 * padding))));
    return std::pair{std::clamp(begin + length / 2 - wanted / 2, 0, limit - wanted), wanted};
  };
  const auto [x, w] = side(box.x, box.width, width);
  const auto [y, h] = side(box.y, box.height, height);
  return {x, y, w, h};
}

bool meet(const Box& a, const Box& b) { return a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height; }

// A place of this size that meets none of the boxes; none after fifty tries.
std::optional<Box> empty_place(const std::vector<Found>& found, int w, int h, int width, int height, Random& random) {
  for (int i = 0; i < 50 && w < width && h < height; ++i) {
    const Box box{static_cast<int>(random.below(static_cast<std::uint64_t>(width - w))),
                  static_cast<int>(random.below(static_cast<std::uint64_t>(height - h))), w, h};
    if (std::none_of(found.begin(), found.end(), [&](const Found& each) { return meet(box, each.box); })) return box;
  }
  return std::nullopt;
}

constexpr int degenerate = 6;  // boxes with a side below it say nothing

// Crops of the defects, and of the flawless template at one defect's place of each board. Its own test part; the group is the picture of
// the board, so that defects of one picture and its template stay together.
Result<Source> boards(const std::string& data) {
  const fs::path root = fs::path(data) / "det_anom_deeppcb";
  if (!fs::is_directory(root)) return missing(root);
  constexpr int side = 640;
  Collector collector("boards", "electronics", {"defect"});
  for (const auto& [folder, part] : {Half{"trainval", Part::train}, Half{"test", Part::test}}) {
    for (const fs::path& file : entries(root / folder)) {
      if (file.extension() != ".xml") continue;
      const std::string board = fmt::format("{}/{}", folder, file.stem().string());
      SIGHTLINE_TRY(const auto found, read_boxes(file.string()));
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (std::min(found[i].box.width, found[i].box.height) < degenerate) continue;
        const Box box = padded(found[i].box, side, side);
        collector.add({fmt::format("{}-{}.png", board, i), (root / (board + ".png")).string(), box, {}, board, part}, found[i].name);
        if (i == 0) collector.add({board + "-flawless.png", (root / (board + "_template.png")).string(), box, {}, board, part}, "flawless");
      }
    }
  }
  return std::move(collector.source());
}

// Crops of cells, and of plasma between them. Its own test part; the group is the picture.
Result<Source> blood(const std::string& data, std::uint64_t seed) {
  const fs::path root = fs::path(data) / "det_bccd_blood";
  if (!fs::is_directory(root)) return missing(root);
  constexpr int width = 640, height = 480, plasma = 80;
  Collector collector("blood", "medicine", {"cell"});
  Random random(seed);
  for (const auto& [list, part] : {Half{"trainval.txt", Part::train}, Half{"test.txt", Part::test}}) {
    SIGHTLINE_TRY(const std::string lines, read_file((root / list).string()));
    for (const std::string& line : split(lines, '\n')) {
      const std::string stem = trim(line);
      if (stem.empty()) continue;
      const std::string original = (root / "images" / (stem + ".jpg")).string();
      SIGHTLINE_TRY(const auto found, read_boxes((root / "annotations" / (stem + ".xml")).string()));
      for (std::size_t i = 0; i < found.size(); ++i) {
        if (std::min(found[i].box.width, found[i].box.height) < degenerate) continue;
        collector.add({fmt::format("{}-{}.png", stem, i), original, padded(found[i].box, width, height), {}, stem, part}, found[i].name);
      }
      if (const auto place = empty_place(found, plasma, plasma, width, height, random))
        collector.add({stem + "-plasma.png", original, *place, {}, stem, part}, "plasma");
    }
  }
  return std::move(collector.source());
}

// No split. Crops of plates by region, and of the same pictures beside the plate; the group is the plate's text, since one car is in
// several pictures.
Result<Source> regions(const std::string& data, std::uint64_t seed) {
  const fs::path root = fs::path(data) / "det_ocr_openalpr_plates";
  if (!fs::is_directory(root)) return missing(root);
  Collector collector("regions", "car parks", {"region"});
  Random random(seed);
  for (const char* region : {"br", "eu", "us"}) {
    SIGHTLINE_TRY(const std::string lines, read_file((root / (std::string(region) + ".csv")).string()));
    for (const std::string& line : split(lines, '\n')) {
      const std::vector<std::string> cells = split(trim(line), ',');
      if (cells.size() != 6 || cells[0] == "file") continue;
      const std::string original = (root / region / cells[0]).string(), stem = fs::path(cells[0]).stem().string();
      SIGHTLINE_TRY(const MappedFile file, MappedFile::open(original));
      SIGHTLINE_TRY(const image::Header header, image::read_header(file.bytes()));
      const Box plate{std::atoi(cells[1].c_str()), std::atoi(cells[2].c_str()), std::atoi(cells[3].c_str()), std::atoi(cells[4].c_str())};
      const Box box = padded(plate, header.width, header.height);
      collector.add({fmt::format("{}/{}.png", region, stem), original, box, {}, cells[5], Part::free}, region);
      if (const auto place = empty_place({{"", box}}, box.width, box.height, header.width, header.height, random))
        collector.add({fmt::format("{}/{}-beside.png", region, stem), original, *place, {}, cells[5], Part::free}, "beside");
    }
  }
  return std::move(collector.source());
}

// No split. Sorted by the first character (the province) and by the second (the place in it); every plate is there once. Characters that
// stand on fewer than ten plates would make hundreds of tasks that differ in a picture or two.
Result<Source> plates(const std::string& data) {
  const fs::path root = fs::path(data) / "ocr_cn_plates";
  if (!fs::is_directory(root)) return missing(root);
  constexpr std::size_t province = 3;  // bytes of a Chinese character in UTF-8
  constexpr std::size_t rare = 10;
  Collector collector("plates", "tolls", {"first", "second"});
  SIGHTLINE_TRY(const std::string lines, read_file((root / "labels.csv").string()));
  for (const std::string& line : split(lines, '\n')) {
    const std::vector<std::string> cells = split(trim(line), ',');
    if (cells.size() != 2 || cells[0] == "file" || cells[1].size() <= province) continue;
    const std::size_t i =
        collector.add({cells[0], (root / "images" / cells[0]).string(), {}, {}, cells[1], Part::free}, cells[1].substr(0, province));
    collector.class_of(1, cells[1].substr(province, 1)).pictures.push_back(i);
  }
  for (Facet& facet : collector.source().facets)
    std::erase_if(facet.classes, [](const Class& each) { return each.pictures.size() < rare; });
  return std::move(collector.source());
}

// No split. People with ten pictures or more are classes, which are on both sides by nature; near duplicates of one event stay together.
// "Others" are people with one to three pictures, each person on one side: the strangers of the test were never seen.
Result<Source> faces(const std::string& data) {
  const fs::path root = fs::path(data) / "face_lfw112" / "images";
  if (!fs::is_directory(root)) return missing(root);
  constexpr std::size_t known = 10, strange = 3;
  Collector collector("faces", "access control", {"person"});
  for (const fs::path& folder : entries(root)) {
    const std::string person = folder.filename().string();
    const std::size_t count = entries(folder).size();
    if (count >= known) {
      collector.add_folder(folder, person, person, Part::free);
    } else if (count <= strange) {
      collector.add_folder(folder, person, "strangers", Part::free, [](const std::string&) { return std::string("all"); });
    }
  }
  Facet& facet = collector.source().facets[0];
  for (std::size_t c = 0; c < facet.classes.size(); ++c)
    if (facet.classes[c].name == "strangers") facet.others = static_cast<std::int64_t>(c);
  return std::move(collector.source());
}

constexpr std::array<const char*, 12> source_names{"apparel",  "grocery", "steel", "tiles",   "signs",  "waste",
                                                   "vehicles", "boards",  "blood", "regions", "plates", "faces"};

Result<Source> read_source(const std::string& name, const std::string& data, const std::string& fashion, std::uint64_t seed,
                           std::size_t most) {
  if (name == "apparel") return apparel(fashion, most);
  if (name == "grocery") return grocery(data);
  if (name == "steel") return steel(data);
  if (name == "tiles") return tiles(data);
  if (name == "signs") return signs(data);
  if (name == "waste") return waste(data);
  if (name == "vehicles") return vehicles(data);
  if (name == "boards") return boards(data);
  if (name == "blood") return blood(data, seed);
  if (name == "regions") return regions(data, seed);
  if (name == "plates") return plates(data);
  if (name == "faces") return faces(data);
  return Error{ErrorKind::usage, fmt::format("there is no source \"{}\"", name)};
}

}  // namespace

std::vector<std::string> tiles_of(const std::vector<std::string>& names) {
  struct Frame {
    long number = 0, exposure = 0;
    std::size_t index = 0;
  };
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < names.size(); ++i) {
    Frame frame{0, 0, i};
    if (std::sscanf(names[i].c_str(), "exp%ld_num_%ld", &frame.exposure, &frame.number) != 2) frame = {-1, 0, i};
    frames.push_back(frame);
  }
  std::sort(frames.begin(), frames.end(),
            [](const Frame& a, const Frame& b) { return std::pair(a.number, a.index) < std::pair(b.number, b.index); });
  std::vector<std::string> groups(names.size());
  std::string group;
  for (std::size_t k = 0; k < frames.size(); ++k) {
    const bool follows = k > 0 && frames[k].number >= 0 && frames[k].exposure > frames[k - 1].exposure &&
                         frames[k].number - frames[k - 1].number <= widest_gap;
    if (!follows) group = "tile-" + names[frames[k].index];
    groups[frames[k].index] = group;
  }
  return groups;
}

Result<Source> collect_source(const std::string& name, const std::string& data, const std::string& fashion, std::uint64_t seed,
                              std::size_t most) {
  SIGHTLINE_TRY(Source source, read_source(name, data, fashion, seed, most));
  keep_at_most(source, name == "faces" ? most / 2 : most, seed);
  SIGHTLINE_CHECK(close_leaks(source));
  return source;
}

Result<std::vector<Source>> collect_sources(const std::string& data, const std::string& fashion, std::uint64_t seed) {
  std::vector<Source> sources;
  for (const char* name : source_names) {
    SIGHTLINE_TRY(Source source, collect_source(name, data, fashion, seed));
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace sightline::bench
