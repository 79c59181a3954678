#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/files.h"
#include "image/tiles.h"
#include "package/golden.h"
#include "package/layout.h"
#include "package/metadata.h"
#include "package/package.h"

namespace sightline::package {

struct Model::State {
  Description description;
  const tasks::Task* task = nullptr;
  graph::Graph graph;
  Json lineage = Json::object();
  std::unique_ptr<runtime::Session> session;  // its own; null where an engine runs the graph
  Run run;
};

namespace {

constexpr std::uint64_t largest_model = 2'000'000'000, largest_text = 16'000'000;

void to_probabilities(std::span<float> row, OutputForm form) {
  if (form == OutputForm::probabilities) return;
  const float largest = form == OutputForm::scores ? *std::max_element(row.begin(), row.end()) : 0.0F;
  double sum = 0;
  for (float& value : row) {
    value = std::exp(value - largest);
    sum += value;
  }
  if (form == OutputForm::log_probabilities) return;
  for (float& value : row) value = static_cast<float>(value / sum);
}

Result<void> check_pictures(const Tensor& prepared, const Preprocessing& wanted) {
  if (prepared.dtype() == Dtype::u8 && prepared.rank() == 4 && prepared.dim(1) == wanted.height && prepared.dim(2) == wanted.width &&
      prepared.dim(3) == wanted.channels)
    return {};
  return Error{ErrorKind::usage, fmt::format("pictures must come as u8 N×{}×{}×{}, not as {} {}", wanted.height, wanted.width,
                                             wanted.channels, name_of(prepared.dtype()), to_string(prepared.shape()))};
}

}  // namespace

Tensor network_input(const Tensor& prepared, const InputForm& form) {
  if (!form.floating && !form.channels_first) return prepared;
  const auto count = prepared.dim(0), height = prepared.dim(1), width = prepared.dim(2), channels = prepared.dim(3);
  const auto place = [&](std::int64_t n, std::int64_t pixel, std::int64_t c) {
    const std::int64_t plane = height * width;
    return static_cast<std::size_t>(form.channels_first ? (n * channels + c) * plane + pixel : (n * plane + pixel) * channels + c);
  };
  const auto shape = form.channels_first ? Shape{count, channels, height, width} : prepared.shape();
  Tensor input(form.floating ? Dtype::f32 : Dtype::u8, shape);
  const auto source = prepared.values<std::uint8_t>();
  std::size_t at = 0;
  for (std::int64_t n = 0; n < count; ++n) {
    for (std::int64_t pixel = 0; pixel < height * width; ++pixel) {
      for (std::int64_t c = 0; c < channels; ++c, ++at) {
        if (!form.floating) {
          input.values<std::uint8_t>()[place(n, pixel, c)] = source[at];
          continue;
        }
        const auto channel = static_cast<std::size_t>(c);
        const auto value = static_cast<float>(source[at]);
        input.values<float>()[place(n, pixel, c)] = form.mean.empty() ? value : (value - form.mean[channel]) / form.deviation[channel];
      }
    }
  }
  return input;
}

Tensor prepare_picture(const image::Image& picture, const Preprocessing& preprocessing) {
  const image::Image fitted =
      image::resize(image::convert_channels(picture, preprocessing.channels), preprocessing.width, preprocessing.height, preprocessing.fit);
  Tensor tensor(Dtype::u8, {1, preprocessing.height, preprocessing.width, preprocessing.channels});
  std::copy(fitted.pixels.begin(), fitted.pixels.end(), tensor.values<std::uint8_t>().begin());
  return tensor;
}

Model::Model(std::unique_ptr<State> state) : state_(std::move(state)) {}
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;
Model::~Model() = default;

Result<Model> Model::open(const std::string& path, const OpenOptions& options) {
  const bool folder = is_directory(path);
  if (!path_exists(path)) return Error{ErrorKind::not_found, fmt::format("{}: there is no such package folder or .onnx file", path)};
  if (folder && !path_exists(path + "/" + config_file) && !path_exists(path + "/" + model_file))
    return Error{ErrorKind::invalid_data, fmt::format("{}: not a package, it holds neither {} nor {}", path, config_file, model_file)};

  std::string file = path;
  Json lineage = Json::object();
  if (folder) {
    // Triton reads the configuration; we only see to it that it is there.
    SIGHTLINE_CHECK(inside(path, config_file, largest_text));
    SIGHTLINE_TRY(file, inside(path, model_file, largest_model));
    SIGHTLINE_TRY(const std::string text, read_inside(path, lineage_file, largest_text));
    const std::string source = path + "/" + lineage_file;
    SIGHTLINE_TRY(lineage, parse_json(text, source));
    if (!lineage.is_object()) return Error{ErrorKind::invalid_data, source + ": a JSON object is wanted"};
  }
  SIGHTLINE_TRY(graph::Graph graph, graph::read_onnx(file));
  SIGHTLINE_TRY(Description description, describe(graph, file, folder, options.task));
  // Integers stand in the graph; what bf16 rounds is the runtime's business. The layers that a mixed net keeps want more bits than integers
  // have, not all of f32's.
  const bool rounded = description.precision == Precision::bf16 || description.precision == Precision::mixed;
  const auto precision = rounded ? runtime::Precision::bf16 : runtime::Precision::f32;
  SIGHTLINE_TRY(const tasks::Task* task, tasks::find_task(description.task));
  std::unique_ptr<runtime::Session> session;
  Run run;
  if (options.engine) {
    auto made = options.engine(graph, precision);
    if (!made.ok()) return made.error().in(file);
    run = *std::move(made);
    graph.nodes.clear();
    graph.initializers.clear();
  } else {
    auto made = runtime::Session::create(graph, {.threads = options.threads, .precision = precision});
    if (!made.ok()) return made.error().in(file);
    session = std::make_unique<runtime::Session>(*std::move(made));
    run = [own = session.get()](std::span<const Tensor> inputs) { return own->run(inputs); };
  }
  Model model(std::unique_ptr<State>(
      new State{std::move(description), task, std::move(graph), std::move(lineage), std::move(session), std::move(run)}));
  if (folder && options.check_golden) SIGHTLINE_CHECK(check_golden(path, model));
  return model;
}

const std::string& Model::name() const { return state_->description.name; }
const std::string& Model::task() const { return state_->description.task; }
const std::vector<std::string>& Model::labels() const { return state_->description.labels; }
const Preprocessing& Model::preprocessing() const { return state_->description.preprocessing; }
Precision Model::precision() const { return state_->description.precision; }
const std::vector<std::string>& Model::remarks() const { return state_->description.remarks; }
const graph::Graph& Model::graph() const { return state_->graph; }
const Json& Model::lineage() const { return state_->lineage; }
runtime::Session& Model::session() { return *state_->session; }
Result<std::vector<Tensor>> Model::run(std::span<const Tensor> inputs) { return state_->run(inputs); }

const tasks::Task& Model::task_row() const { return *state_->task; }
bool Model::tiled() const { return state_->task->tiled || state_->graph.metadata.contains(pieces_key); }
bool Model::annotates() const { return state_->task->decode != nullptr; }

Tensor Model::prepare(const image::Image& picture) const { return prepare_picture(picture, preprocessing()); }

image::Placement Model::placement(int width, int height) const {
  return image::placement_of(width, height, preprocessing().width, preprocessing().height, preprocessing().fit);
}

Tensor Model::pieces(const image::Image& picture) const {
  const image::Image wanted = image::convert_channels(picture, preprocessing().channels);
  return image::cut(wanted, image::tiling_of(wanted.width, wanted.height, preprocessing().width, preprocessing().height));
}

Result<annotation::Annotation> Model::answer(const image::Image& picture) {
  if (!annotates() || !tiled()) {
    const image::Placement place = placement(picture.width, picture.height);
    SIGHTLINE_TRY(std::vector<annotation::Annotation> answers, annotations(prepare(picture), std::span(&place, 1)));
    return std::move(answers[0]);
  }
  if (picture.width < 1 || picture.height < 1) return Error{ErrorKind::usage, "a picture without pixels cannot be answered"};
  const image::Tiling tiling = image::tiling_of(picture.width, picture.height, preprocessing().width, preprocessing().height);
  const Tensor all = pieces(picture);
  std::map<std::string, image::Blender> blenders;
  // One by one, so that how many there are does not decide the bits.
  for (std::int64_t i = 0; i < tiling.count(); ++i) {
    const Tensor input = network_input(all.rows(i, i + 1), state_->description.input);
    SIGHTLINE_TRY(const std::vector<Tensor> outputs, state_->run(std::span(&input, 1)));
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const Tensor& output = outputs[k];
      const std::string& name = state_->graph.outputs[k].name;
      if (output.dtype() != Dtype::f32 || output.rank() != 4 || output.dim(0) != 1)
        return Error{ErrorKind::invalid_data,
                     fmt::format("the output \"{}\" is {} {}, not f32 1×K×H×W", name, name_of(output.dtype()), to_string(output.shape()))};
      auto blender = blenders.find(name);
      if (blender == blenders.end()) {
        SIGHTLINE_TRY(image::Blender fresh, image::Blender::of(tiling, output.dim(1), output.dim(2), output.dim(3)));
        blender = blenders.emplace(name, std::move(fresh)).first;
      }
      blender->second.add(i, output.values<float>());
    }
  }
  tasks::Outputs named;
  for (auto& [name, blender] : blenders) named[name] = blender.finish();
  const image::Placement whole{.width = picture.width, .height = picture.height};
  SIGHTLINE_TRY(std::vector<annotation::Annotation> answers,
                state_->task->decode(named, std::span(&whole, 1), {.classes = labels(), .metadata = state_->graph.metadata}));
  return std::move(answers[0]);
}

