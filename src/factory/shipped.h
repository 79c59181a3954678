// Backbones that come with the program: weights of nets of ours, as safetensors whose metadata say how they are used. They lie in
// share/sightline/backbones beside the program's bin (installed, and in the build tree), or where $SIGHTLINE_BACKBONES says. A workspace
// gets one when it is first asked for, by its name; one that was imported under that name stays what it is.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "factory/backbone.h"
#include "store/workspace.h"

namespace sightline::factory {

// Metadata of such a file, beside "licence" and "origin".
namespace shipped_keys {
inline constexpr const char* name = "sightline_backbone";
inline constexpr const char* net = "sightline_net";
inline constexpr const char* side = "sightline_side";
inline constexpr const char* channels = "sightline_channels";
inline constexpr const char* mean = "sightline_mean";    // number or numbers separated by commas, 0..255 scale
inline constexpr const char* scale = "sightline_scale";  // likewise
}  // namespace shipped_keys

struct ShippedBackbone {
  std::string name, file;  // absolute
};
// Sorted by name; nothing where the folder is missing.
std::vector<ShippedBackbone> shipped_backbones();

// What the file says of itself, as the options of an import. Error invalid_data: it says nothing.
Result<BackboneImport> import_of_weights(const std::string& file);

// The backbone of this name: the workspace's, else the shipped one, which is imported now (and again when another version of it is
// shipped). Nothing: there is none.
Result<std::optional<store::Backbone>> find_workspace_backbone(const std::string& name, store::Workspace& workspace, int threads);

// What a demand that names no backbone is built on: "sight-s" where it is shipped or imported.
inline constexpr const char* default_backbone_name = "sight-s";
Result<std::optional<std::string>> default_backbone(const store::Workspace& workspace);
// The demand on the default backbone, when it says nothing of a network: names none, pins nothing of a recipe but the augmentation, does
// not search; and when the backbone keeps the limits of size and, at half of what is allowed (its median was measured, the p95 counts), of
// latency. Else nothing. Errors: those of the import.
Result<std::optional<demand::Demand>> on_default_backbone(const demand::Demand& demand, store::Workspace& workspace, int threads);

// The demand with a backbone that stays as it is: the one that it names, else the default one. Error unsupported: it names none, and none
// is shipped.
Result<demand::Demand> on_frozen_backbone(const demand::Demand& demand, const store::Workspace& workspace);

}  // namespace sightline::factory
