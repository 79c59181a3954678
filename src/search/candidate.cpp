#include "search/candidate.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace sightline::search {
namespace {

constexpr std::array depths{Depth::whole, Depth::last};

// Of the settings beside the backbone, so many may be unusual.
constexpr std::size_t most_unusual = 2;
// A trained candidate comes as late as a frozen one with so many more unusual settings.
constexpr std::size_t training_waits = 2;

struct Listed {
  Candidate candidate;
  std::size_t unusual = 0;  // how many settings are not the first of their list
  bool other = false;       // another backbone or net than the usual one
};

std::size_t unusual(std::size_t place) { return place > 0 ? 1 : 0; }

}  // namespace

std::string describe(const Candidate& candidate) {
  const std::string what = fmt::format("{} {} at {} pixels", candidate.backbone,
                                       candidate.approach == Approach::frozen  ? "frozen"
                                       : candidate.approach == Approach::tuned ? "tuned"
                                                                               : "from scratch",
                                       candidate.side);
  if (candidate.approach == Approach::frozen)
    return fmt::format("{}, head {}{}{}", what, candidate.head, candidate.cut == all_cuts ? " on all cuts" : "",
                       candidate.precision == "f32" ? "" : ", in " + candidate.precision);
  return fmt::format("{} ({}rate × {:g}, augmentation {})", what,
                     candidate.approach == Approach::scratch ? ""
                     : candidate.depth == Depth::whole       ? "whole, "
                                                             : "last stages, ",
                     candidate.rate, candidate.augmentation);
}

std::vector<Candidate> candidates_of(const Material& material) {
  std::vector<Listed> all;
  const auto list = [&](Candidate candidate, std::size_t source, std::size_t settings) {
    if (settings > most_unusual) return;
    const std::size_t waits = candidate.approach == Approach::frozen ? 0 : training_waits;
    all.push_back({std::move(candidate), settings + waits, source > 0});
  };
  for (std::size_t b = 0; b < material.backbones.size(); ++b) {
    const Source& source = material.backbones[b];
    for (std::size_t s = 0; s < source.sides.size(); ++s)
      for (std::size_t h = 0; h < material.heads.size(); ++h)
        for (std::size_t c = 0; c < source.cuts.size(); ++c)
          for (std::size_t p = 0; p < source.precisions.size(); ++p)
            list({.approach = Approach::frozen,
                  .backbone = source.name,
                  .side = source.sides[s],
                  .head = material.heads[h],
                  .cut = source.cuts[c],
                  .precision = source.precisions[p]},
                 b, unusual(s) + unusual(h) + unusual(c) + unusual(p));
  }
  for (const Approach approach : {Approach::tuned, Approach::scratch}) {
    const std::vector<Source>& sources = approach == Approach::tuned ? material.backbones : material.nets;
    for (std::size_t b = 0; b < sources.size() && material.trains; ++b)
      for (std::size_t s = 0; s < sources[b].sides.size() && sources[b].tunable; ++s)
        for (std::size_t d = 0; d < (approach == Approach::tuned ? depths.size() : 1); ++d)
          for (std::size_t r = 0; r < material.rates.size(); ++r)
            for (std::size_t a = 0; a < material.augmentations.size(); ++a)
              list({.approach = approach,
                    .backbone = sources[b].name,
                    .side = sources[b].sides[s],
                    .cut = sources[b].cuts[0],
                    .depth = depths[d],
                    .rate = material.rates[r],
                    .augmentation = material.augmentations[a]},
                   b, unusual(s) + unusual(d) + unusual(r) + unusual(a));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Listed& a, const Listed& b) { return std::pair(a.unusual, a.other) < std::pair(b.unusual, b.other); });
  std::vector<Candidate> candidates;
  for (Listed& each : all) candidates.push_back(std::move(each.candidate));
  return candidates;
}

}  // namespace sightline::search
