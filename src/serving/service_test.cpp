// The protocol, case by case, over the real server.
#include "serving/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/base64.h"
#include "base/temporary_folder.h"
#include "net/client_for_test.h"
#include "serving/packages_for_test.h"

namespace sightline::serving {
namespace {

using ::testing::HasSubstr;

class Serving : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(write_test_package(root_.path() + "/apparel", "apparel").ok());
    ASSERT_TRUE(write_test_package(root_.path() + "/two/1", "two", 5).ok());
    ASSERT_TRUE(write_test_package(root_.path() + "/two/2", "two", 6).ok());
    repository_ = *Repository::open(*folder_catalogue(root_.path()), {});
    service_ = std::make_unique<Service>(Service{.repository = *repository_, .metrics = metrics_, .most_pixels = 10'000});
    std::vector<net::Route> routes = protocol_routes(*service_);
    for (net::Route& route : picture_routes(*service_)) routes.push_back(std::move(route));
    net::ServerOptions options;
    options.on_exchange = [&](const net::Exchange& exchange) { metrics_.exchanged(exchange); };
    auto started = net::Server::start(std::move(options), std::move(routes));
    ASSERT_TRUE(started.ok()) << started.error().message;
    server_.emplace(*std::move(started));
  }

  std::string send(const std::string& method, const std::string& path, const std::string& body = "", const std::string& more = "") {
    net::TestClient client(server_->port());
    client.send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n" + more + "Content-Length: " + std::to_string(body.size()) +
                "\r\n\r\n" + body);
    return client.answer();
  }
  Json json(const std::string& answer) { return Json::parse(net::body_of(answer), nullptr, false); }
  Json get(const std::string& path) { return json(send("GET", path)); }

  std::string input() const {
    Json message{{"id", "42"}, {"inputs", {{{"name", "image"}, {"datatype", "UINT8"}, {"shape", {1, 12, 12, 3}}}}}};
    message["inputs"][0]["data"] = std::vector<int>(432, 7);
    return message.dump();
  }

  TemporaryFolder root_;
  Metrics metrics_;
  std::unique_ptr<Repository> repository_;
  std::unique_ptr<Service> service_;
  std::optional<net::Server> server_;
};

TEST_F(Serving, HealthAndMetadata) {
  for (const char* path : {"/v2/health/live", "/v2/health/ready", "/v2/models/apparel/ready", "/v2/models/two/versions/1/ready"})
    EXPECT_EQ(net::status_of(send("GET", path)), 200) << path;
  EXPECT_EQ(net::status_of(send("GET", "/v2/models/none/ready")), 404);
  EXPECT_EQ(net::status_of(send("GET", "/v2/models/two/versions/9/ready")), 404);
  EXPECT_EQ(net::status_of(send("GET", "/v2/models/two/versions/x/ready")), 404);
  EXPECT_EQ(get("/v2")["name"], "sightline");
  EXPECT_THAT(get("/v2")["extensions"].dump(), HasSubstr("binary_tensor_data"));
  const Json metadata = get("/v2/models/two");
  EXPECT_EQ(metadata["versions"], Json({"1", "2"}));
  EXPECT_EQ(metadata["inputs"][0], Json({{"name", "image"}, {"datatype", "UINT8"}, {"shape", {-1, 12, 12, 3}}}));
  EXPECT_EQ(metadata["outputs"][0]["datatype"], "FP32");
  EXPECT_EQ(get("/v2/models/apparel/config")["input"][0]["dims"], Json({12, 12, 3}));
  EXPECT_EQ(net::status_of(send("GET", "/v2/models/none")), 404);
}

TEST_F(Serving, InfersWithJsonAndWithRawBytes) {
  const Json answer = json(send("POST", "/v2/models/apparel/infer", input()));
  EXPECT_EQ(answer["id"], "42");
  EXPECT_EQ(answer["model_version"], "1");
  ASSERT_EQ(answer["outputs"][0]["data"].size(), 3U) << answer;

  net::InferRequest request;
  request.inputs.push_back({.name = "image", .datatype = "UINT8", .shape = {2, 12, 12, 3}, .own = std::string(864, '\x07')});
  request.binary_output = true;
  std::string length;
  const std::string body = net::write_infer_request(request, true, length);
  const std::string raw = send("POST", "/v2/models/apparel/infer", body, "Inference-Header-Content-Length: " + length + "\r\n");
  ASSERT_EQ(net::status_of(raw), 200) << raw;
  const std::size_t at = raw.find("Inference-Header-Content-Length: ");
  ASSERT_NE(at, std::string::npos);
  const std::string bytes = net::body_of(raw);
  const auto parsed = net::parse_infer_response(bytes, std::to_string(std::stoul(raw.substr(at + 33))));
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->outputs[0].shape, std::vector<std::int64_t>({2, 3}));
  for (int row = 0; row < 2; ++row) {
    for (int k = 0; k < 3; ++k) {
      float value = 0;
      std::memcpy(&value, parsed->outputs[0].bytes().data() + 4 * (3 * row + k), 4);
      EXPECT_NEAR(value, answer["outputs"][0]["data"][static_cast<std::size_t>(k)].get<double>(), 1e-6);
    }
  }
  const Json first = json(send("POST", "/v2/models/two/versions/1/infer", input())),
             second = json(send("POST", "/v2/models/two/infer", input()));
  EXPECT_EQ(second["model_version"], "2");
  EXPECT_NE(first["outputs"], second["outputs"]);
}