Result<std::vector<annotation::Annotation>> Model::annotations(const Tensor& prepared, std::span<const image::Placement> placements) {
  if (!annotates()) return Error{ErrorKind::usage, fmt::format("\"{}\" is a classifier: it answers with probabilities", name())};
  if (tiled()) return Error{ErrorKind::usage, fmt::format("\"{}\" is asked about one picture at a time, piece by piece", name())};
  SIGHTLINE_CHECK(check_pictures(prepared, preprocessing()));
  const std::int64_t count = prepared.dim(0);
  if (static_cast<std::int64_t>(placements.size()) != count)
    return Error{ErrorKind::usage, fmt::format("{} placements for {} pictures", placements.size(), count)};
  const std::int64_t step = state_->description.input.one_by_one ? 1 : std::max<std::int64_t>(count, 1);
  std::vector<annotation::Annotation> answers;
  for (std::int64_t begin = 0; begin < count; begin += step) {
    const Tensor input = network_input(prepared.rows(begin, begin + step), state_->description.input);
    SIGHTLINE_TRY(std::vector<Tensor> outputs, state_->run(std::span(&input, 1)));
    tasks::Outputs named;
    for (std::size_t i = 0; i < outputs.size(); ++i) named[state_->graph.outputs[i].name] = std::move(outputs[i]);
    SIGHTLINE_TRY(std::vector<annotation::Annotation> some,
                  state_->task->decode(named, placements.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(step)),
                                       {.classes = labels(), .metadata = state_->graph.metadata}));
    for (annotation::Annotation& each : some) answers.push_back(std::move(each));
  }
  return answers;
}

