// What a model says about itself, in the metadata_props of its ONNX file (docs/formats/package.md): our own keys, and those of the
// OpenVINO Model API, which are also read from models of other makers.
#pragma once

#include <string>
#include <vector>

#include "package/package.h"

namespace sightline::package {

// Writes the keys into graph.metadata; other keys stay. Error invalid_data: names or labels that a file cannot carry, or a graph whose
// input and output do not fit them.
Result<void> add_metadata(graph::Graph& graph, const Contents& contents);

// How the network wants its pixels.
struct InputForm {
  bool floating = false;               // f32 instead of u8
  bool channels_first = false;         // N×C×H×W instead of N×H×W×C
  bool one_by_one = false;             // the batch is fixed to 1
  std::vector<float> mean, deviation;  // per channel, for floating inputs; empty: values 0..255 as they are
};

// How the first output becomes probabilities.
enum class OutputForm { probabilities, log_probabilities, scores };

struct Description {
  std::string name, task = "classify";
  std::vector<std::string> labels;
  Preprocessing preprocessing;
  Precision precision = Precision::f32;
  InputForm input;
  OutputForm output = OutputForm::probabilities;
  std::vector<std::string> remarks;  // what had to be assumed, in sentences
};

// From metadata and signature. `packaged`: our own keys must be there and right. Otherwise what is missing is assumed and remarked on.
// Errors name `source`: invalid_data, unsupported (not a picture in and one score per class out).
// stated: the task of a foreign network that does not answer with a score per class; "": it does.
Result<Description> describe(const graph::Graph& graph, const std::string& source, bool packaged, const std::string& stated = "");

// Only what the first input says (preprocessing, input, remarks), for networks that answer with something else than a score per class.
// Error unsupported: it is no picture.
Result<Description> describe_input(const graph::Graph& graph, const std::string& source);
// u8 1×H×W×C as `preprocessing` has it; and that (N×H×W×C) as the network takes it.
Tensor prepare_picture(const image::Image& picture, const Preprocessing& preprocessing);
Tensor network_input(const Tensor& prepared, const InputForm& form);

// No control characters, valid UTF-8, not empty, at most `most` bytes.
bool is_printable(std::string_view text, std::size_t most);

}  // namespace sightline::package
