// The Open Inference Protocol over a repository.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <numeric>

#include "base/text.h"
#include "base/version.h"
#include "serving/service.h"

namespace sightline::serving {
namespace {

using Clock = std::chrono::steady_clock;

struct DatatypeRow {
  const char* name;
  Dtype dtype;
};
constexpr std::array datatypes{
    DatatypeRow{"BOOL", Dtype::boolean}, DatatypeRow{"UINT8", Dtype::u8},  DatatypeRow{"INT8", Dtype::i8},
    DatatypeRow{"INT32", Dtype::i32},    DatatypeRow{"INT64", Dtype::i64}, DatatypeRow{"FP16", Dtype::f16},
    DatatypeRow{"BF16", Dtype::bf16},    DatatypeRow{"FP32", Dtype::f32},  DatatypeRow{"FP64", Dtype::f64},
};

const char* datatype_of(Dtype dtype) {
  for (const DatatypeRow& row : datatypes) {
    if (row.dtype == dtype) return row.name;
  }
  return "";
}

Json described(const std::vector<graph::ValueInfo>& values) {
  Json list = Json::array();
  for (const graph::ValueInfo& value : values)
    list.push_back({{"name", value.name}, {"datatype", datatype_of(value.dtype)}, {"shape", value.shape}});
  return list;
}

std::vector<std::string> names_of(const std::vector<graph::ValueInfo>& values) {
  std::vector<std::string> names;
  for (const graph::ValueInfo& value : values) names.push_back(value.name);
  return names;
}

Result<Tensor> tensor_of(const net::WireTensor& given, const graph::ValueInfo& wanted) {
  if (given.datatype != datatype_of(wanted.dtype))
    return Error{ErrorKind::invalid_data,
                 fmt::format("the input \"{}\" is {}, the model wants {}", given.name, given.datatype, datatype_of(wanted.dtype))};
  bool fits = given.shape.size() == wanted.shape.size();
  for (std::size_t i = 0; fits && i < given.shape.size(); ++i) fits = wanted.shape[i] == -1 || given.shape[i] == wanted.shape[i];
  if (!fits)
    return Error{ErrorKind::invalid_data,
                 fmt::format("the input \"{}\" is {}, the model wants {}", given.name, to_string(given.shape), to_string(wanted.shape))};
  if (element_count(given.shape) == 0) return Error{ErrorKind::invalid_data, fmt::format("the input \"{}\" is empty", given.name)};
  Tensor tensor(wanted.dtype, given.shape);
  const std::string_view bytes = given.bytes();
  std::memcpy(tensor.data(), bytes.data(), bytes.size());
  return tensor;
}

Result<std::vector<Tensor>> inputs_of(const net::InferRequest& request, const graph::Graph& graph) {
  std::vector<Tensor> inputs;
  for (const graph::ValueInfo& wanted : graph.inputs) {
    const auto given = std::ranges::find(request.inputs, wanted.name, &net::WireTensor::name);
    if (given == request.inputs.end()) return Error{ErrorKind::invalid_data, fmt::format("the input \"{}\" is missing", wanted.name)};
    SIGHTLINE_TRY(Tensor tensor, tensor_of(*given, wanted));
    if (!inputs.empty() && tensor.rank() > 0 && inputs[0].rank() > 0 && wanted.shape[0] == -1 && tensor.dim(0) != inputs[0].dim(0))
      return Error{ErrorKind::invalid_data,
                   fmt::format("the input \"{}\" has {} rows, others have {}", wanted.name, tensor.dim(0), inputs[0].dim(0))};
    inputs.push_back(std::move(tensor));
  }
  for (const net::WireTensor& given : request.inputs) {
    if (std::ranges::count(request.inputs, given.name, &net::WireTensor::name) > 1)
      return Error{ErrorKind::invalid_data, fmt::format("the input \"{}\" comes more than once", given.name)};
    if (std::ranges::find(graph.inputs, given.name, &graph::ValueInfo::name) == graph.inputs.end())
      return Error{ErrorKind::invalid_data,
                   fmt::format("the model has no input \"{}\"; it has {}", given.name, join(names_of(graph.inputs), ", "))};
  }
  return inputs;
}

// "0.93:4:boot" of the greatest elements, row by row.
Result<net::WireTensor> classified(const Tensor& output, const net::WantedOutput& wanted, const std::vector<std::string>& labels) {
  if (output.dtype() != Dtype::f32 || output.rank() != 2)
    return Error{ErrorKind::invalid_data, fmt::format("the output \"{}\" has no classes to choose from", wanted.name)};
  const std::int64_t rows = output.dim(0), columns = output.dim(1), most = std::min(wanted.classes, columns);
  net::WireTensor tensor{.name = wanted.name, .datatype = "BYTES", .shape = {rows, most}, .binary = wanted.binary};
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto values = output.values<float>().subspan(static_cast<std::size_t>(row * columns), static_cast<std::size_t>(columns));
    std::vector<std::size_t> order(values.size());
    std::iota(order.begin(), order.end(), 0U);
    std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return values[a] > values[b]; });
    for (std::int64_t i = 0; i < most; ++i) {
      const std::size_t place = order[static_cast<std::size_t>(i)];
      std::string text = fmt::format("{:f}:{}", values[place], place);
      if (place < labels.size()) text += ":" + labels[place];
      const auto size = static_cast<std::uint32_t>(text.size());
      char length[sizeof size];
      std::memcpy(length, &size, sizeof size);
      tensor.own.append(length, sizeof length);
      tensor.own += text;
    }
  }
  return tensor;
}

