#include "dataset/audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/text.h"
#include "dataset/duplicates.h"

namespace sightline::dataset {
namespace {

constexpr std::array<FindingKind, 10> kinds{{
    {"leak", "Leaks between splits", "The same picture is in two splits, so figures on the held-out one are too good."},
    {"conflicting_labels", "Duplicates with conflicting labels",
     "The same picture has different labels, or other objects: at least one is wrong."},
    {"label_error", "Suspected label errors", "Every head that has not seen the sample is confident of another class."},
    {"exact_duplicate", "Exact duplicates", "Equal bytes; they weigh more than other samples and teach nothing new."},
    {"near_duplicate", "Near duplicates", "The same picture re-encoded or resized, or neighbouring frames."},
    {"blank", "Blank pictures", "Hardly any contrast: there is nothing to be seen."},
    {"blurred", "Blurred pictures", "Far less fine detail than the other pictures of the set."},
    {"tiny", "Tiny pictures", "Too few pixels, by themselves or beside the rest of the set."},
    {"odd_size", "Odd sizes", "A size or aspect ratio far from the rest of the set."},
    {"imbalance", "Class imbalance", "A class with far fewer training pictures, or objects, than the largest one."},
}};

constexpr int smallest_side = 8;          // pixels; less cannot hold an object
constexpr double tiny_share = 0.25;       // of the median short side
constexpr double blur_factor = 4;         // less detail than the median by at least this
constexpr double outlier_deviations = 4;  // robust standard deviations
constexpr std::size_t least_for_outliers = 20;
constexpr double aspect_factor = 2;
constexpr double area_factor = 16;
constexpr double uniform_share = 0.95;  // so many of one size make every other size odd
constexpr double imbalance_ratio = 10;
constexpr std::size_t named_at_most = 3;

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Median and the standard deviation that a normal distribution with the same median absolute deviation has.
struct Robust {
  double centre = 0, spread = 0;
};
Robust robust(const std::vector<double>& values) {
  Robust out{.centre = median(values)};
  std::vector<double> off;
  off.reserve(values.size());
  for (double v : values) off.push_back(std::abs(v - out.centre));
  out.spread = 1.4826 * median(std::move(off));
  return out;
}

class Auditor {
 public:
  explicit Auditor(const Manifest& manifest)
      : manifest_(manifest), objects_(holds_objects(manifest)), texts_(holds_texts(manifest)), one_class_(one_class_each(manifest)) {}

  Audit run() {
    duplicates();
    sizes();
    blank_and_blurred();
    imbalance();
    Audit audit;
    for (const FindingKind& kind : kinds) {
      if (std::string_view(kind.name) == "label_error") continue;
      std::vector<Finding> found;
      std::set<std::int64_t> concerned;
      for (Finding& finding : findings_) {
        if (finding.kind != kind.name) continue;
        concerned.insert(finding.samples.begin(), finding.samples.end());
        found.push_back(std::move(finding));
      }
      std::stable_sort(found.begin(), found.end(), [](const Finding& a, const Finding& b) { return a.score > b.score; });
      audit.counts[kind.name] = static_cast<std::int64_t>(concerned.size());
      std::move(found.begin(), found.end(), std::back_inserter(audit.findings));
    }
    return audit;
  }

 private:
  const Sample& at(std::int64_t i) const { return manifest_.samples[static_cast<std::size_t>(i)]; }
  std::string class_name(int label) const {
    const auto k = static_cast<std::size_t>(label);
    return label >= 0 && k < manifest_.classes.size() ? manifest_.classes[k] : fmt::format("class {}", label);
  }
  void add(const char* kind, std::string sentence, std::vector<std::int64_t> samples, double score) {
    findings_.push_back({kind, std::move(sentence), std::move(samples), score});
  }

  template <class Say>
  std::string list(const std::vector<std::int64_t>& samples, Say&& say) const {
    std::vector<std::string> parts;
    for (std::size_t i = 0; i < std::min(samples.size(), named_at_most); ++i) parts.push_back(say(at(samples[i])));
    if (samples.size() > named_at_most) parts.push_back(fmt::format("{} more", samples.size() - named_at_most));
    return join(parts, ", ");
  }
  std::string paths(const std::vector<std::int64_t>& samples) const {
    return list(samples, [](const Sample& sample) { return sample.path; });
  }

