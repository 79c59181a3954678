// Anomaly detection from good pictures only, on the magnetic tiles: 600 good ones to fit, 150 for the threshold, all others and all defects
// to test. The graph is the one that would be packaged, run by our runtime, measured by the task's own meter (docs/anomaly.md).
//   sightline-anomaly-tiles BACKBONE.safetensors DATA bank|pooled|per_place fit|stretch
//   sightline-anomaly-tiles backbones/sight-s.safetensors ../shared/data/seg_cls_anom_magnetic_tile bank stretch
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "base/random.h"
#include "factory/backbone.h"
#include "factory/shipped.h"
#include "heads/gaussian_field.h"
#include "heads/memory_bank.h"
#include "heads/places.h"
#include "runtime/session.h"
#include "tasks/tasks.h"

namespace {

using namespace sightline;
namespace fs = std::filesystem;

constexpr int side = 192;
constexpr std::int64_t batch = 20;
constexpr std::size_t fitted = 600, held_out = 150;
constexpr double wanted_alarms = 0.05, blur = 4.0 * side / 224;
// Channels and stride of the maps that are read.
constexpr std::array maps_read{std::pair<std::int64_t, std::int64_t>{96, 8}, {192, 16}};
constexpr std::array kinds{"good", "blowhole", "break", "crack", "fray", "uneven"};
constexpr std::array folders{"MT_Free", "MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven"};

Result<image::Image> picture_at(const std::string& file) { return image::read_image(file, {.channels = 3}); }

std::vector<std::string> pictures_in(const std::string& folder) {
  std::vector<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.path().extension() == ".jpg") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

// u8 N×H×W×C
Result<Tensor> input_of(std::span<const std::string> files, image::Fit fit) {
  Tensor input(Dtype::u8, {static_cast<std::int64_t>(files.size()), side, side, 3});
  auto at = input.values<std::uint8_t>().begin();
  for (const std::string& file : files) {
    SIGHTLINE_TRY(const image::Image picture, picture_at(file));
    at = std::ranges::copy(image::resize(picture, side, side, fit).pixels, at).out;
  }
  return input;
}

// The graph's first output for all files, one after the other.
Result<Tensor> answers_of(const graph::Graph& graph, std::span<const std::string> files, image::Fit fit) {
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph, {}));
  Tensor all;
  for (std::size_t begin = 0; begin < files.size(); begin += batch) {
    const auto some = files.subspan(begin, std::min<std::size_t>(batch, files.size() - begin));
    SIGHTLINE_TRY(const Tensor input, input_of(some, fit));
    SIGHTLINE_TRY(const std::vector<Tensor> outputs, session.run(std::span(&input, 1)));
    if (!all.defined()) {
      Shape shape = outputs[0].shape();
      shape[0] = static_cast<std::int64_t>(files.size());
      all = Tensor(Dtype::f32, shape);
    }
    const auto first = static_cast<std::int64_t>(begin);
    std::ranges::copy(outputs[0].values<float>(), all.rows(first, first + outputs[0].dim(0)).values<float>().begin());
  }
  return all;
}

// The last value of each wanted size.
Result<std::vector<std::string>> maps_of(const graph::Graph& graph) {
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(graph));
  std::vector<std::string> maps;
  for (const auto& [channels, stride] : maps_read) {
    std::string last;
    for (const graph::Node& node : graph.nodes)
      if (values.at(node.outputs[0]).shape == Shape{-1, channels, side / stride, side / stride}) last = node.outputs[0];
    if (last.empty())
      return Error{ErrorKind::not_found, fmt::format("the backbone has no map of {} channels at stride {}", channels, stride)};
    maps.push_back(last);
  }
  return maps;
}

Result<graph::Graph> measuring(const graph::Graph& places, const std::string& model, const Tensor& good) {
  if (model == "bank") {
    SIGHTLINE_TRY(const heads::MemoryBank bank, heads::fit_memory_bank(good));
    return heads::append_memory_bank(places, bank);
  }
  heads::Spread spread{};
  if (!enum_from(model, spread)) return Error{ErrorKind::usage, fmt::format("{} is none of bank, pooled and per_place", model)};
  SIGHTLINE_TRY(const heads::GaussianField field, heads::fit_gaussian_field(good, spread));
  return heads::append_gaussian_field(places, field);
}

