// The model folder, which is a valid Triton model repository entry (docs/formats/package.md):
//
//   NAME/config.pbtxt       Triton's configuration
//   NAME/labels.txt         one label a line, for Triton
//   NAME/1/model.onnx       cast, layout, normalisation, softmax inside; metadata_props with the OpenVINO Model API keys and ours
//   NAME/1/backbone.data    where the model shares a backbone with others: its weights (ONNX external data), a hard link
//   NAME/1/golden/          samples (PNG) and golden.json with their expected outputs, checked when the package is opened
//   NAME/1/lineage.json     data, recipe, code version, seed, parent, licences
//   NAME/1/card.md          for people; beside the digest, not in it (it quotes measurements)
//
// Equal contents give equal files on the same kind of processor. The digest of a package is that of its tree in the store, taken before
// the card is written.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/sha256.h"
#include "graph/graph.h"
#include "image/image.h"
#include "runtime/session.h"
#include "tasks/classify.h"
#include "tasks/tasks.h"

namespace sightline::package {

// How a picture becomes the input tensor; lives in the model's metadata.
struct Preprocessing {
  int width = 0, height = 0, channels = 3;
  image::Fit fit = image::Fit::stretch;
  static constexpr auto fields() {
    return std::tuple{field("width", &Preprocessing::width), field("height", &Preprocessing::height),
                      field("channels", &Preprocessing::channels), field("fit", &Preprocessing::fit)};
  }
};

// Metadata of a graph that is asked about pieces of a picture at its own size (image/tiles.h), whatever its task's row says; its outputs
// must be maps, f32 N×K×H×W.
inline constexpr const char* pieces_key = "sightline_pieces";

// In which numbers the network computes; stands in the model's metadata. int8: QDQ in the graph, as every engine reads it; mixed: the same,
// but for the layers that integers would hurt, which are as with bf16; bf16: an f32 graph that a runtime rounds where the processor can,
// and computes in f32 where it cannot.
enum class Precision { f32, bf16, mixed, int8 };

struct GoldenSample {
  std::string name;
  image::Image picture;  // before preprocessing
};

// Weights that other packages have as well: a file that is linked (copied where links are not possible) as 1/backbone.data.
struct SharedWeights {
  std::string path;                              // the file; "": none
  std::map<std::string, std::uint64_t> offsets;  // of initializers in it, which must be the graph's
};

struct Contents {
  std::string name;  // of the model
  std::string task = "classify";
  graph::Graph graph;  // serving graph
  std::vector<std::string> labels;
  Preprocessing preprocessing;
  std::vector<GoldenSample> golden;  // 1 to 64, usually 8
  Json lineage = Json::object();
  Precision precision = Precision::f32;
  SharedWeights shared;
};

// Writes folder (which must not exist): everything into a temporary folder beside it, synced, reopened, golden samples run and compared,
// then renamed into place. Errors: io, conflict (folder exists), invalid_data (what was written does not verify: nothing is left).
Result<void> write_package(const Contents& contents, const std::string& folder);

// What a package was written from, to write another that differs in something. Errors: as Model::open.
Result<Contents> read_contents(const std::string& folder);

// Size in bytes of what is needed to serve: without golden samples and card. Error not_found names the missing file.
Result<std::uint64_t> shipped_size(const std::string& folder);

// Text of the card; written beside the digest.
Result<void> write_card(const std::string& folder, const std::string& markdown);

// Runs a graph: one tensor per input, in order, all with the same N; one per output. For any number of threads at the same time.
using Run = std::function<Result<std::vector<Tensor>>(std::span<const Tensor>)>;

// A model that answers: a package folder (golden samples verified unless `verified` says that they were on this machine), or a bare .onnx
// file (labels and preprocessing from its metadata, or class numbers and a stretch to the input's size).
struct OpenOptions {
  int threads = 0;
  bool check_golden = true;
  std::string task;  // of a bare .onnx file that does not say it itself; "": classify
  // Makes what runs the graph, where that is not to be a session of the model's own (serving: models share what they compute alike). Then
  // the model keeps no weights: graph() has the signature and the metadata alone.
  std::function<Result<Run>(const graph::Graph&, runtime::Precision)> engine;
};

// Threads: everything but open, move and destruction may be called by any number of threads at the same time.
class Model {
 public:
  // Errors name the file and what to do: not_found, invalid_data (not a package; golden samples answer differently), unsupported.
  static Result<Model> open(const std::string& path, const OpenOptions& options = {});
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;
  ~Model();

  const std::string& name() const;
  const std::string& task() const;
  const std::vector<std::string>& labels() const;
  const Preprocessing& preprocessing() const;
  Precision precision() const;
  // What had to be assumed about a bare .onnx file, in sentences; empty for packages.
  const std::vector<std::string>& remarks() const;
  const graph::Graph& graph() const;
  const Json& lineage() const;
  runtime::Session& session();  // its own; not for a model that an engine runs
  // The network as it is: one tensor per input of the graph, as its signature has them.
  Result<std::vector<Tensor>> run(std::span<const Tensor> inputs);

  // u8 1×H×W×C as the network wants it.
  Tensor prepare(const image::Image& picture) const;
  // Where prepare() puts a picture of this size.
  image::Placement placement(int width, int height) const;
  // u8 N×H×W×C → f32 N×K, of classifiers.
  Result<Tensor> probabilities(const Tensor& prepared);
  // The two halves of probabilities(), for who runs the graph otherwise (several models in one go): the graph's input of N prepared
  // pictures, and f32 N×K of its outputs for them. Errors: usage (a model for another task, sizes), invalid_data.
  Result<Tensor> input_of(const Tensor& prepared) const;
  Result<Tensor> probabilities_of(std::span<const Tensor> outputs, std::int64_t count) const;
  // u8 N×H×W×C → N answers in their pictures' frames, of models of any other task. Errors: usage (a classifier, sizes), invalid_data.
  Result<std::vector<annotation::Annotation>> annotations(const Tensor& prepared, std::span<const image::Placement> placements);
  // The answer to one picture of any size, of models of any other task: prepare(), placement() and annotations() in one, and the only way
  // where pictures come piece by piece (tiled()). Errors as annotations().
  Result<annotation::Annotation> answer(const image::Image& picture);
  // The pieces of a picture that a tiled model is asked about: u8 K×H×W×C.
  Tensor pieces(const image::Image& picture) const;
  // Whether answers are annotations.
  bool annotates() const;
  // Whether pictures come piece by piece, at their own size: the task's way (tasks::Task::tiled), or this package's (pieces_key).
  bool tiled() const;
  // The row of its task.
  const tasks::Task& task_row() const;

 private:
  struct State;
  explicit Model(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::package

template <>
struct sightline::EnumNames<sightline::package::Precision> {
  static constexpr std::array<const char*, 4> names{"f32", "bf16", "mixed", "int8"};
};
