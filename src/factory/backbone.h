// Backbones of the workspace: imported once under a name, with licence and measured cost, used by any demand (backbone: {name: NAME}).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "demand/demand.h"
#include "features/backbone.h"
#include "modules/necks.h"
#include "store/workspace.h"

namespace sightline::factory {

struct BackboneImport {
  std::string name;
  std::string file;                          // .onnx, or with `net` weights for it (.safetensors, .pth, .pt, .ckpt)
  std::optional<std::string> net;            // one of modules::backbones()
  int channels = 3;                          // for `net`: 1 or 3
  int side = 0;                              // for a graph that leaves it free, and for `net`; 0: the graph's, or 224
  std::vector<std::string> cuts = {"auto"};  // modules/cuts.h; auto: all that there are, demands choose among them
  modules::Neck neck = modules::Neck::average;
  std::vector<double> mean, scale;  // per channel or one for all, on the 0..255 scale
  std::optional<std::string> licence, origin;
  std::string precision = "f32";  // or bf16, mixed, int8, auto (backbone_precision.h): tried on
  std::string pictures;           // a folder of pictures,
  std::int64_t most_pictures = 256;
};

// A net of ours with the weights of a file, as a classifier of two classes with its normalisation in place: what larger nets begin with.
struct NetWithWeights {
  graph::Graph graph;
  std::vector<float> mean, deviation;  // of its input, per channel
  features::About about;               // file, digest, licence, origin
  std::string sentence;                // what fitted
};
// wanted.net must be given. Errors: not_found, and those of reading.
Result<NetWithWeights> read_net(const BackboneImport& wanted);

// Reads, cuts, measures and stores it; one of the same name is replaced. Errors: those of reading and importing; usage.
Result<store::Backbone> import_backbone(const BackboneImport& wanted, store::Workspace& workspace, int threads);

// A demand that names a backbone of the workspace or one that comes with the program (shipped.h), as one that names its file; others as
// they are. Error not_found: the nearest name.
Result<demand::Demand> with_backbone_file(const demand::Demand& demand, store::Workspace& workspace);

// With the cuts that the demand wants: all of them for heads that choose (auto), the last for what is tuned. Errors usage: a cut that it
// does not have; recipe.neck.
Result<features::Backbone> with_wanted_cuts(const features::Backbone& backbone, const demand::Demand& demand, bool tuned);

// The graph to the features, and what it is, of demand.backbone.onnx.
struct CutNetwork {
  graph::Graph graph;
  features::About about;
};
Result<CutNetwork> cut_network(const demand::Demand& demand);

}  // namespace sightline::factory