  void duplicates() {
    const DuplicateClusters exact = exact_duplicates(manifest_);
    for (const auto& members : exact.members) {
      add("exact_duplicate", fmt::format("{} are the same, byte for byte: {}", plural(members.size(), "file"), paths(members)), members,
          static_cast<double>(members.size()));
      conflicts_and_leaks(members, true);
    }
    if (texts_) return;  // plates and lines all look alike to a hash
    const DuplicateClusters near = clusters_to_report(manifest_);
    for (const auto& members : near.members) {
      const std::int64_t first = exact.cluster_of[static_cast<std::size_t>(members.front())];
      const bool all_equal = first >= 0 && std::all_of(members.begin(), members.end(), [&](std::int64_t i) {
                               return exact.cluster_of[static_cast<std::size_t>(i)] == first;
                             });
      if (all_equal) continue;
      add("near_duplicate", fmt::format("{} show nearly the same picture: {}", plural(members.size(), "file"), paths(members)), members,
          static_cast<double>(members.size()));
      conflicts_and_leaks(members, false);
    }
  }

  // "3 RBC, 1 WBC".
  std::string contents(const Sample& sample) const {
    std::map<std::int32_t, std::size_t> counts;
    if (texts_) return fmt::format("\"{}\"", sample.annotation.text);
    for (const std::int32_t label : classes_within(manifest_, sample)) ++counts[label];
    std::vector<std::string> parts;
    for (const auto& [label, count] : counts)
      parts.push_back(objects_ ? fmt::format("{} {}", count, class_name(label)) : class_name(label));
    return parts.empty() ? "nothing" : join(parts, ", ");
  }

  void conflicts_and_leaks(const std::vector<std::int64_t>& members, bool exact) {
    const auto differ = [&](auto&& value) {
      return std::any_of(members.begin(), members.end(), [&](std::int64_t i) { return value(at(i)) != value(at(members.front())); });
    };
    const char* same = exact ? "the same bytes" : "nearly the same picture";
    // Equal bytes are certain and come before look-alikes.
    const double certain = exact ? 1 : 0;
    if (!one_class_) {
      // What moves between neighbouring frames is no conflict; the same bytes hold the same objects.
      if (exact && differ([](const Sample& sample) { return sample.annotation; }))
        add("conflicting_labels",
            fmt::format("the same bytes with {}: {}",
                        texts_     ? "other texts"
                        : objects_ ? "other objects, or other boxes"
                                   : "other attributes",
                        list(members, [&](const Sample& sample) { return fmt::format("{} has {}", sample.path, contents(sample)); })),
            members, certain);
    } else if (differ([](const Sample& sample) { return sample.label; })) {
      add("conflicting_labels",
          fmt::format(
              "{} under different labels: {}", same,
              list(members, [&](const Sample& sample) { return fmt::format("{} is \"{}\"", sample.path, class_name(sample.label)); })),
          members, certain);
    }
    if (differ([](const Sample& sample) { return sample.split; })) {
      // One of each split first: they are what the person must see.
      std::vector<std::int64_t> shown;
      for (Split split : {Split::test, Split::validation, Split::train}) {
        const auto found = std::find_if(members.begin(), members.end(), [&](std::int64_t i) { return at(i).split == split; });
        if (found != members.end()) shown.push_back(*found);
      }
      for (std::int64_t i : members) {
        if (std::find(shown.begin(), shown.end(), i) == shown.end()) shown.push_back(i);
      }
      const bool test = at(shown.front()).split == Split::test;
      std::string sentence =
          fmt::format("{} in different splits: {}", same,
                      list(shown, [](const Sample& sample) { return fmt::format("{} is in {}", sample.path, enum_name(sample.split)); }));
      add("leak", std::move(sentence), std::move(shown), 2 * (test ? 1 : 0) + certain);
    }
  }