Result<std::vector<net::WireTensor>> outputs_of(const net::InferRequest& request, const std::vector<Tensor>& outputs,
                                                const package::Model& model) {
  const std::vector<graph::ValueInfo>& known = model.graph().outputs;
  std::vector<net::WantedOutput> wanted = request.outputs;
  if (wanted.empty()) {
    for (const graph::ValueInfo& each : known) wanted.push_back({.name = each.name, .binary = request.binary_output});
  }
  std::vector<net::WireTensor> tensors;
  for (const net::WantedOutput& each : wanted) {
    const auto found = std::ranges::find(known, each.name, &graph::ValueInfo::name);
    if (found == known.end())
      return Error{ErrorKind::invalid_data,
                   fmt::format("the model has no output \"{}\"; it has {}", each.name, join(names_of(known), ", "))};
    const Tensor& output = outputs[static_cast<std::size_t>(found - known.begin())];
    if (each.classes > 0) {
      SIGHTLINE_TRY(net::WireTensor tensor, classified(output, each, model.labels()));
      tensors.push_back(std::move(tensor));
      continue;
    }
    const auto bytes = output.bytes();
    tensors.push_back({.name = each.name,
                       .datatype = datatype_of(output.dtype()),
                       .shape = output.shape(),
                       .own = std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                       .binary = each.binary});
  }
  return tensors;
}

// Bad requests are 400 in this protocol, whatever is bad about them.
net::Response failure(const Error& error) {
  net::Response response = net::error_response(error);
  if (error.kind == ErrorKind::invalid_data || error.kind == ErrorKind::unsupported) response.status = 400;
  if (error.kind == ErrorKind::refused) response.status = 503;
  return response;
}

net::Route route(std::string method, std::string pattern, net::Scope scope, std::string summary,
                 std::function<Result<net::Response>(const net::Request&)> handle) {
  return net::answered(std::move(method), std::move(pattern), scope, std::move(summary),
                       [handle = std::move(handle)](const net::Request& request) -> Result<net::Response> {
                         Result<net::Response> response = handle(request);
                         return response.ok() ? *std::move(response) : failure(response.error());
                       });
}