Result<tasks::Case> case_of(const std::string& file, std::size_t kind) {
  SIGHTLINE_TRY(const image::Image picture, picture_at(file));
  tasks::Case one{.width = picture.width, .height = picture.height};
  one.truth.label = static_cast<std::int32_t>(kind);
  one.truth.score = kind > 0 ? 1 : 0;
  if (kind == 0) return one;
  SIGHTLINE_TRY(const image::Image mask, image::read_image(fs::path(file).replace_extension(".png").string(), {.channels = 1}));
  one.truth.mask = Tensor(Dtype::u8, {mask.height, mask.width});
  std::ranges::transform(mask.pixels, one.truth.mask.values<std::uint8_t>().begin(),
                         [](std::uint8_t value) { return value > 127 ? std::uint8_t{1} : std::uint8_t{0}; });
  return one;
}

Result<void> run(const std::string& backbone, const std::string& data, const std::string& model, const std::string& resize) {
  image::Fit fit{};
  if (!enum_from(resize, fit)) return Error{ErrorKind::usage, fmt::format("{} is no way to resize", resize)};
  SIGHTLINE_TRY(factory::BackboneImport wanted, factory::import_of_weights(backbone));
  wanted.side = side;
  SIGHTLINE_TRY(const factory::NetWithWeights net, factory::read_net(wanted));
  const graph::Graph frozen = graph::fold_batch_norm(graph::serving_graph(net.graph));
  SIGHTLINE_TRY(const std::vector<std::string> maps, maps_of(frozen));
  SIGHTLINE_TRY(const graph::Graph places, heads::append_places(frozen, maps));

  std::vector<std::string> good = pictures_in(fmt::format("{}/{}", data, folders[0]));
  Random(1).shuffle(good);
  if (good.size() <= fitted + held_out) return Error{ErrorKind::invalid_data, fmt::format("{} holds {} good pictures", data, good.size())};
  SIGHTLINE_TRY(const Tensor seen, answers_of(places, std::span(good).first(fitted), fit));
  SIGHTLINE_TRY(const graph::Graph measured, measuring(places, model, seen));
  SIGHTLINE_TRY(const graph::Graph scored, heads::append_scores(measured, {.height = side, .width = side, .blur = blur}));
  graph::Graph distances = scored;
  distances.outputs = {{heads::largest_distance, Dtype::f32, {-1}, {}}};
  SIGHTLINE_TRY(const Tensor held, answers_of(graph::serving_graph(distances), std::span(good).subspan(fitted, held_out), fit));
  SIGHTLINE_TRY(const heads::Alarm alarm, heads::alarm_of({held.values<float>().begin(), held.values<float>().end()}, wanted_alarms));
  SIGHTLINE_TRY(const graph::Graph settled, heads::with_threshold(scored, alarm.threshold));
  const graph::Graph shipped = graph::serving_graph(settled);
  SIGHTLINE_TRY(const std::string onnx, graph::serialize_onnx(shipped));

  SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task("anomaly"));
  const auto meter = task->meter({kinds.begin(), kinds.end()});
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(shipped, {}));
  std::vector<std::int64_t> cases;
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    std::vector<std::string> files = pictures_in(fmt::format("{}/{}", data, folders[kind]));
    if (kind == 0) files.assign(good.begin() + fitted + held_out, good.end());
    for (const std::string& file : files) {
      SIGHTLINE_TRY(tasks::Case one, case_of(file, kind));
      SIGHTLINE_TRY(const Tensor input, input_of(std::span(&file, 1), fit));
      SIGHTLINE_TRY(const std::vector<Tensor> outputs, session.run(std::span(&input, 1)));
      tasks::Outputs named;
      for (std::size_t i = 0; i < outputs.size(); ++i) named[shipped.outputs[i].name] = outputs[i];
      const image::Placement placement = image::placement_of(one.width, one.height, side, side, fit);
      SIGHTLINE_TRY(std::vector<annotation::Annotation> answer, task->decode(named, std::span(&placement, 1)));
      one.prediction = std::move(answer[0]);
      meter->add(one);
      cases.push_back(std::ssize(cases));
    }
  }
  fmt::print("{}, {}: {} pictures, false alarms promised {:.3f}, onnx {:.1f} MB\n", model, resize, cases.size(), alarm.false_alarm_rate,
             static_cast<double>(onnx.size()) / 1e6);
  const tasks::Figures figures = meter->figures(cases, false);
  for (const auto& [name, value] : figures.values) fmt::print("  {} {:.3f}\n", name, value);
  for (const tasks::ClassValues& each : figures.per_class)
    for (const auto& [name, value] : each.values) fmt::print("  {} ({}): {} {:.3f}\n", each.name, each.count, name, value);
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) {
    fmt::print(stderr, "sightline-anomaly-tiles BACKBONE.safetensors DATA bank|pooled|per_place fit|stretch\n");
    return 2;
  }
  const Result<void> status = run(arguments[1], arguments[2], arguments[3], arguments[4]);
  if (status.ok()) return 0;
  fmt::print(stderr, "{}\n", status.error().message);
  return exit_code_of(status.error().kind);
}
