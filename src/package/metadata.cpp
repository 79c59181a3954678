#include "package/metadata.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "base/text.h"
#include "tasks/tasks.h"

namespace sightline::package {
namespace {

constexpr const char* format_key = "sightline_package";
constexpr const char* format_version = "1";
constexpr const char* name_key = "sightline_name";
constexpr const char* task_key = "sightline_task";
constexpr const char* labels_key = "sightline_labels";
constexpr const char* preprocessing_key = "sightline_preprocessing";
constexpr const char* temperature_key = "sightline_temperature";
constexpr const char* precision_key = "sightline_precision";
constexpr std::int64_t largest_side = 16384;
constexpr std::int64_t most_classes = 1'000'000;

Error bad(const std::string& source, const std::string& what) { return {ErrorKind::invalid_data, source + ": " + what}; }

std::string find(const graph::Graph& graph, const std::string& key) {
  const auto found = graph.metadata.find(key);
  return found == graph.metadata.end() ? "" : found->second;
}

// The Model API keeps its keys under "model_info" and reads lists as words.
std::string find_model_info(const graph::Graph& graph, const std::string& key) { return find(graph, "model_info " + key); }

const char* resize_type_of(image::Fit fit) {
  switch (fit) {
    case image::Fit::stretch: return "standard";
    case image::Fit::fit: return "fit_to_window_letterbox";
    case image::Fit::crop: return "crop";
  }
  return "standard";
}

bool is_picture_depth(std::int64_t channels) { return channels == 1 || channels == 3; }

// Length of the UTF-8 sequence that starts at text[at] (RFC 3629: shortest form, no surrogates), 0 when there is none.
std::size_t sequence_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(at);
  const std::size_t length = lead < 0x80                   ? 1
                             : lead >= 0xC2 && lead < 0xE0 ? 2
                             : lead >= 0xE0 && lead < 0xF0 ? 3
                             : lead >= 0xF0 && lead < 0xF5 ? 4
                                                           : 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned second = byte(at + 1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) || (lead == 0xF0 && second < 0x90) ||
      (lead == 0xF4 && second >= 0x90))
    return 0;
  return length;
}

std::vector<float> floats_of(const std::string& text) {
  std::string clean = text;
  std::replace_if(
      clean.begin(), clean.end(), [](char c) { return c == ',' || c == '[' || c == ']'; }, ' ');
  std::vector<float> values;
  for (const std::string& word : split(clean, ' ')) {
    float value = 0;
    if (word.empty()) continue;
    if (std::from_chars(word.data(), word.data() + word.size(), value).ec != std::errc{}) return {};
    values.push_back(value);
  }
  return values;
}

// The picture's size and how the network wants it, from the first input.
Result<void> read_input(const graph::Graph& graph, const std::string& source, Description& description) {
  if (graph.inputs.size() != 1)
    return Error{ErrorKind::unsupported,
                 fmt::format("{}: a model with one input, the picture, is wanted; this one has {}", source, graph.inputs.size())};
  const graph::ValueInfo& input = graph.inputs[0];
  const auto refuse = [&](const std::string& why) {
    return Error{ErrorKind::unsupported, fmt::format("{}: input \"{}\" ({} {}) is not a picture: {}", source, input.name,
                                                     name_of(input.dtype), to_string(input.shape), why)};
  };
  if (input.dtype != Dtype::u8 && input.dtype != Dtype::f32) return refuse("u8 or f32 is wanted");
  if (input.shape.size() != 4) return refuse("four dimensions are wanted, N×H×W×C or N×C×H×W");
  const bool last = is_picture_depth(input.shape[3]), second = is_picture_depth(input.shape[1]);
  if (!last && !second) return refuse("1 or 3 channels are wanted, in the second or the last dimension");
  description.input.floating = input.dtype == Dtype::f32;
  description.input.channels_first = second && (!last || description.input.floating);
  description.input.one_by_one = input.shape[0] == 1;
  if (input.shape[0] != -1 && input.shape[0] != 1) return refuse("the batch size must be free, or 1; export the model with a free batch");
  const std::size_t height_axis = description.input.channels_first ? 2 : 1;
  const std::int64_t height = input.shape[height_axis], width = input.shape[height_axis + 1];
  if (height < 1 || width < 1 || height > largest_side || width > largest_side)
    return refuse(fmt::format("height and width must be fixed, 1 to {}; export the model for one size", largest_side));
  description.preprocessing.height = static_cast<int>(height);
  description.preprocessing.width = static_cast<int>(width);
  description.preprocessing.channels = static_cast<int>(input.shape[description.input.channels_first ? 1 : 3]);
  return {};
}