Result<net::Response> infer_route(Service& service, const net::Request& request) {
  SIGHTLINE_TRY(const std::int64_t version, version_of(request.parameter("version")));
  SIGHTLINE_TRY(const net::InferRequest asked, net::parse_infer(request.body, request.header("inference-header-content-length")));
  SIGHTLINE_TRY(const std::optional<net::InferResponse> answer,
                infer(service, request.parameter("model"), version, asked, draw_of(request.caller.trace)));
  return answer ? net::infer_response(*answer) : busy_response();
}

Result<net::Response> ready_route(const Service& service, const net::Request& request) {
  SIGHTLINE_TRY(const std::int64_t version, version_of(request.parameter("version")));
  const std::string& model = request.parameter("model");
  if (!service.repository.knows(model, version)) return net::json_response({{"error", "there is no such model"}}, 404);
  const bool ready = service.repository.ready(model, version);
  return net::json_response({{"name", model}, {"ready", ready}}, ready ? 200 : 400);
}

Result<net::Response> config_route(Service& service, const net::Request& request) {
  SIGHTLINE_TRY(const std::int64_t version, version_of(request.parameter("version")));
  SIGHTLINE_TRY(const Json metadata, model_metadata(service, request.parameter("model"), version));
  const auto with_prefix = [](const Json& values) {
    Json list = Json::array();
    for (const Json& value : values) {
      Json dims = value["shape"];
      dims.erase(0);
      list.push_back({{"name", value["name"]}, {"data_type", "TYPE_" + value["datatype"].get<std::string>()}, {"dims", dims}});
    }
    return list;
  };
  return net::json_response({{"name", metadata["name"]},
                             {"platform", metadata["platform"]},
                             {"backend", "sightline"},
                             {"max_batch_size", 0},
                             {"input", with_prefix(metadata["inputs"])},
                             {"output", with_prefix(metadata["outputs"])}});
}

Result<net::Response> statistics_route(const Service& service, const net::Request& request) {
  SIGHTLINE_TRY(const Json statistics, model_statistics(service, request.parameter("model"), request.parameter("version")));
  return net::json_response(statistics);
}

}  // namespace

Result<std::int64_t> version_of(const std::string& text) {
  if (text.empty()) return std::int64_t{0};
  if (text.size() > 15 || text.find_first_not_of("0123456789") != std::string::npos || text[0] == '0')
    return Error{ErrorKind::not_found, fmt::format("\"{}\" is no version", text)};
  return std::stoll(text);
}

double draw_of(const std::string& trace) {
  if (trace.size() < 8 || trace.find_first_not_of("0123456789abcdef") != std::string::npos) return 1;
  return static_cast<double>(std::stoul(trace.substr(0, 8), nullptr, 16)) / 4294967296.0;
}

Result<std::optional<net::InferResponse>> infer(Service& service, const std::string& model, std::int64_t version,
                                                const net::InferRequest& request, double draw) {
  const auto begun = Clock::now();
  SIGHTLINE_TRY(const std::optional<Repository::Lease> lease, service.repository.lease(model, version, draw));
  if (!lease) return std::optional<net::InferResponse>();
  package::Model& network = lease->model();
  Served served{.model = model, .version = lease->loaded().version};
  const auto done = [&](const Error* error) {
    const Passage& way = passage();
    served.queue_s = way.queue_s;
    served.compute_s = way.compute_s;
    served.batch = std::max<std::int64_t>(1, way.rows);
    served.failed = error != nullptr;
    if (error != nullptr) served.error = name_of(error->kind);
    service.metrics.served(served);
  };
  Result<std::vector<Tensor>> inputs = inputs_of(request, network.graph());
  served.input_s = seconds_since(begun);
  passage() = {};
  if (!inputs.ok()) {
    done(&inputs.error());
    return inputs.error();
  }
  passage().priority = request.priority == 0 ? 100 : request.priority;
  if (request.timeout_us > 0) passage().deadline = Clock::now() + std::chrono::microseconds(request.timeout_us);
  served.rows = (*inputs)[0].rank() > 0 ? (*inputs)[0].dim(0) : 1;
  Result<std::vector<Tensor>> outputs = network.run(*inputs);
  if (!outputs.ok()) {
    done(&outputs.error());
    return outputs.error();
  }
  const auto answered = Clock::now();
  Result<std::vector<net::WireTensor>> tensors = outputs_of(request, *outputs, network);
  served.output_s = seconds_since(answered);
  done(tensors.ok() ? nullptr : &tensors.error());
  if (!tensors.ok()) return tensors.error();
  return std::optional(
      net::InferResponse{.model = model, .version = std::to_string(served.version), .id = request.id, .outputs = *std::move(tensors)});
}

