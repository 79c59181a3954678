// What a server offers of its models: the operations behind the routes, which HTTP and gRPC share.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "net/grpc_server.h"
#include "net/http.h"
#include "net/open_inference.h"
#include "net/server.h"
#include "serving/metrics.h"
#include "serving/repository.h"

namespace sightline::serving {

struct Service {
  Repository& repository;
  Metrics& metrics;
  std::int64_t most_pixels = 50'000'000;  // of a picture
  // A line for each thing that an administrator does: who, what.
  std::function<void(const net::Caller& caller, const std::string& what)> audit = [](const net::Caller&, const std::string&) {};
  std::function<net::Server::Load()> load = [] { return net::Server::Load{}; };
};

// What HTTP answers when too many requests of a model are under way: 429, to be tried again.
net::Response busy_response();

// The version that a path names; 0 for "". Error not_found: it is no number.
Result<std::int64_t> version_of(const std::string& text);
// Of a request, for canaries: the same for the same trace.
double draw_of(const std::string& trace);

// Runs the graph on tensors as they are. Nothing: too many requests of the model are under way. Errors: not_found; invalid_data,
// unsupported (what does not fit the model's signature, in words); interrupted (waited too long).
Result<std::optional<net::InferResponse>> infer(Service& service, const std::string& model, std::int64_t version,
                                                const net::InferRequest& request, double draw);
// Triton's statistics of a model, of one of its versions, or of all models (""). Error not_found.
Result<Json> model_statistics(const Service& service, const std::string& model, const std::string& version);
// Errors: not_found, those of loading.
Result<void> load_model(Service& service, const net::Caller& caller, const std::string& model);
Result<void> unload_model(Service& service, const net::Caller& caller, const std::string& model);
// Open Inference Protocol's metadata of a model. Loads it. Errors: not_found, those of loading.
Result<Json> model_metadata(Service& service, const std::string& model, std::int64_t version);
// Triton's repository index.
Json repository_index(const Service& service, bool ready_only);
Json server_metadata();

// /v2: Open Inference Protocol with Triton's extensions (binary tensors, classification, repository, statistics, configuration).
std::vector<net::Route> protocol_routes(Service& service);
// The same for gRPC.
net::InferenceFunctions inference_functions(Service& service);
// /v1: pictures in, answers in the task's own words; traffic between versions; /metrics.
std::vector<net::Route> picture_routes(Service& service);

}  // namespace sightline::serving