TEST_F(Serving, Classifies) {
  Json message = Json::parse(input());
  message["outputs"] = {{{"name", "probabilities"}, {"parameters", {{"classification", 2}}}}};
  const Json answer = json(send("POST", "/v2/models/apparel/infer", message.dump()));
  EXPECT_EQ(answer["outputs"][0]["datatype"], "BYTES");
  EXPECT_EQ(answer["outputs"][0]["shape"], Json({1, 2}));
  EXPECT_THAT(answer["outputs"][0]["data"][0].get<std::string>(), ::testing::MatchesRegex("0\\.[0-9]+:[0-2]:(shirt|boot|hat)"));
}

TEST_F(Serving, SaysWhatIsWrongWithARequest) {
  const auto changed = [&](const std::function<void(Json&)>& change) {
    Json message = Json::parse(input());
    change(message);
    const std::string answer = send("POST", "/v2/models/apparel/infer", message.dump());
    EXPECT_EQ(net::status_of(answer), 400) << answer;
    return json(answer)["error"].get<std::string>();
  };
  EXPECT_THAT(changed([](Json& m) { m["inputs"][0]["name"] = "picture"; }), HasSubstr("\"image\" is missing"));
  EXPECT_THAT(changed([](Json& m) { m["inputs"][0]["datatype"] = "INT8"; }), HasSubstr("wants UINT8"));
  EXPECT_THAT(changed([](Json& m) { m["inputs"][0]["shape"] = {1, 432}; }), HasSubstr("wants N×12×12×3"));
  EXPECT_THAT(changed([](Json& m) { m["inputs"].push_back(m["inputs"][0]); }), HasSubstr("more than once"));
  EXPECT_THAT(changed([](Json& m) { m["outputs"] = {{{"name", "scores"}}}; }), HasSubstr("no output \"scores\""));
  EXPECT_THAT(changed([](Json& m) { m.erase("inputs"); }), HasSubstr("\"inputs\""));
  EXPECT_EQ(net::status_of(send("POST", "/v2/models/apparel/infer", "{")), 400);
  EXPECT_EQ(net::status_of(send("POST", "/v2/models/apparel/infer", "")), 400);
  EXPECT_EQ(net::status_of(send("POST", "/v2/models/none/infer", input())), 404);
  EXPECT_EQ(net::status_of(send("POST", "/v2/models/two/versions/7/infer", input())), 404);
  EXPECT_EQ(net::status_of(send("GET", "/v2/models/apparel/infer")), 405);
}

TEST_F(Serving, RepositoryExtension) {
  EXPECT_EQ(json(send("POST", "/v2/repository/index")).size(), 3U);
  EXPECT_EQ(net::status_of(send("POST", "/v2/repository/models/apparel/unload")), 200);
  EXPECT_EQ(net::status_of(send("POST", "/v2/models/apparel/infer", input())), 404);
  EXPECT_EQ(json(send("POST", "/v2/repository/index", R"({"ready": true})")).size(), 2U);
  EXPECT_EQ(net::status_of(send("POST", "/v2/repository/models/apparel/load")), 200);
  EXPECT_EQ(net::status_of(send("POST", "/v2/models/apparel/infer", input())), 200);
  EXPECT_EQ(net::status_of(send("POST", "/v2/repository/models/none/load")), 404);
}