Result<Json> model_metadata(Service& service, const std::string& model, std::int64_t version) {
  SIGHTLINE_TRY(const std::optional<Repository::Lease> lease, service.repository.lease(model, version));
  if (!lease) return Error{ErrorKind::interrupted, "too many requests of this model are under way"};
  Json versions = Json::array();
  for (const std::int64_t each : service.repository.versions(model)) versions.push_back(std::to_string(each));
  return Json{{"name", model},
              {"versions", versions},
              {"platform", "sightline_onnx"},
              {"inputs", described(lease->model().graph().inputs)},
              {"outputs", described(lease->model().graph().outputs)}};
}

Json server_metadata() {
  return {{"name", "sightline"},
          {"version", version},
          {"extensions", {"binary_tensor_data", "classification", "model_configuration", "model_repository", "statistics"}}};
}

Json repository_index(const Service& service, bool ready_only) {
  Json list = Json::array();
  for (const Repository::Status& status : service.repository.index()) {
    // What is not in memory is loaded when it is asked for, so it is ready, too.
    const bool ready = status.state == Repository::State::ready || (status.state == Repository::State::unloaded && !status.kept_away);
    if (ready_only && !ready) continue;
    Json one{{"name", status.name}, {"version", std::to_string(status.version)}};
    one["state"] = ready ? "READY" : status.state == Repository::State::loading ? "LOADING" : "UNAVAILABLE";
    one["reason"] = status.kept_away ? "unloaded" : status.reason;
    list.push_back(std::move(one));
  }
  return list;
}

Result<Json> model_statistics(const Service& service, const std::string& model, const std::string& version) {
  SIGHTLINE_TRY(const std::int64_t number, version_of(version));
  if (!model.empty() && !service.repository.knows(model, number)) return Error{ErrorKind::not_found, "there is no such model"};
  return service.metrics.statistics(model, number);
}

Result<void> load_model(Service& service, const net::Caller& caller, const std::string& model) {
  service.audit(caller, "load " + model);
  SIGHTLINE_CHECK(service.repository.refresh());
  return service.repository.load(model);
}

Result<void> unload_model(Service& service, const net::Caller& caller, const std::string& model) {
  service.audit(caller, "unload " + model);
  return service.repository.unload(model);
}

