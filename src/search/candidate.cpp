#include "search/candidate.h"

#include <fmt/format.h>

#include <algorithm>

namespace sightline::search {
namespace {

constexpr std::array depths{Depth::whole, Depth::last};

struct Listed {
  Candidate candidate;
  std::size_t unusual = 0;  // how many settings are not the first of their list
};

// Those that differ in fewer settings first; equals as listed.
void append(std::vector<Listed> listed, std::vector<Candidate>& all) {
  std::stable_sort(listed.begin(), listed.end(), [](const Listed& a, const Listed& b) { return a.unusual < b.unusual; });
  for (Listed& each : listed) all.push_back(std::move(each.candidate));
}

std::size_t unusual(std::size_t place) { return place > 0 ? 1 : 0; }

}  // namespace

std::string describe(const Candidate& candidate) {
  const std::string what = fmt::format("{} {} at {} pixels", candidate.backbone,
                                       candidate.approach == Approach::frozen  ? "frozen"
                                       : candidate.approach == Approach::tuned ? "tuned"
                                                                               : "from scratch",
                                       candidate.side);
  if (candidate.approach == Approach::frozen) return fmt::format("{}, head {}", what, candidate.head);
  return fmt::format("{} ({}rate × {:g}, augmentation {})", what,
                     candidate.approach == Approach::scratch ? ""
                     : candidate.depth == Depth::whole       ? "whole, "
                                                             : "last stages, ",
                     candidate.rate, candidate.augmentation);
}

std::vector<Candidate> candidates_of(const Material& material) {
  std::vector<Candidate> all;
  std::vector<Listed> frozen, tuned, scratch;
  for (std::size_t b = 0; b < material.backbones.size(); ++b) {
    const Source& source = material.backbones[b];
    for (std::size_t s = 0; s < source.sides.size(); ++s) {
      for (std::size_t h = 0; h < material.heads.size(); ++h)
        frozen.push_back({{.approach = Approach::frozen, .backbone = source.name, .side = source.sides[s], .head = material.heads[h]},
                          unusual(b) + unusual(s) + unusual(h)});
      for (std::size_t d = 0; d < depths.size(); ++d)
        for (std::size_t r = 0; r < material.rates.size(); ++r)
          for (std::size_t a = 0; a < material.augmentations.size(); ++a)
            tuned.push_back({{.approach = Approach::tuned,
                              .backbone = source.name,
                              .side = source.sides[s],
                              .depth = depths[d],
                              .rate = material.rates[r],
                              .augmentation = material.augmentations[a]},
                             unusual(b) + unusual(s) + unusual(d) + unusual(r) + unusual(a)});
    }
  }
  for (std::size_t n = 0; n < material.nets.size(); ++n)
    for (std::size_t s = 0; s < material.nets[n].sides.size(); ++s)
      for (std::size_t r = 0; r < material.rates.size(); ++r)
        for (std::size_t a = 0; a < material.augmentations.size(); ++a)
          scratch.push_back({{.approach = Approach::scratch,
                              .backbone = material.nets[n].name,
                              .side = material.nets[n].sides[s],
                              .rate = material.rates[r],
                              .augmentation = material.augmentations[a]},
                             unusual(n) + unusual(s) + unusual(r) + unusual(a)});
  append(std::move(frozen), all);
  if (!material.trains) return all;
  append(std::move(tuned), all);
  append(std::move(scratch), all);
  return all;
}

}  // namespace sightline::search
