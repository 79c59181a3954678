#include "net/grpc_server.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <cstring>

#include "base/files.h"
#include "base/log.h"
#include "inference.grpc.pb.h"

namespace sightline::net {
namespace {

using grpc::Status;
using grpc::StatusCode;

struct CodeRow {
  ErrorKind kind;
  StatusCode code;
};
constexpr CodeRow codes[] = {
    {ErrorKind::usage, StatusCode::INVALID_ARGUMENT},
    {ErrorKind::invalid_data, StatusCode::INVALID_ARGUMENT},
    {ErrorKind::not_found, StatusCode::NOT_FOUND},
    {ErrorKind::unsupported, StatusCode::INVALID_ARGUMENT},
    {ErrorKind::io, StatusCode::INTERNAL},
    {ErrorKind::conflict, StatusCode::ALREADY_EXISTS},
    {ErrorKind::refused, StatusCode::RESOURCE_EXHAUSTED},
    {ErrorKind::interrupted, StatusCode::UNAVAILABLE},
    {ErrorKind::internal, StatusCode::INTERNAL},
};

Status status_of(const Error& error) {
  StatusCode code = StatusCode::INTERNAL;
  for (const CodeRow& row : codes) {
    if (row.kind == error.kind) code = row.code;
  }
  if (code != StatusCode::INTERNAL) return {code, error.message};
  log_warning("a request failed: {}", error.message);
  return {code, "the server could not do this; its log says why"};
}

int http_status(const Status& status) {
  switch (status.error_code()) {
    case StatusCode::OK: return 200;
    case StatusCode::INVALID_ARGUMENT: return 400;
    case StatusCode::UNAUTHENTICATED: return 401;
    case StatusCode::PERMISSION_DENIED: return 403;
    case StatusCode::NOT_FOUND: return 404;
    case StatusCode::RESOURCE_EXHAUSTED: return 429;
    case StatusCode::UNAVAILABLE: return 503;
    default: return 500;
  }
}

template <class Parameters>
std::int64_t integer_in(const Parameters& parameters, const char* name) {
  const auto found = parameters.find(name);
  if (found == parameters.end()) return 0;
  const inference::InferParameter& parameter = found->second;
  if (parameter.parameter_choice_case() == inference::InferParameter::kUint64Param)
    return static_cast<std::int64_t>(parameter.uint64_param());
  return parameter.int64_param();
}

template <class T, class Values>
void append_as(const Values& values, std::string& bytes) {
  for (const auto each : values) {
    const T value = static_cast<T>(each);
    char raw[sizeof value];
    std::memcpy(raw, &value, sizeof value);
    bytes.append(raw, sizeof raw);
  }
}

// Elements of typed fields; each datatype has its own.
Result<std::string> bytes_of(const std::string& datatype, const inference::InferTensorContents& contents) {
  std::string bytes;
  if (datatype == "BOOL")
    append_as<std::uint8_t>(contents.bool_contents(), bytes);
  else if (datatype == "INT8")
    append_as<std::int8_t>(contents.int_contents(), bytes);
  else if (datatype == "INT16")
    append_as<std::int16_t>(contents.int_contents(), bytes);
  else if (datatype == "INT32")
    append_as<std::int32_t>(contents.int_contents(), bytes);
  else if (datatype == "INT64")
    append_as<std::int64_t>(contents.int64_contents(), bytes);
  else if (datatype == "UINT8")
    append_as<std::uint8_t>(contents.uint_contents(), bytes);
  else if (datatype == "UINT16")
    append_as<std::uint16_t>(contents.uint_contents(), bytes);
  else if (datatype == "UINT32")
    append_as<std::uint32_t>(contents.uint_contents(), bytes);
  else if (datatype == "UINT64")
    append_as<std::uint64_t>(contents.uint64_contents(), bytes);
  else if (datatype == "FP32")
    append_as<float>(contents.fp32_contents(), bytes);
  else if (datatype == "FP64")
    append_as<double>(contents.fp64_contents(), bytes);
  else
    return Error{ErrorKind::unsupported, fmt::format("tensors of {} come as raw_input_contents", datatype)};
  return bytes;
}

Result<InferRequest> request_of(const inference::ModelInferRequest& message) {
  InferRequest request{.id = message.id()};
  const bool raw = message.raw_input_contents_size() > 0;
  if (raw && message.raw_input_contents_size() != message.inputs_size())
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} raw_input_contents came for {} inputs", message.raw_input_contents_size(), message.inputs_size())};
  for (int i = 0; i < message.inputs_size(); ++i) {
    const auto& input = message.inputs(i);
    WireTensor tensor{.name = input.name(), .datatype = input.datatype(), .shape = {input.shape().begin(), input.shape().end()}};
    if (raw) {
      tensor.raw = message.raw_input_contents(i);
    } else {
      SIGHTLINE_TRY(tensor.own, bytes_of(input.datatype(), input.contents()));
    }
    SIGHTLINE_CHECK(check_tensor(tensor));
    request.inputs.push_back(std::move(tensor));
  }
  for (const auto& output : message.outputs())
    request.outputs.push_back({.name = output.name(), .binary = true, .classes = integer_in(output.parameters(), "classification")});
  request.binary_output = true;
  request.priority = integer_in(message.parameters(), "priority");
  request.timeout_us = integer_in(message.parameters(), "timeout");
  return request;
}

void fill(const InferResponse& response, inference::ModelInferResponse& message) {
  message.set_model_name(response.model);
  message.set_model_version(response.version);
  message.set_id(response.id);
  for (const WireTensor& output : response.outputs) {
    auto& tensor = *message.add_outputs();
    tensor.set_name(output.name);
    tensor.set_datatype(output.datatype);
    for (const std::int64_t size : output.shape) tensor.add_shape(size);
    message.add_raw_output_contents(std::string(output.bytes()));
  }
}

// The messages' fields are called as the keys are.
Status fill_from(const Json& json, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto parsed = google::protobuf::util::JsonStringToMessage(json_text(json), &message, options);
  return parsed.ok() ? Status::OK : status_of({ErrorKind::internal, "an answer has no form in gRPC"});
}

Status fill_from(const Result<Json>& json, google::protobuf::Message& message) {
  return json.ok() ? fill_from(*json, message) : status_of(json.error());
}

class Service final : public inference::GRPCInferenceService::Service {
 public:
  Service(GrpcOptions options, InferenceFunctions functions) : options_(std::move(options)), functions_(std::move(functions)) {}

