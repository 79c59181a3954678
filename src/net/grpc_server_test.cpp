#include "net/grpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstring>
#include <mutex>

#include "base/temporary_folder.h"
#include "inference.grpc.pb.h"

namespace sightline::net {
namespace {

using ::testing::HasSubstr;

// Adds one to each number of the model "adder".
InferenceFunctions functions() {
  InferenceFunctions all;
  all.server_metadata = [] { return Json{{"name", "sightline"}, {"version", "1"}, {"extensions", {"statistics"}}}; };
  all.ready = [](const std::string& model, const std::string&) { return model == "adder"; };
  all.metadata = [](const std::string& model, const std::string&) -> Result<Json> {
    if (model != "adder") return Error{ErrorKind::not_found, "there is no model \"" + model + "\""};
    return Json{
        {"name", model}, {"versions", {"1"}}, {"platform", "p"}, {"inputs", {{{"name", "x"}, {"datatype", "FP32"}, {"shape", {-1, 2}}}}}};
  };
  all.statistics = [](const std::string&, const std::string&) -> Result<Json> {
    return Json{{"model_stats",
                 {{{"name", "adder"}, {"inference_count", 7}, {"inference_stats", {{"success", {{"count", 7}, {"ns", 9000000000}}}}}}}}};
  };
  all.infer = [](const Caller&, const std::string& model, const std::string&,
                 const InferRequest& request) -> Result<std::optional<InferResponse>> {
    if (model == "busy") return std::optional<InferResponse>();
    if (model == "secret") return Error{ErrorKind::internal, "/secret/path"};
    InferResponse response{.model = model, .version = "1", .id = request.id};
    response.outputs.push_back(
        {.name = "y", .datatype = "FP32", .shape = request.inputs[0].shape, .own = std::string(request.inputs[0].bytes())});
    for (std::size_t at = 0; at < response.outputs[0].own.size(); at += 4) {
      float value = 0;
      std::memcpy(&value, response.outputs[0].own.data() + at, 4);
      ++value;
      std::memcpy(response.outputs[0].own.data() + at, &value, 4);
    }
    return std::optional(response);
  };
  all.index = [](bool ready) { return ready ? Json::array() : Json{{{"name", "adder"}, {"version", "1"}, {"state", "READY"}}}; };
  all.load = [](const Caller&, const std::string&) -> Result<void> { return {}; };
  all.unload = [](const Caller&, const std::string& model) -> Result<void> {
    return Error{ErrorKind::not_found, "there is no model \"" + model + "\""};
  };
  return all;
}

struct Client {
  explicit Client(const GrpcServer& server)
      : stub(inference::GRPCInferenceService::NewStub(
            grpc::CreateChannel("127.0.0.1:" + std::to_string(server.port()), grpc::InsecureChannelCredentials()))) {}
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub;
  std::string token;

