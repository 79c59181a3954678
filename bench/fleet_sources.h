// The sets that bench/fleet_tasks.cpp draws its tasks from: pictures with classes, and what must stay on one side of a split so that no
// test picture is half known from training. Reads ../shared/data and Debian's dataset-fashion-mnist; copies nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "image/image.h"

namespace sightline::bench {

// Whole pixels in the picture, origin top left. Without width: the picture as a whole.
struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

enum class Part { free, train, test };  // free: the set brings no split, each task makes its own

struct Picture {
  std::string path;          // below the pool: SOURCE/...
  std::string original;      // absolute path of the file; a name when `pixels` holds the picture
  Box box;                   // the crop of the original, already padded and inside it
  image::Image pixels = {};  // of a record that is no file of its own (IDX)
  std::string group;         // pictures of one group are never on both sides
  Part part = Part::free;
};

struct Class {
  std::string name;
  std::vector<std::size_t> pictures;  // indices into Source::pictures; no picture is in two classes of a facet
};

// One way to sort a set's pictures: by garment, by the first character of the plate, …
struct Facet {
  std::string name;
  std::vector<Class> classes;
  // Of one-against-others, the class that plays the others (strangers' faces) and plays in nothing else; -1: all other classes together.
  std::int64_t others = -1;
};

struct Source {
  std::string name;      // letters, digits, - and _: the folder, and how its tasks' names begin
  std::string industry;  // for the summary
  std::vector<Picture> pictures;
  std::vector<Facet> facets;
  std::size_t conflicting = 0, known = 0;  // left out: equal files of two classes; training pictures that nearly equal a test picture
};

inline constexpr std::size_t most_of_a_class = 80;

// One set. Its classes hold at most `most` pictures of each side, chosen by the seed (twice as many where the set has no sides; half as
// many of a face), since every picture costs a forward pass. Errors: not_found (the folder lacks the set), invalid_data, usage (no set of
// that name).
Result<Source> collect_source(const std::string& name, const std::string& data, const std::string& fashion, std::uint64_t seed,
                              std::size_t most = most_of_a_class);
// All sets, in a fixed order.
Result<std::vector<Source>> collect_sources(const std::string& data, const std::string& fashion, std::uint64_t seed);

// The tile of each magnetic tile's picture: one tile was photographed under up to six exposures, frame numbers rising
// ("exp2_num_20390.jpg"). Takes file names in any order, gives a group for each.
std::vector<std::string> tiles_of(const std::vector<std::string>& names);

// Joins the groups whose originals are near duplicates (dataset/duplicates.h), takes pictures with equal bytes under two classes out, and
// training pictures whose group a test picture shares. Decodes every original once.
Result<void> close_leaks(Source& source);
// The second half of it, on groups alone.
void drop_known(Source& source);

// The file (a hard link where the disk allows it, else a copy), or the crop or record as PNG.
Result<void> write_pictures(const Source& source, const std::vector<std::size_t>& which, const std::string& pool);

}  // namespace sightline::bench