  Status ServerLive(grpc::ServerContext* context, const inference::ServerLiveRequest*, inference::ServerLiveResponse* answer) override {
    return counted(context, "ServerLive", Scope::open, [&](const Caller&) {
      answer->set_live(true);
      return Status::OK;
    });
  }
  Status ServerReady(grpc::ServerContext* context, const inference::ServerReadyRequest*, inference::ServerReadyResponse* answer) override {
    return counted(context, "ServerReady", Scope::open, [&](const Caller&) {
      answer->set_ready(true);
      return Status::OK;
    });
  }
  Status ModelReady(grpc::ServerContext* context, const inference::ModelReadyRequest* asked,
                    inference::ModelReadyResponse* answer) override {
    return counted(context, "ModelReady", Scope::open, [&](const Caller&) {
      answer->set_ready(functions_.ready(asked->name(), asked->version()));
      return Status::OK;
    });
  }
  Status ServerMetadata(grpc::ServerContext* context, const inference::ServerMetadataRequest*,
                        inference::ServerMetadataResponse* answer) override {
    return counted(context, "ServerMetadata", Scope::read, [&](const Caller&) { return fill_from(functions_.server_metadata(), *answer); });
  }
  Status ModelMetadata(grpc::ServerContext* context, const inference::ModelMetadataRequest* asked,
                       inference::ModelMetadataResponse* answer) override {
    return counted(context, "ModelMetadata", Scope::read,
                   [&](const Caller&) { return fill_from(functions_.metadata(asked->name(), asked->version()), *answer); });
  }
  Status ModelStatistics(grpc::ServerContext* context, const inference::ModelStatisticsRequest* asked,
                         inference::ModelStatisticsResponse* answer) override {
    return counted(context, "ModelStatistics", Scope::read,
                   [&](const Caller&) { return fill_from(functions_.statistics(asked->name(), asked->version()), *answer); });
  }
  Status ModelInfer(grpc::ServerContext* context, const inference::ModelInferRequest* asked,
                    inference::ModelInferResponse* answer) override {
    return counted(context, "ModelInfer", Scope::infer, [&](const Caller& caller) {
      Result<InferRequest> request = request_of(*asked);
      if (!request.ok()) return status_of(request.error());
      const auto left = std::chrono::duration_cast<std::chrono::microseconds>(context->deadline() - std::chrono::system_clock::now());
      // A client that will not wait need not be worked for.
      if (request->timeout_us == 0 && left < std::chrono::hours(1)) request->timeout_us = std::max<std::int64_t>(1, left.count());
      const Result<std::optional<InferResponse>> response = functions_.infer(caller, asked->model_name(), asked->model_version(), *request);
      if (!response.ok()) return status_of(response.error());
      if (!*response) return Status(StatusCode::RESOURCE_EXHAUSTED, "too many requests of this model are under way");
      fill(**response, *answer);
      return Status::OK;
    });
  }
  Status RepositoryIndex(grpc::ServerContext* context, const inference::RepositoryIndexRequest* asked,
                         inference::RepositoryIndexResponse* answer) override {
    return counted(context, "RepositoryIndex", Scope::read, [&](const Caller&) {
      return fill_from(Json{{"models", functions_.index(asked->ready())}}, *answer);
    });
  }
  Status RepositoryModelLoad(grpc::ServerContext* context, const inference::RepositoryModelLoadRequest* asked,
                             inference::RepositoryModelLoadResponse*) override {
    return counted(context, "RepositoryModelLoad", Scope::admin, [&](const Caller& caller) {
      const Result<void> status = functions_.load(caller, asked->model_name());
      return status.ok() ? Status::OK : status_of(status.error());
    });
  }
  Status RepositoryModelUnload(grpc::ServerContext* context, const inference::RepositoryModelUnloadRequest* asked,
                               inference::RepositoryModelUnloadResponse*) override {
    return counted(context, "RepositoryModelUnload", Scope::admin, [&](const Caller& caller) {
      const Result<void> status = functions_.unload(caller, asked->model_name());
      return status.ok() ? Status::OK : status_of(status.error());
    });
  }