  template <class Answer, class Asked>
  grpc::Status call(grpc::Status (inference::GRPCInferenceService::Stub::*rpc)(grpc::ClientContext*, const Asked&, Answer*),
                    const Asked& asked, Answer& answer) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
    return (stub.get()->*rpc)(&context, asked, &answer);
  }
  grpc::Status infer(const inference::ModelInferRequest& asked, inference::ModelInferResponse& answer) const {
    return call(&inference::GRPCInferenceService::Stub::ModelInfer, asked, answer);
  }
};

inference::ModelInferRequest adding(const std::string& model) {
  inference::ModelInferRequest asked;
  asked.set_model_name(model);
  asked.set_id("42");
  auto& input = *asked.add_inputs();
  input.set_name("x");
  input.set_datatype("FP32");
  input.add_shape(1);
  input.add_shape(2);
  return asked;
}

TEST(GrpcServer, AnswersEveryCall) {
  const auto server = GrpcServer::start({}, functions());
  ASSERT_TRUE(server.ok()) << server.error().message;
  const Client client(*server);
  using Stub = inference::GRPCInferenceService::Stub;
  inference::ServerLiveResponse live;
  EXPECT_TRUE(client.call(&Stub::ServerLive, inference::ServerLiveRequest(), live).ok() && live.live());
  inference::ServerReadyResponse ready;
  EXPECT_TRUE(client.call(&Stub::ServerReady, inference::ServerReadyRequest(), ready).ok() && ready.ready());
  inference::ModelReadyRequest model;
  model.set_name("adder");
  inference::ModelReadyResponse model_ready;
  EXPECT_TRUE(client.call(&Stub::ModelReady, model, model_ready).ok() && model_ready.ready());
  inference::ServerMetadataResponse metadata;
  EXPECT_TRUE(client.call(&Stub::ServerMetadata, inference::ServerMetadataRequest(), metadata).ok());
  EXPECT_EQ(metadata.name(), "sightline");
  inference::ModelMetadataRequest of_model;
  of_model.set_name("adder");
  inference::ModelMetadataResponse described;
  EXPECT_TRUE(client.call(&Stub::ModelMetadata, of_model, described).ok());
  ASSERT_EQ(described.inputs_size(), 1);
  EXPECT_EQ(described.inputs(0).shape(0), -1);
  of_model.set_name("none");
  EXPECT_EQ(client.call(&Stub::ModelMetadata, of_model, described).error_code(), grpc::StatusCode::NOT_FOUND);
  inference::ModelStatisticsResponse statistics;
  EXPECT_TRUE(client.call(&Stub::ModelStatistics, inference::ModelStatisticsRequest(), statistics).ok());
  ASSERT_EQ(statistics.model_stats_size(), 1);
  EXPECT_EQ(statistics.model_stats(0).inference_stats().success().ns(), 9000000000U);
  inference::RepositoryIndexResponse index;
  EXPECT_TRUE(client.call(&Stub::RepositoryIndex, inference::RepositoryIndexRequest(), index).ok());
  EXPECT_EQ(index.models(0).state(), "READY");
  inference::RepositoryModelLoadResponse loaded;
  EXPECT_TRUE(client.call(&Stub::RepositoryModelLoad, inference::RepositoryModelLoadRequest(), loaded).ok());
  inference::RepositoryModelUnloadResponse unloaded;
  EXPECT_EQ(client.call(&Stub::RepositoryModelUnload, inference::RepositoryModelUnloadRequest(), unloaded).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST(GrpcServer, InfersFromRawBytesAndFromTypedFields) {
  const auto server = GrpcServer::start({}, functions());
  ASSERT_TRUE(server.ok());
  const Client client(*server);
  const float values[] = {1, 2};
  inference::ModelInferRequest raw = adding("adder"), typed = adding("adder");
  raw.add_raw_input_contents(values, sizeof values);
  for (const float value : values) typed.mutable_inputs(0)->mutable_contents()->add_fp32_contents(value);
  for (const inference::ModelInferRequest& asked : {raw, typed}) {
    inference::ModelInferResponse answer;
    const grpc::Status status = client.infer(asked, answer);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(answer.id(), "42");
    ASSERT_EQ(answer.raw_output_contents_size(), 1);
    float got[2] = {};
    ASSERT_EQ(answer.raw_output_contents(0).size(), sizeof got);
    std::memcpy(got, answer.raw_output_contents(0).data(), sizeof got);
    EXPECT_EQ(got[0], 2);
    EXPECT_EQ(got[1], 3);
  }
}

TEST(GrpcServer, SaysWhatIsWrongAndNothingOfTheMachine) {
  const auto server = GrpcServer::start({}, functions());
  ASSERT_TRUE(server.ok());
  const Client client(*server);
  inference::ModelInferResponse answer;
  inference::ModelInferRequest asked = adding("adder");
  EXPECT_THAT(client.infer(asked, answer).error_message(), HasSubstr("0 bytes"));
  asked.add_raw_input_contents("abc");
  EXPECT_EQ(client.infer(asked, answer).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  asked.add_raw_input_contents("abc");
  EXPECT_THAT(client.infer(asked, answer).error_message(), HasSubstr("2 raw_input_contents"));
  for (const char* model : {"busy", "secret"}) {
    inference::ModelInferRequest whole = adding(model);
    whole.add_raw_input_contents(std::string(8, '\0'));
    const grpc::Status status = client.infer(whole, answer);
    EXPECT_EQ(status.error_code(), model == std::string("busy") ? grpc::StatusCode::RESOURCE_EXHAUSTED : grpc::StatusCode::INTERNAL);
    EXPECT_THAT(status.error_message(), ::testing::Not(HasSubstr("secret")));
  }
}

TEST(GrpcServer, AsksForTokensAndTakesNoPortTwice) {
  const TemporaryFolder folder;
  const std::string file = folder.path() + "/tokens.json";
  const std::string reader = *add_token(file, "reader", "read"), camera = *add_token(file, "camera", "infer");
  std::mutex mutex;
  std::vector<Exchange> exchanges;
  GrpcOptions options;
  options.tokens = *Tokens::read(file);
  options.on_exchange = [&](const Exchange& exchange) {
    const std::scoped_lock lock(mutex);
    exchanges.push_back(exchange);
  };
  const auto server = GrpcServer::start(options, functions());
  ASSERT_TRUE(server.ok());
  Client client(*server);
  inference::ModelInferRequest asked = adding("adder");
  asked.add_raw_input_contents(std::string(8, '\0'));
  inference::ModelInferResponse answer;
  EXPECT_EQ(client.infer(asked, answer).error_code(), grpc::StatusCode::UNAUTHENTICATED);
  client.token = reader;
  EXPECT_EQ(client.infer(asked, answer).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  client.token = camera;
  EXPECT_TRUE(client.infer(asked, answer).ok());
  {
    const std::scoped_lock lock(mutex);
    ASSERT_EQ(exchanges.size(), 3U);
    EXPECT_EQ(exchanges[2].who, "camera");
    EXPECT_EQ(exchanges[2].route, "ModelInfer");
    EXPECT_EQ(exchanges[1].status, 403);
  }
  GrpcOptions taken;
  taken.port = server->port();
  EXPECT_EQ(GrpcServer::start(taken, functions()).error().kind, ErrorKind::io);
}

}  // namespace
}  // namespace sightline::net
