#include "factory/shipped.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "base/text.h"
#include "weights/weights.h"

namespace sightline::factory {
namespace {

namespace fs = std::filesystem;

constexpr const char* extension = ".safetensors";
constexpr const char* shipped_figure = "shipped";  // of a row that came from here: which file

fs::path shipped_folder() {
  if (const char* wanted = std::getenv("SIGHTLINE_BACKBONES"); wanted != nullptr && *wanted != 0) return wanted;
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  if (code) return {};
  for (const char* way : {"../share/sightline/backbones", "share/sightline/backbones"}) {
    const fs::path folder = (self.parent_path() / way).lexically_normal();
    if (fs::is_directory(folder, code)) return folder;
  }
  return {};
}

// Changes when another version of the file is installed.
std::string identity_of(const std::string& file) {
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return "";
  return fmt::format("{} {}.{}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

Result<std::vector<double>> numbers_in(const std::string& file, const std::string& text) {
  std::vector<double> numbers;
  for (const std::string& word : split(text, ',')) {
    double number = 0;
    const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (code != std::errc() || end != word.data() + word.size())
      return Error{ErrorKind::invalid_data, fmt::format("{}: \"{}\" in its metadata is no number", file, word)};
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

std::vector<ShippedBackbone> shipped_backbones() {
  std::vector<ShippedBackbone> list;
  std::error_code code;
  for (const auto& entry : fs::directory_iterator(shipped_folder(), code))
    if (entry.path().extension() == extension) list.push_back({entry.path().stem().string(), entry.path().string()});
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return list;
}

Result<BackboneImport> import_of_weights(const std::string& file) {
  SIGHTLINE_TRY(const weights::WeightFile weights, weights::read_weights(file));
  const auto said = [&](const char* key) -> Result<std::string> {
    const auto found = weights.metadata.find(key);
    if (found == weights.metadata.end())
      return Error{ErrorKind::invalid_data,
                   fmt::format("{} does not say \"{}\" in its metadata; import it with --net, --side and --name", file, key)};
    return found->second;
  };
  const auto whole = [&](const char* key, int& value) -> Result<void> {
    SIGHTLINE_TRY(const std::string text, said(key));
    SIGHTLINE_TRY(const std::vector<double> numbers, numbers_in(file, text));
    value = numbers.empty() ? 0 : static_cast<int>(numbers[0]);
    return {};
  };
  BackboneImport wanted;
  wanted.file = file;
  SIGHTLINE_TRY(wanted.name, said(shipped_keys::name));
  SIGHTLINE_TRY(wanted.net, said(shipped_keys::net));
  SIGHTLINE_CHECK(whole(shipped_keys::side, wanted.side));
  SIGHTLINE_CHECK(whole(shipped_keys::channels, wanted.channels));
  SIGHTLINE_TRY(const std::string mean, said(shipped_keys::mean));
  SIGHTLINE_TRY(wanted.mean, numbers_in(file, mean));
  SIGHTLINE_TRY(const std::string scale, said(shipped_keys::scale));
  SIGHTLINE_TRY(wanted.scale, numbers_in(file, scale));
  return wanted;
}

Result<std::optional<store::Backbone>> find_workspace_backbone(const std::string& name, store::Workspace& workspace, int threads) {
  SIGHTLINE_TRY(std::optional<store::Backbone> found, workspace.registry().backbone(name));
  if (found && !found->figures.contains(shipped_figure)) return found;
  for (const ShippedBackbone& shipped : shipped_backbones()) {
    if (shipped.name != name) continue;
    const std::string identity = identity_of(shipped.file);
    if (found && found->figures[shipped_figure] == identity) return found;
    SIGHTLINE_TRY(BackboneImport wanted, import_of_weights(shipped.file));
    wanted.name = name;
    SIGHTLINE_TRY(store::Backbone imported, import_backbone(wanted, workspace, threads));
    imported.figures[shipped_figure] = identity;
    SIGHTLINE_CHECK(workspace.registry().put_backbone(imported));
    return std::optional(std::move(imported));
  }
  return found;
}

Result<std::optional<std::string>> default_backbone(const store::Workspace& workspace) {
  for (const ShippedBackbone& shipped : shipped_backbones())
    if (shipped.name == default_backbone_name) return std::optional<std::string>(default_backbone_name);
  SIGHTLINE_TRY(const std::optional<store::Backbone> found, workspace.registry().backbone(default_backbone_name));
  if (!found) return std::optional<std::string>();
  return std::optional<std::string>(default_backbone_name);
}

Result<std::optional<demand::Demand>> on_default_backbone(const demand::Demand& demand, store::Workspace& workspace, int threads) {
  const std::optional<demand::Demand> as_it_is;
  demand::RecipePins pins = demand.recipe;
  pins.augmentation.reset();
  if (demand.backbone || demand.search || to_json(pins) != to_json(demand::RecipePins{})) return as_it_is;
  SIGHTLINE_TRY(const std::optional<std::string> name, default_backbone(workspace));
  if (!name) return as_it_is;
  SIGHTLINE_TRY(const std::optional<store::Backbone> backbone, find_workspace_backbone(*name, workspace, threads));
  if (!backbone) return as_it_is;
  const double size_mb = backbone->figures.value("parameters", 0.0) * 4 / 1e6, p50_ms = backbone->figures.value("p50_ms", 0.0);
  if (demand.limits.size_mb && size_mb > *demand.limits.size_mb) return as_it_is;
  if (demand.limits.latency_ms && 2 * p50_ms > *demand.limits.latency_ms) return as_it_is;
  std::optional<demand::Demand> on_it = demand;
  on_it->backbone = demand::Backbone{.name = *name};
  return on_it;
}

Result<demand::Demand> on_frozen_backbone(const demand::Demand& demand, const store::Workspace& workspace) {
  demand::Demand on_it = demand;
  if (!on_it.backbone) {
    SIGHTLINE_TRY(const std::optional<std::string> name, default_backbone(workspace));
    if (!name)
      return Error{
          ErrorKind::unsupported,
          fmt::format("task: {}: its heads stand on a backbone, and none comes with this installation; name one, like backbone: {{onnx: "
                      "net.onnx}}",
                      demand.task)};
    on_it.backbone = demand::Backbone{.name = *name};
  }
  on_it.backbone->freeze = demand::Freeze::backbone;
  return on_it;
}

}  // namespace sightline::factory