  void sizes() {
    std::vector<double> sides, aspects, areas;
    std::map<std::pair<int, int>, std::size_t> by_size;
    for (const Sample& sample : manifest_.samples) {
      if (sample.width <= 0 || sample.height <= 0) continue;
      sides.push_back(std::min(sample.width, sample.height));
      aspects.push_back(std::log(static_cast<double>(sample.width) / sample.height));
      areas.push_back(std::log(static_cast<double>(sample.width) * sample.height));
      by_size[{sample.width, sample.height}]++;
    }
    if (sides.empty()) return;
    const double side = median(sides);
    const Robust aspect = robust(aspects), area = robust(areas);
    const auto usual = *std::max_element(by_size.begin(), by_size.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const bool enough = sides.size() >= least_for_outliers;
    const bool uniform = enough && static_cast<double>(usual.second) >= uniform_share * static_cast<double>(sides.size());
    for (std::size_t i = 0; i < manifest_.samples.size(); ++i) {
      const Sample& sample = manifest_.samples[i];
      if (sample.width <= 0 || sample.height <= 0) continue;
      const std::vector<std::int64_t> self{static_cast<std::int64_t>(i)};
      const int shorter = std::min(sample.width, sample.height);
      if (shorter < smallest_side || (enough && shorter < tiny_share * side)) {
        add("tiny",
            fmt::format("{} has only {}×{} pixels (the set's usual short side is {:.0f})", sample.path, sample.width, sample.height, side),
            self, 1.0 / shorter);
        continue;
      }
      const double off_aspect = std::abs(std::log(static_cast<double>(sample.width) / sample.height) - aspect.centre);
      const double off_area = std::abs(std::log(static_cast<double>(sample.width) * sample.height) - area.centre);
      const bool odd_aspect = enough && off_aspect > std::max(std::log(aspect_factor), outlier_deviations * aspect.spread);
      const bool odd_area = enough && off_area > std::max(std::log(area_factor), outlier_deviations * area.spread);
      const bool not_uniform = uniform && std::pair{sample.width, sample.height} != usual.first;
      if (!odd_aspect && !odd_area && !not_uniform) continue;
      const std::string why = odd_aspect ? "its aspect ratio is far from the others'"
                              : odd_area ? "its area is far from the others'"
                                         : fmt::format("nearly all others are {}×{}", usual.first.first, usual.first.second);
      add("odd_size", fmt::format("{} is {}×{}: {}", sample.path, sample.width, sample.height, why), self, off_aspect + off_area);
    }
  }

  void blank_and_blurred() {
    // The Laplacian's variance grows with contrast; divided by the grey levels' variance it tells fine detail alone.
    const auto detail = [](const Sample& sample) { return std::log((sample.sharpness + 1e-3) / (sample.deviation * sample.deviation)); };
    std::vector<double> details;
    for (const Sample& sample : manifest_.samples) {
      if (sample.deviation >= blank_deviation && std::isfinite(detail(sample))) details.push_back(detail(sample));
    }
    const Robust usual = robust(details);
    const bool enough = details.size() >= least_for_outliers;
    for (std::size_t i = 0; i < manifest_.samples.size(); ++i) {
      const Sample& sample = manifest_.samples[i];
      const std::vector<std::int64_t> self{static_cast<std::int64_t>(i)};
      if (!(sample.deviation >= blank_deviation)) {
        add("blank",
            fmt::format("{} is blank: its grey levels deviate by {:.2f} from their mean of {:.0f}", sample.path, sample.deviation,
                        sample.mean),
            self, blank_deviation - sample.deviation);
        continue;
      }
      const double less = usual.centre - detail(sample);
      if (enough && less > std::max(std::log(blur_factor), outlier_deviations * usual.spread)) {
        add("blurred",
            fmt::format("{} is blurred: it has {:.0f} times less fine detail than the set's median", sample.path, std::exp(less)), self,
            less);
      }
    }
  }

  void imbalance() {
    if (manifest_.masks) return;  // how many pixels each class has is not known here
    struct Count {
      std::size_t things = 0;  // pictures of the class, or objects
      std::vector<std::int64_t> samples;
    };
    std::vector<Count> by_class(manifest_.classes.size());
    const auto count = [&](int label, std::size_t i) {
      const auto k = static_cast<std::size_t>(label);
      if (label < 0 || k >= by_class.size()) return;
      ++by_class[k].things;
      const auto sample = static_cast<std::int64_t>(i);
      if (by_class[k].samples.empty() || by_class[k].samples.back() != sample) by_class[k].samples.push_back(sample);
    };
    for (std::size_t i = 0; i < manifest_.samples.size(); ++i) {
      const Sample& sample = manifest_.samples[i];
      if (sample.split != Split::train) continue;
      if (one_class_) count(sample.label, i);
      for (const std::int32_t label : classes_within(manifest_, sample)) count(label, i);
    }
    std::size_t largest = 0;
    for (std::size_t k = 0; k < by_class.size(); ++k) {
      if (by_class[k].things > by_class[largest].things) largest = k;
    }
    for (std::size_t k = 0; k < by_class.size(); ++k) {
      const double ratio = static_cast<double>(by_class[largest].things) / std::max(0.5, static_cast<double>(by_class[k].things));
      if (ratio < imbalance_ratio) continue;
      add("imbalance",
          fmt::format("class \"{}\" has {} for training, class \"{}\" has {}", manifest_.classes[k],
                      plural(by_class[k].things, texts_     ? "symbol"
                                                 : objects_ ? "object"
                                                            : "image"),
                      manifest_.classes[largest], human_count(by_class[largest].things)),
          std::move(by_class[k].samples), ratio);
    }
  }

  const Manifest& manifest_;
  const bool objects_, texts_, one_class_;
  std::vector<Finding> findings_;
};

}  // namespace

std::span<const FindingKind> finding_kinds() { return kinds; }

Audit audit(const Manifest& manifest) { return Auditor(manifest).run(); }

}  // namespace sightline::dataset
