// Asks a server as hard as it can, by many clients at the same time, and says how it answered; and runs the same network without a server.
//   sightline-serve-load infer PORT MODEL FILE.onnx CLIENTS SECONDS      the network's input as raw bytes (Open Inference Protocol)
//   sightline-serve-load pictures PORT PATH CLIENTS SECONDS FILE …       POST PATH with pictures as bodies, in turn; "{}" in PATH: PATHS
//   below sightline-serve-load own FILE.onnx CLIENTS SECONDS                   the runtime alone, asked by as many threads, one picture
//   each PATHS=FILE: words of which "{}" is one, drawn at random for each request
// One line of JSON: {"requests", "failed", "per_s", "p50_ms", "p99_ms"}.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <thread>

#include "base/files.h"
#include "base/random.h"
#include "base/text.h"
#include "graph/graph.h"
#include "net/client_for_test.h"
#include "net/open_inference.h"
#include "runtime/session.h"

namespace {

using namespace sightline;
using Clock = std::chrono::steady_clock;

struct Outcome {
  std::vector<double> milliseconds;
  std::uint64_t failed = 0;
  double seconds = 0;
};

// Each client asks again and again until the time is over; ask(client) gives whether it was answered.
Outcome press(int clients, double seconds, const std::function<std::function<bool()>(int)>& client_of) {
  std::vector<Outcome> outcomes(static_cast<std::size_t>(clients));
  std::vector<std::thread> threads;
  const auto begun = Clock::now();
  const auto until = begun + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (int i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      const std::function<bool()> ask = client_of(i);
      Outcome& own = outcomes[static_cast<std::size_t>(i)];
      while (Clock::now() < until) {
        const auto asked = Clock::now();
        if (ask()) {
          own.milliseconds.push_back(std::chrono::duration<double, std::milli>(Clock::now() - asked).count());
        } else {
          ++own.failed;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  Outcome all{.seconds = std::chrono::duration<double>(Clock::now() - begun).count()};
  for (const Outcome& own : outcomes) {
    all.milliseconds.insert(all.milliseconds.end(), own.milliseconds.begin(), own.milliseconds.end());
    all.failed += own.failed;
  }
  return all;
}

void print(Outcome outcome) {
  std::ranges::sort(outcome.milliseconds);
  const auto at = [&](double share) {
    if (outcome.milliseconds.empty()) return 0.0;
    return outcome.milliseconds[static_cast<std::size_t>(share * static_cast<double>(outcome.milliseconds.size() - 1))];
  };
  fmt::print("{{\"requests\": {}, \"failed\": {}, \"per_s\": {:.2f}, \"p50_ms\": {:.3f}, \"p99_ms\": {:.3f}}}\n",
             outcome.milliseconds.size(), outcome.failed, static_cast<double>(outcome.milliseconds.size()) / outcome.seconds, at(0.5),
             at(0.99));
}

std::string post(const std::string& path, const std::string& body, const std::string& headers) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}", path, headers, body.size(), body);
}

// Keeps its connection; a new one when the server closed it.
bool ask(std::unique_ptr<net::TestClient>& client, std::uint16_t port, const std::string& request) {
  if (client == nullptr) client = std::make_unique<net::TestClient>(port);
  if (!client->send(request)) {
    client.reset();
    return false;
  }
  const int status = net::status_of(client->answer());
  if (status == 0) client.reset();
  return status == 200;
}

Tensor noise(const graph::ValueInfo& input, std::int64_t rows = 1) {
  Shape shape = input.shape;
  if (!shape.empty() && shape[0] == -1) shape[0] = rows;
  Tensor tensor(input.dtype, shape);
  Random random(7);
  if (input.dtype == Dtype::f32) {
    for (float& value : tensor.values<float>()) value = static_cast<float>(random.normal());
  } else {
    for (std::byte& value : tensor.bytes()) value = static_cast<std::byte>(random.below(256));
  }
  return tensor;
}

Result<void> infer(std::uint16_t port, const std::string& model, const std::string& file, int clients, double seconds) {
  SIGHTLINE_TRY(const graph::Graph graph, graph::read_onnx(file));
  const Tensor input = noise(graph.inputs[0]);
  net::InferRequest request;
  request.inputs.push_back({.name = graph.inputs[0].name,
                            .datatype = input.dtype() == Dtype::f32 ? "FP32" : "UINT8",
                            .shape = input.shape(),
                            .own = std::string(reinterpret_cast<const char*>(input.data()), input.byte_count())});
  request.binary_output = true;
  std::string length;
  const std::string body = net::write_infer_request(request, true, length);
  const std::string text = post("/v2/models/" + model + "/infer", body, "Inference-Header-Content-Length: " + length + "\r\n");
  print(press(clients, seconds, [&](int) -> std::function<bool()> {
    auto client = std::make_shared<std::unique_ptr<net::TestClient>>();
    return [&, client] { return ask(*client, port, text); };
  }));
  return {};
}

Result<void> pictures(std::uint16_t port, const std::string& path, int clients, double seconds, const std::vector<std::string>& files) {
  std::vector<std::string> bodies, words;
  for (const std::string& file : files) {
    SIGHTLINE_TRY(std::string body, read_file(file));
    bodies.push_back(std::move(body));
  }
  if (const char* list = std::getenv("PATHS")) {
    SIGHTLINE_TRY(const std::string text, read_file(list));
    for (const std::string& word : split(text, '\n')) {
      if (!trim(word).empty()) words.push_back(trim(word));
    }
  }
  const std::size_t hole = path.find("{}");
  print(press(clients, seconds, [&](int number) -> std::function<bool()> {
    auto client = std::make_shared<std::unique_ptr<net::TestClient>>();
    auto random = std::make_shared<Random>(static_cast<std::uint64_t>(number));
    return [&, client, random] {
      std::string filled = path;
      if (hole != std::string::npos && !words.empty()) filled.replace(hole, 2, words[random->below(words.size())]);
      return ask(*client, port, post(filled, bodies[random->below(bodies.size())], "Content-Type: image/jpeg\r\n"));
    };
  }));
  return {};
}

Result<void> own(const std::string& file, int clients, double seconds, std::int64_t rows) {
  SIGHTLINE_TRY(const graph::Graph graph, graph::read_onnx(file));
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph));
  const Tensor input = noise(graph.inputs[0], rows);
  Outcome outcome =
      press(clients, seconds, [&](int) -> std::function<bool()> { return [&] { return session.run(std::span(&input, 1)).ok(); }; });
  outcome.seconds /= static_cast<double>(rows);  // pictures, not batches, a second
  print(std::move(outcome));
  return {};
}

Result<void> run(const std::vector<std::string>& words) {
  const auto number = [](const std::string& word) { return std::atof(word.c_str()); };
  const auto port = [&](const std::string& word) { return static_cast<std::uint16_t>(number(word)); };
  if (words.size() == 6 && words[0] == "infer")
    return infer(port(words[1]), words[2], words[3], static_cast<int>(number(words[4])), number(words[5]));
  if (words.size() >= 6 && words[0] == "pictures")
    return pictures(port(words[1]), words[2], static_cast<int>(number(words[3])), number(words[4]), {words.begin() + 5, words.end()});
  if (words.size() == 5 && words[0] == "own")
    return own(words[1], static_cast<int>(number(words[2])), number(words[3]), static_cast<std::int64_t>(number(words[4])));
  return Error{ErrorKind::usage, "see the first comment of bench/serve_load.cpp"};
}

}  // namespace

int main(int count, char** words) {
  const Result<void> status = run({words + 1, words + count});
  if (status.ok()) return 0;
  fmt::print(stderr, "error: {}\n", status.error().message);
  return exit_code_of(status.error().kind);
}