 private:
  static std::string sent(const grpc::ServerContext* context, const char* name) {
    const auto found = context->client_metadata().find(name);
    return found == context->client_metadata().end() ? "" : std::string(found->second.data(), found->second.size());
  }

  Status allowed(const grpc::ServerContext* context, Scope scope, Caller& caller) const {
    if (options_.tokens.empty()) return Status::OK;
    const auto holder = options_.tokens.holder(sent(context, "authorization"));
    if (holder) caller.who = holder->name;
    if (scope == Scope::open) return Status::OK;
    if (!holder) return {StatusCode::UNAUTHENTICATED, "a token is wanted: authorization: Bearer SECRET"};
    if (holder->scope < scope) return {StatusCode::PERMISSION_DENIED, "this token does not allow that"};
    return Status::OK;
  }

  template <class Body>
  Status counted(const grpc::ServerContext* context, const char* name, Scope scope, Body&& body) {
    const auto begun = std::chrono::steady_clock::now();
    Caller caller{.peer = context->peer(), .trace = trace_of(sent(context, "traceparent"))};
    Status status = allowed(context, scope, caller);
    if (status.ok()) {
      try {
        status = body(caller);
      } catch (const std::exception& caught) {
        status = status_of({ErrorKind::internal, caught.what()});
      }
    }
    if (options_.on_exchange)
      options_.on_exchange({.trace = caller.trace,
                            .peer = caller.peer,
                            .who = caller.who,
                            .method = "GRPC",
                            .path = name,
                            .route = name,
                            .status = http_status(status),
                            .seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()});
    return status;
  }

  GrpcOptions options_;
  InferenceFunctions functions_;
};

}  // namespace

struct GrpcServer::State {
  std::unique_ptr<Service> service;
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

GrpcServer::GrpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
GrpcServer::GrpcServer(GrpcServer&&) noexcept = default;
GrpcServer& GrpcServer::operator=(GrpcServer&&) noexcept = default;
GrpcServer::~GrpcServer() {
  if (state_) drain(std::chrono::milliseconds(0));
}

Result<GrpcServer> GrpcServer::start(GrpcOptions options, InferenceFunctions functions) {
  gpr_set_log_function([](gpr_log_func_args* args) { log_debug("gRPC: {}", args->message); });  // it would print what we say ourselves
  auto credentials = grpc::InsecureServerCredentials();
  if (!options.certificate.empty()) {
    SIGHTLINE_TRY(const std::string certificate, read_file(options.certificate));
    SIGHTLINE_TRY(const std::string key, read_file(options.key));
    grpc::SslServerCredentialsOptions tls;
    tls.pem_key_cert_pairs.push_back({key, certificate});
    credentials = grpc::SslServerCredentials(tls);
  }
  auto state = std::make_unique<State>();
  grpc::ServerBuilder builder;
  grpc::ResourceQuota quota("sightline");
  quota.SetMaxThreads(options.workers + 4);
  builder.SetResourceQuota(quota);
  builder.SetMaxReceiveMessageSize(static_cast<int>(std::min<std::uint64_t>(options.most_message, INT32_MAX)));
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a port that is taken is an error
  const std::string address =
      fmt::format("{}:{}", options.address.find(':') == std::string::npos ? options.address : "[" + options.address + "]", options.port);
  builder.AddListeningPort(address, credentials, &state->port);
  state->service = std::make_unique<Service>(std::move(options), std::move(functions));
  builder.RegisterService(state->service.get());
  state->server = builder.BuildAndStart();
  if (state->server == nullptr || state->port == 0)
    return Error{ErrorKind::io, fmt::format("cannot listen for gRPC on {}: the port is taken, or certificate and key are none", address)};
  return GrpcServer(std::move(state));
}

std::uint16_t GrpcServer::port() const { return static_cast<std::uint16_t>(state_->port); }

void GrpcServer::drain(std::chrono::milliseconds patience) {
  if (state_->server == nullptr) return;
  state_->server->Shutdown(std::chrono::system_clock::now() + patience);
  state_->server->Wait();
  state_->server.reset();
}

}  // namespace sightline::net