Result<std::int64_t> class_count(const graph::Graph& graph, const std::string& source) {
  if (graph.outputs.empty()) return Error{ErrorKind::unsupported, source + ": the model has no output"};
  const graph::ValueInfo& output = graph.outputs[0];
  const Shape& shape = output.shape;
  const bool flat = shape.size() == 2 || (shape.size() == 4 && shape[2] == 1 && shape[3] == 1);
  if (output.dtype != Dtype::f32 || !flat || shape[1] < 1 || shape[1] > most_classes)
    return Error{ErrorKind::unsupported, fmt::format("{}: output \"{}\" ({} {}) is not one f32 score per class (N×K)", source, output.name,
                                                     name_of(output.dtype), to_string(shape))};
  return shape[1];
}

// What the last operator that computes makes of scores.
OutputForm output_form(const graph::Graph& graph) {
  std::string value = graph.outputs[0].name;
  for (std::size_t i = graph.nodes.size(); i-- > 0;) {
    const graph::Node& node = graph.nodes[i];
    if (std::find(node.outputs.begin(), node.outputs.end(), value) == node.outputs.end() || node.inputs.empty()) continue;
    if (node.op_type == "Softmax" || node.op_type == "Sigmoid") return OutputForm::probabilities;
    if (node.op_type == "LogSoftmax") return OutputForm::log_probabilities;
    if (node.op_type != "Identity" && node.op_type != "Flatten" && node.op_type != "Reshape" && node.op_type != "Squeeze") break;
    value = node.inputs[0];
  }
  return OutputForm::scores;
}

Result<void> read_labels(const std::string& text, const std::string& source, std::vector<std::string>& labels) {
  auto json = parse_json(text, source);
  if (!json.ok()) return json.error();
  SIGHTLINE_CHECK(from_json(*json, labels, labels_key));
  for (const std::string& label : labels) {
    if (!is_printable(label, 1000)) return bad(source, fmt::format("{} holds a label that is empty, too long or not text", labels_key));
  }
  return {};
}

// Our own keys.
Result<void> read_own(const graph::Graph& graph, const std::string& source, Description& description) {
  if (const std::string version = find(graph, format_key); version != format_version)
    return Error{ErrorKind::unsupported, fmt::format("{}: written as package format \"{}\"; this version of Sightline reads format {}",
                                                     source, version, format_version)};
  description.name = find(graph, name_key);
  if (!is_printable(description.name, 200)) return bad(source, fmt::format("{} is missing or not text", name_key));
  description.task = find(graph, task_key);
  if (const auto task = tasks::find_task(description.task); !task.ok())
    return Error{ErrorKind::unsupported, source + ": " + task.error().message};
  SIGHTLINE_CHECK(read_labels(find(graph, labels_key), source + " (" + labels_key + ")", description.labels));
  const std::string where = source + " (" + preprocessing_key + ")";
  auto json = parse_json(find(graph, preprocessing_key), where);
  if (!json.ok()) return json.error();
  Preprocessing stated;
  if (const auto status = from_json(*json, stated, preprocessing_key); !status.ok()) return status.error().in(source);
  const Preprocessing& real = description.preprocessing;
  if (stated.width != real.width || stated.height != real.height || stated.channels != real.channels)
    return bad(where, fmt::format("it says {}×{}×{}, but the network wants {}×{}×{} (height×width×channels)", stated.height, stated.width,
                                  stated.channels, real.height, real.width, real.channels));
  description.preprocessing = stated;
  return {};
}

