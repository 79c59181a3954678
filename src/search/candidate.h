// The space that a search goes through, as an explicit list: ways to make a model, each with all its settings. Pure: names only, nothing is
// read or measured here.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "base/fields.h"

namespace sightline {
namespace search {

// What is learned: only a head behind a backbone that stays as it is; a backbone's weights too; a net from random weights.
enum class Approach { frozen, tuned, scratch };
// Of a tuned network: the later half of its layers, or all.
enum class Depth { last, whole };

inline constexpr const char* chosen_head = "chosen";  // the line's own choice among its kinds of heads, out of fold

inline constexpr const char* usual_cut = "auto";  // of a backbone that has but one
inline constexpr const char* all_cuts = "all";

struct Candidate {
  Approach approach = Approach::frozen;
  std::string backbone;            // of Material::backbones, or of nets with `scratch`
  int side = 0;                    // pixels
  std::string head = chosen_head;  // frozen: chosen_head or one of heads::Kind
  std::string cut = usual_cut;     // what of the backbone the head reads: a cut's name, or all of them
  std::string precision = "f32";   // frozen: what the backbone is computed in
  Depth depth = Depth::whole;      // tuned
  double rate = 1;                 // trained ones: the learning rate, as a factor of the usual one
  std::string augmentation;        // trained ones
  static constexpr auto fields() {
    return std::tuple{
        field("approach", &Candidate::approach), field("backbone", &Candidate::backbone), field("side", &Candidate::side),
        field("head", &Candidate::head),         field("cut", &Candidate::cut),           field("precision", &Candidate::precision),
        field("depth", &Candidate::depth),       field("rate", &Candidate::rate),         field("augmentation", &Candidate::augmentation)};
  }
};

// "mobilenet frozen at 128 pixels, head ridge", "sight-s tuned at 96 pixels (last stages, rate × 0.3, augmentation light)"
std::string describe(const Candidate& candidate);

struct Source {
  std::string name;
  std::vector<int> sides;                         // its own first
  std::vector<std::string> precisions = {"f32"};  // of a frozen one, its own first
  std::vector<std::string> cuts = {usual_cut};    // the usual one first; the only one that is tuned
  bool tunable = true;
};

// Beside the line's own choice: what that does not try, and each kind alone, since validation pictures may see it otherwise than folds do.
inline constexpr std::array head_kinds{chosen_head, "random_features", "ridge", "discriminant", "logistic", "nearest_mean"};
inline constexpr std::array learning_rates{1.0, 0.3, 3.0};

// What there is to make models of; of every list the usual one first.
struct Material {
  std::vector<Source> backbones;  // with weights
  std::vector<Source> nets;       // without
  std::vector<std::string> heads{head_kinds.begin(), head_kinds.end()};
  std::vector<double> rates{learning_rates.begin(), learning_rates.end()};
  std::vector<std::string> augmentations;
  bool trains = true;  // whether anything but heads can be learned here
};

// All candidates in the order in which they are tried: the default (the first backbone frozen at its own side with the line's own head; a
// net where there is no backbone) is the first, and those that differ from the usual in fewer settings beside the backbone come earlier;
// frozen ones, which cost a fraction, with two settings more than those that are trained. Beside the choice of a backbone or net at most
// two settings are unusual. Empty when there is nothing to make a model of.
std::vector<Candidate> candidates_of(const Material& material);

}  // namespace search

template <>
struct EnumNames<search::Approach> {
  static constexpr std::array<const char*, 3> names{"frozen", "tuned", "scratch"};
};
template <>
struct EnumNames<search::Depth> {
  static constexpr std::array<const char*, 2> names{"last", "whole"};
};

}  // namespace sightline