Result<Tensor> Model::input_of(const Tensor& prepared) const {
  SIGHTLINE_CHECK(check_pictures(prepared, preprocessing()));
  return network_input(prepared, state_->description.input);
}

Result<Tensor> Model::probabilities_of(std::span<const Tensor> outputs, std::int64_t count) const {
  if (annotates())
    return Error{ErrorKind::usage, fmt::format("\"{}\" is a model for the task {}: it gives no probabilities of classes", name(), task())};
  const auto classes = static_cast<std::int64_t>(labels().size());
  if (outputs.empty() || outputs[0].dtype() != Dtype::f32 || outputs[0].count() != count * classes)
    return Error{ErrorKind::invalid_data, "the model's output has not the shape that its file states"};
  Tensor answers = Tensor(Dtype::f32, {count, classes});
  std::ranges::copy(outputs[0].values<float>(), answers.values<float>().begin());
  for (std::int64_t row = 0; row < count; ++row)
    to_probabilities(answers.values<float>().subspan(static_cast<std::size_t>(row * classes), static_cast<std::size_t>(classes)),
                     state_->description.output);
  return answers;
}

Result<Tensor> Model::probabilities(const Tensor& prepared) {
  if (annotates()) return probabilities_of({}, 0);  // says what is wrong
  SIGHTLINE_CHECK(check_pictures(prepared, preprocessing()));
  const std::int64_t count = prepared.dim(0);
  const std::int64_t step = state_->description.input.one_by_one ? 1 : std::max<std::int64_t>(count, 1);
  Tensor answers(Dtype::f32, {count, static_cast<std::int64_t>(labels().size())});
  for (std::int64_t begin = 0; begin < count; begin += step) {
    const Tensor input = network_input(prepared.rows(begin, begin + step), state_->description.input);
    SIGHTLINE_TRY(const std::vector<Tensor> outputs, state_->run(std::span(&input, 1)));
    SIGHTLINE_TRY(const Tensor some, probabilities_of(outputs, step));
    std::ranges::copy(some.values<float>(), answers.values<float>().begin() + begin * answers.dim(1));
  }
  return answers;
}

}  // namespace sightline::package