// How other makers say that pictures are made ready.
void read_normalisation(const graph::Graph& graph, Description& description) {
  const std::string resize = find_model_info(graph, "resize_type");
  for (const image::Fit fit : {image::Fit::fit, image::Fit::crop}) {
    if (resize == resize_type_of(fit)) description.preprocessing.fit = fit;
  }
  if (resize.empty()) description.remarks.emplace_back("the model does not say how pictures are resized: they are stretched");
  if (!description.input.floating) return;
  const auto channels = static_cast<std::size_t>(description.preprocessing.channels);
  const std::vector<float> mean = floats_of(find_model_info(graph, "mean_values"));
  const std::vector<float> deviation = floats_of(find_model_info(graph, "scale_values"));
  if (mean.size() == channels && deviation.size() == channels && std::find(deviation.begin(), deviation.end(), 0.0F) == deviation.end()) {
    description.input.mean = mean;
    description.input.deviation = deviation;
  } else {
    description.remarks.emplace_back(
        "the model does not say how pixels are normalised: it is given values from 0 to 255, which is wrong for most networks that take "
        "real numbers");
  }
}

// What other makers say, and what has to be assumed.
void read_foreign(const graph::Graph& graph, std::int64_t classes, const std::string& source, Description& description) {
  description.name = std::filesystem::path(source).stem().string();
  for (const std::string& word : split(find_model_info(graph, "labels"), ' ')) {
    if (is_printable(word, 1000)) description.labels.push_back(word);
  }
  if (static_cast<std::int64_t>(description.labels.size()) != classes) {
    description.labels.clear();
    for (std::int64_t i = 0; i < classes; ++i) description.labels.push_back(std::to_string(i));
    description.remarks.emplace_back("the model names no classes: they are numbered from 0");
  }
  read_normalisation(graph, description);
}

std::string words_of(const std::vector<std::string>& labels) {
  std::vector<std::string> words = labels;
  for (std::string& word : words) std::replace(word.begin(), word.end(), ' ', '_');
  return join(words, " ");
}

}  // namespace

bool is_printable(std::string_view text, std::size_t most) {
  if (text.empty() || text.size() > most) return false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t length = sequence_length(text, at);
    const auto byte = static_cast<unsigned char>(text[at]);
    if (length == 0 || byte < 0x20 || byte == 0x7F) return false;
    at += length;
  }
  return true;
}

