// How a backbone of our own is made: a recipe file (YAML) that names the net, the teacher, the pictures and how long to learn.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/result.h"
#include "modules/training_spec.h"

namespace sightline::factory {

// Training pictures of one set; the recipe's author answers for that they are no test pictures and may be used.
struct PictureSet {
  std::string name;
  std::string path;
  std::optional<std::string> list;
  double share = 1;
  std::int64_t most = 0;
  std::string licence = "not stated", origin = "not stated";
  static constexpr auto fields() {
    return std::tuple{
        field("name", &PictureSet::name, "how views of it are called"),
        field("path", &PictureSet::path, "a folder of pictures (all below it) or an IDX file, relative to --data"),
        field("list", &PictureSet::list, "a file with the names (without extension or with) that alone are used, relative to --data"),
        field("share", &PictureSet::share, "its part of the views, among the sets and what is drawn"),
        field("most", &PictureSet::most, "so many pictures at most, spread evenly over the listing; 0: all"),
        field("licence", &PictureSet::licence, "licence of the pictures; goes into the weights' metadata"),
        field("origin", &PictureSet::origin, "where they come from; likewise")};
  }
};

struct Teacher {
  std::string onnx;
  std::string cut = "auto";
  std::string licence = "not stated", origin = "not stated";
  static constexpr auto fields() {
    return std::tuple{field("onnx", &Teacher::onnx, "a network as an ONNX file, relative to --data: its features are learned"),
                      field("cut", &Teacher::cut, "the value that describes the picture: auto, or its name in the file"),
                      field("licence", &Teacher::licence, "licence of its weights"),
                      field("origin", &Teacher::origin, "where they come from")};
  }
};

struct Views {
  std::int64_t count = 50'000;
  int side = 112;
  double drawn = 1;
  static constexpr auto fields() {
    return std::tuple{field("count", &Views::count, "views that are drawn once and learned from again and again"),
                      field("side", &Views::side, "their side in pixels, before teacher and net see them in their own sizes"),
                      field("drawn", &Views::drawn, "the part of pictures that a program draws, beside the shares of the sets")};
  }
};

struct BackboneRecipe {
  std::string name;
  std::string net = "sight-s";
  int side = 96;
  std::optional<int> used_at;
  std::string licence = "not stated", origin = "not stated";
  Teacher teacher;
  std::vector<PictureSet> pictures;
  Views views;
  modules::Recipe training;
  std::vector<std::string> leave_out;
  std::int64_t seed = 0;
  static constexpr auto fields() {
    return std::tuple{field("name", &BackboneRecipe::name, "how demands call it"),
                      field("net", &BackboneRecipe::net, "one of ours (`sightline modules`)"),
                      field("side", &BackboneRecipe::side, "side of the pictures that it learns from, in pixels"),
                      field("used_at", &BackboneRecipe::used_at, "side of those that it is used on afterwards, when it is another"),
                      field("licence", &BackboneRecipe::licence, "licence of the weights that come out"),
                      field("origin", &BackboneRecipe::origin, "where they come from"),
                      field("teacher", &BackboneRecipe::teacher, "the network that is learned from"),
                      field("pictures", &BackboneRecipe::pictures, "sets whose training pictures are looked at"),
                      field("views", &BackboneRecipe::views, "pieces and mixtures of them that teacher and net see"),
                      field("training", &BackboneRecipe::training, "epochs or minutes, batch, optimizer, learning_rate, …"),
                      field("leave_out", &BackboneRecipe::leave_out, "sets whose views are not learned from (to measure on such a set)"),
                      field("seed", &BackboneRecipe::seed, "of all that is drawn")};
  }
};

// Errors name file and line: invalid_data, not_found.
Result<BackboneRecipe> read_backbone_recipe(const std::string& path);

}  // namespace sightline::factory