TEST_F(Serving, StatisticsAndMetrics) {
  for (int i = 0; i < 3; ++i) send("POST", "/v2/models/apparel/infer", input());
  send("POST", "/v2/models/apparel/infer", "{\"inputs\": []}");
  const Json stats = get("/v2/models/apparel/stats")["model_stats"][0];
  EXPECT_EQ(stats["inference_count"], 3);
  EXPECT_EQ(stats["inference_stats"]["success"]["count"], 3);
  EXPECT_EQ(stats["inference_stats"]["fail"]["count"], 1);
  EXPECT_EQ(get("/v2/models/stats")["model_stats"].size(), 1U);
  EXPECT_EQ(net::status_of(send("GET", "/v2/models/none/stats")), 404);
  send("POST", "/v1/models/apparel:predict", image::encode_png(test_picture()));
  const std::string text = send("GET", "/metrics");
  EXPECT_THAT(text, HasSubstr("sightline_inferences_total{model=\"apparel\",version=\"1\"} 4"));
  EXPECT_THAT(text, HasSubstr("sightline_http_requests_total{method=\"POST\",route=\"/v2/models/{model}/infer\",status=\"200\"} 3"));
  EXPECT_THAT(text, HasSubstr("sightline_predictions_total{label="));
}

TEST_F(Serving, AnswersPictures) {
  const std::string png = image::encode_png(test_picture());
  const Json answer = json(send("POST", "/v1/models/apparel:predict?top=3", png));
  ASSERT_EQ(answer["classes"].size(), 3U) << answer;
  EXPECT_EQ(answer["version"], 1);
  const Json list = json(send("POST", "/v1/models/apparel:predict?top=3", Json{{"images", {base64(png), base64("no picture")}}}.dump(),
                              "Content-Type: application/json\r\n"));
  EXPECT_EQ(list["answers"][0]["classes"], answer["classes"]);
  EXPECT_TRUE(list["answers"][1].contains("error"));
  const std::string drawn = send("POST", "/v1/models/two/versions/1:predict?draw=1", png);
  EXPECT_THAT(drawn, HasSubstr("Content-Type: image/png"));
  const std::string png_again = net::body_of(drawn);
  EXPECT_TRUE(image::decode(std::as_bytes(std::span(png_again))).ok());
  const Json many = json(send("POST", "/v1/models:predict?models=app*,two&top=3", png));
  EXPECT_EQ(many["answers"]["apparel"]["classes"], answer["classes"]);
  EXPECT_EQ(many["answers"].size(), 2U);

  struct Wrong {
    std::string path, body;
    int status;
  };
  for (const Wrong& wrong :
       {Wrong{"/v1/models/apparel:predict", "no picture", 422}, Wrong{"/v1/models/apparel:predict", "", 400},
        Wrong{"/v1/models/apparel:predict?top=x", png, 400}, Wrong{"/v1/models/apparel:predict?draw=2", png, 400},
        Wrong{"/v1/models/none:predict", png, 404}, Wrong{"/v1/models:predict?models=none", png, 404},
        Wrong{"/v1/models:predict", png, 400}, Wrong{"/v1/models/apparel:predict", image::encode_png(test_picture(1, 200, 200)), 413}})
    EXPECT_EQ(net::status_of(send("POST", wrong.path, wrong.body)), wrong.status) << wrong.path;
}

TEST_F(Serving, ChangesTraffic) {
  EXPECT_EQ(net::status_of(send("PUT", "/v1/models/two/traffic", R"({"pinned": 1, "shadow": 2})")), 200);
  EXPECT_EQ(json(send("POST", "/v1/models/two:predict", image::encode_png(test_picture())))["version"], 1);
  EXPECT_EQ(net::status_of(send("PUT", "/v1/models/two/traffic", R"({"pinned": 8})")), 404);
  EXPECT_EQ(net::status_of(send("PUT", "/v1/models/two/traffic", R"({"pinnned": 1})")), 422);
  EXPECT_EQ(get("/v1/models/two")["traffic"]["shadow"], 2);
  // The shadow is asked after the answer has gone.
  bool shadowed = false;
  for (int i = 0; i < 200 && !shadowed; ++i) {
    shadowed = send("GET", "/metrics").find("sightline_shadow_answers_total{") != std::string::npos;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(shadowed);
}

}  // namespace
}  // namespace sightline::serving