net::Response busy_response() {
  net::Response response = net::json_response({{"error", "too many requests of this model are under way"}}, 429);
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

net::InferenceFunctions inference_functions(Service& service) {
  return {.server_metadata = server_metadata,
          .ready =
              [&service](const std::string& model, const std::string& text) {
                const Result<std::int64_t> version = version_of(text);
                return version.ok() && service.repository.ready(model, *version);
              },
          .metadata = [&service](const std::string& model, const std::string& text) -> Result<Json> {
            SIGHTLINE_TRY(const std::int64_t version, version_of(text));
            return model_metadata(service, model, version);
          },
          .statistics = [&service](const std::string& model, const std::string& text) { return model_statistics(service, model, text); },
          .infer = [&service](const net::Caller& caller, const std::string& model, const std::string& text,
                              const net::InferRequest& request) -> Result<std::optional<net::InferResponse>> {
            SIGHTLINE_TRY(const std::int64_t version, version_of(text));
            return infer(service, model, version, request, draw_of(caller.trace));
          },
          .index = [&service](bool ready_only) { return repository_index(service, ready_only); },
          .load = [&service](const net::Caller& caller, const std::string& model) { return load_model(service, caller, model); },
          .unload = [&service](const net::Caller& caller, const std::string& model) { return unload_model(service, caller, model); }};
}

std::vector<net::Route> protocol_routes(Service& service) {
  using net::Scope;
  std::vector<net::Route> routes;
  const auto add = [&](net::Route one, bool quick = false) {
    one.quick = quick;
    routes.push_back(std::move(one));
  };
  add(route("GET", "/v2/health/live", Scope::open, "Whether the server lives",
            [](const net::Request&) -> Result<net::Response> {
              return net::json_response({{"live", true}});
            }),
      true);
  add(route("GET", "/v2/health/ready", Scope::open, "Whether the server takes requests",
            [](const net::Request&) -> Result<net::Response> {
              return net::json_response({{"ready", true}});
            }),
      true);
  add(route("GET", "/v2", Scope::read, "Name, version and protocol extensions of the server",
            [](const net::Request&) -> Result<net::Response> { return net::json_response(server_metadata()); }),
      true);
  add(route("GET", "/v2/models/stats", Scope::read, "Statistics of all models that were asked",
            [&service](const net::Request& request) { return statistics_route(service, request); }));
  for (const std::string at : {"/v2/models/{model}", "/v2/models/{model}/versions/{version}"}) {
    add(route("GET", at, Scope::read, "Versions, inputs and outputs of a model",
              [&service](const net::Request& request) -> Result<net::Response> {
                SIGHTLINE_TRY(const std::int64_t version, version_of(request.parameter("version")));
                SIGHTLINE_TRY(const Json metadata, model_metadata(service, request.parameter("model"), version));
                return net::json_response(metadata);
              }));
    add(route("GET", at + "/ready", Scope::open, "Whether a model can be asked",
              [&service](const net::Request& request) { return ready_route(service, request); }));
    add(route("POST", at + "/infer", Scope::infer, "Tensors in, tensors out (JSON, or raw bytes after a JSON header)",
              [&service](const net::Request& request) { return infer_route(service, request); }));
    add(route("GET", at + "/config", Scope::read, "A model's configuration in Triton's words",
              [&service](const net::Request& request) { return config_route(service, request); }));
    add(route("GET", at + "/stats", Scope::read, "How often a model was asked, and how long each stage took",
              [&service](const net::Request& request) { return statistics_route(service, request); }));
  }
  add(route("POST", "/v2/repository/index", Scope::read, "All models and versions with their state",
            [&service](const net::Request& request) -> Result<net::Response> {
              bool ready = false;
              if (!request.body.empty()) {
                SIGHTLINE_TRY(const Json body, parse_json(request.body, "the request"));
                if (body.is_object() && body.contains("ready")) SIGHTLINE_CHECK(from_json(body["ready"], ready, "ready"));
              }
              return net::json_response(repository_index(service, ready));
            }));
  add(route("POST", "/v2/repository/models/{model}/load", Scope::admin, "Loads a model now",
            [&service](const net::Request& request) -> Result<net::Response> {
              SIGHTLINE_CHECK(load_model(service, request.caller, request.parameter("model")));
              return net::json_response(Json::object());
            }));
  add(route("POST", "/v2/repository/models/{model}/unload", Scope::admin, "Unloads a model; it is not asked until it is loaded again",
            [&service](const net::Request& request) -> Result<net::Response> {
              SIGHTLINE_CHECK(unload_model(service, request.caller, request.parameter("model")));
              return net::json_response(Json::object());
            }));
  return routes;
}

}  // namespace sightline::serving