Result<void> add_metadata(graph::Graph& graph, const Contents& contents) {
  const auto refuse = [](const std::string& what) { return Error{ErrorKind::invalid_data, "cannot package the model: " + what}; };
  if (!is_printable(contents.name, 200)) return refuse("its name is empty, longer than 200 bytes, or not text");
  if (const auto task = tasks::find_task(contents.task); !task.ok()) return task.error();
  for (const std::string& label : contents.labels) {
    if (!is_printable(label, 1000))
      return refuse(fmt::format("a label is empty, longer than 1000 bytes, or not text: {}",
                                Json(label).dump(-1, ' ', true, Json::error_handler_t::replace)));
  }
  if (!graph.training_outputs.empty()) return refuse("its graph has training outputs; graph::serving_graph takes them off");

  double temperature = 1;
  if (const auto found = graph.initializers.find("inverse_temperature");
      found != graph.initializers.end() && found->second.dtype() == Dtype::f32 && found->second.count() == 1)
    temperature = 1.0 / found->second.values<float>()[0];

  const bool classifies = contents.task == "classify";
  auto& metadata = graph.metadata;
  metadata.erase("sightline_training_outputs");
  metadata[format_key] = format_version;
  metadata[name_key] = contents.name;
  metadata[task_key] = contents.task;
  metadata[labels_key] = json_text(to_json(contents.labels));
  metadata[preprocessing_key] = json_text(to_json(contents.preprocessing));
  metadata.erase(precision_key);
  if (contents.precision != Precision::f32) metadata[precision_key] = enum_name(contents.precision);
  if (classifies) metadata[temperature_key] = json_text(Json(temperature));
  // Normalisation is part of the graph, so mean_values and scale_values stay out: a reader would apply them once more. Resizing is not,
  // so embedded_processing is false.
  if (classifies) metadata["model_info model_type"] = "Classification";
  metadata["model_info model_name"] = contents.name;
  metadata["model_info labels"] = words_of(contents.labels);
  metadata["model_info resize_type"] = resize_type_of(contents.preprocessing.fit);
  metadata["model_info pad_value"] = "114";
  metadata["model_info embedded_processing"] = "False";
  metadata["model_info reverse_input_channels"] = "False";
  if (classifies) {
    metadata["model_info output_raw_scores"] = "True";
    metadata.try_emplace("model_info confidence_threshold", "0");  // what decides by thresholds has set its own
    metadata["model_info multilabel"] = "False";
    metadata["model_info hierarchical"] = "False";
  }

  SIGHTLINE_TRY(const Description description, describe(graph, "the model", true));
  if (description.input.floating || description.input.channels_first || description.input.one_by_one)
    return refuse("its input must be u8 N×H×W×C with a free batch");
  return {};
}

Result<Description> describe_input(const graph::Graph& graph, const std::string& source) {
  Description description;
  SIGHTLINE_CHECK(read_input(graph, source, description));
  read_normalisation(graph, description);
  return description;
}

namespace {

std::map<std::string, std::pair<Dtype, Shape>> signatures_of(const graph::Graph& graph) {
  std::map<std::string, std::pair<Dtype, Shape>> outputs;
  for (const graph::ValueInfo& output : graph.outputs) outputs[output.name] = {output.dtype, output.shape};
  return outputs;
}

}  // namespace

Result<Description> describe(const graph::Graph& graph, const std::string& source, bool packaged, const std::string& stated) {
  Description description;
  SIGHTLINE_CHECK(read_input(graph, source, description));
  // f32 says nothing.
  if (const std::string precision = find(graph, precision_key); !precision.empty() && !enum_from(precision, description.precision))
    return Error{ErrorKind::unsupported,
                 fmt::format("{}: it computes in \"{}\", which this version of Sightline does not know", source, precision)};
  const bool ours = packaged || !find(graph, format_key).empty();
  if (ours) {
    SIGHTLINE_CHECK(read_own(graph, source, description));
    SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(description.task));
    if (task->check_outputs != nullptr) {
      if (auto status = task->check_outputs(signatures_of(graph), description.labels.size()); !status.ok())
        return status.error().in(source);
      return description;
    }
  }
  if (!ours && !stated.empty()) {
    SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(stated));
    if (task->check_outputs != nullptr) {
      description.task = stated;
      description.name = std::filesystem::path(source).stem().string();
      read_normalisation(graph, description);
      if (auto status = task->check_outputs(signatures_of(graph), 0); !status.ok()) return status.error().in(source);
      return description;
    }
  }
  SIGHTLINE_TRY(const std::int64_t classes, class_count(graph, source));
  if (!ours) {
    read_foreign(graph, classes, source, description);
    description.output = output_form(graph);
    if (description.output == OutputForm::scores)
      description.remarks.emplace_back(
          "the model's last operator is no Softmax: its outputs are taken as scores and turned into probabilities");
  }
  if (static_cast<std::int64_t>(description.labels.size()) != classes)
    return bad(source, fmt::format("{} for an output of {}", plural(description.labels.size(), "label"),
                                   plural(static_cast<std::uint64_t>(classes), "class")));
  return description;
}

}  // namespace sightline::package
