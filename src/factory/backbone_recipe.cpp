#include "factory/backbone_recipe.h"

#include <fmt/format.h>

#include <set>

#include "base/files.h"
#include "base/yaml.h"
#include "store/registry.h"

namespace sightline::factory {
namespace {

Result<void> check_recipe(const YamlNode& root, const BackboneRecipe& recipe) {
  for (const char* key : {"name", "teacher", "training"})
    if (root.find(key) == nullptr) return root.error(fmt::format("\"{}\" is missing; name, teacher and training must be given", key));
  if (auto status = store::check_release_name(recipe.name); !status.ok()) return root.find("name")->error(status.error().message);
  if (recipe.teacher.onnx.empty()) return root.find("teacher")->error("teacher.onnx is missing: the network that is learned from");
  constexpr int least_side = 16, most_side = 512;
  for (const int side : {recipe.side, recipe.used_at.value_or(recipe.side), recipe.views.side})
    if (side < least_side || side > most_side)
      return root.error(fmt::format("side, used_at and views.side must lie between {} and {} pixels", least_side, most_side));
  constexpr std::int64_t least_views = 64, most_views = 100'000'000;
  if (recipe.views.count < least_views || recipe.views.count > most_views)
    return root.error(fmt::format("views.count is {}; it must lie between {} and {}", recipe.views.count, least_views, most_views));
  if (!(recipe.views.drawn >= 0) || (recipe.views.drawn == 0 && recipe.pictures.empty()))
    return root.error("there is nothing to look at: give pictures, or views: {drawn: 1}");
  std::set<std::string> names;
  for (const PictureSet& set : recipe.pictures) {
    if (set.name.empty() || set.path.empty()) return root.find("pictures")->error("each set of pictures wants a name and a path");
    if (!names.insert(set.name).second || set.name == "drawn")
      return root.find("pictures")->error(fmt::format("the name \"{}\" is taken already", set.name));
    if (!(set.share > 0)) return root.find("pictures")->error(fmt::format("the share of {} must be above 0", set.name));
  }
  names.insert("drawn");
  for (const std::string& name : recipe.leave_out)
    if (!names.contains(name))
      return root.find("leave_out")
          ->error(fmt::format("there is no set \"{}\" to leave out{}", name, did_you_mean(name, {names.begin(), names.end()})));
  return {};
}

}  // namespace

Result<BackboneRecipe> read_backbone_recipe(const std::string& path) {
  SIGHTLINE_TRY(const std::string text, read_file(path));
  SIGHTLINE_TRY(const YamlNode root, parse_yaml(text, path));
  BackboneRecipe recipe;
  recipe.training.label_smoothing = 0;  // there are no labels
  if (root.kind != YamlNode::Kind::map) return root.error("a recipe is wanted: lines of \"key: value\" with name, teacher and training");
  SIGHTLINE_CHECK(read_yaml(root, recipe));
  SIGHTLINE_CHECK(check_recipe(root, recipe));
  return recipe;
}

}  // namespace sightline::factory
