// inference.GRPCInferenceService (inference.proto): the same operations as over HTTP, for clients that speak gRPC. Knows no models: what it
// is asked goes to functions. The only place that includes gRPC.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/json.h"
#include "net/open_inference.h"
#include "net/server.h"
#include "net/tokens.h"

namespace sightline::net {

// Answers are JSON as over HTTP, with the same names as the messages' fields. Called by any number of threads.
struct InferenceFunctions {
  std::function<Json()> server_metadata;
  std::function<bool(const std::string& model, const std::string& version)> ready;
  std::function<Result<Json>(const std::string&model, const std::string&version)> metadata, statistics;
  // Nothing: too many requests of the model are under way.
  std::function<Result<std::optional<InferResponse>>(const Caller&, const std::string& model, const std::string& version,
                                                     const InferRequest&)>
      infer;
  std::function<Json(bool ready_only)> index;
  std::function<Result<void>(const Caller&, const std::string&model)> load, unload;
};

struct GrpcOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  // 0: a free one
  std::uint64_t most_message = 64 << 20U;
  int workers = 32;
  std::string certificate, key;                      // PEM files; "": no TLS
  Tokens tokens;                                     // "authorization: Bearer SECRET" as metadata; none: everybody may do everything
  std::function<void(const Exchange&)> on_exchange;  // method "GRPC", the rpc's name as path and route, an HTTP status
};

class GrpcServer {
 public:
  // Errors: io (port, certificate). That an address is open to others only with tokens and TLS is the caller's to see to.
  static Result<GrpcServer> start(GrpcOptions options, InferenceFunctions functions);
  GrpcServer(GrpcServer&&) noexcept;
  GrpcServer& operator=(GrpcServer&&) noexcept;
  ~GrpcServer();  // drains without patience

  std::uint16_t port() const;
  void drain(std::chrono::milliseconds patience);

 private:
  struct State;
  explicit GrpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace sightline::net
