// Tasks drawn from the sets of bench/fleet_sources.h: which classes are told apart, and which pictures teach and test it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/fleet_sources.h"

namespace sightline::bench {

inline constexpr std::size_t most_pictures = 40, least_pictures = 8;  // of a label, on each side
inline constexpr std::size_t most_tasks = 400;                        // of a source

// Two to five classes against each other, one class against all others, a set of classes against another.
enum class Kind { classes, one, groups };
inline constexpr std::array<const char*, 3> kind_names{"classes", "one", "groups"};

struct Label {
  std::string name;
  std::vector<std::size_t> classes;      // indices into the facet, ascending
  std::vector<std::size_t> train, test;  // indices into Source::pictures
};

struct Task {
  std::string name;  // unique over all sources, as a model may be called
  std::size_t source = 0, facet = 0;
  Kind kind = Kind::classes;
  std::vector<Label> labels;
};

// Up to `count` tasks, the sources taking turns while they have any: no two of one source sort the same classes in the same way, each has
// least_pictures to most_pictures on both sides of every label, no group is on both sides, and parts that a set brings are kept. The same
// for the same seed. Fewer when the sources have no more.
std::vector<Task> draw_tasks(const std::vector<Source>& sources, std::size_t count, std::uint64_t seed);

// The table "path,label,split" of a task.
std::string write_table(const Source& source, const Task& task);

// The first facet of a whole set in one split: 0 train, 1 validation, 2 test, for each of its pictures. A given test part is kept, else a
// fifth is for the test; a fifth of the rest is for validation. Every group goes as a whole where its classes are most needed.
inline constexpr std::array<const char*, 3> whole_split_names{"train", "validation", "test"};
std::map<std::size_t, std::size_t> split_whole(const Source& source, std::uint64_t seed);

}  // namespace sightline::bench
