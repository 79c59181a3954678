// A server under everything at once, for a long time: many models under a memory limit that holds a third of them, random requests, new
// versions that take over, loads and unloads, clients that leave in the middle, and hostile ones.
//   sightline-serve-soak SIGHTLINE SECONDS [MODELS]
// Prints what was asked and answered and how the memory went, as JSON. Exit status 1 when a request failed that should not have, when the
// server died, or when (over a minute or more) its resident memory after the first third grew by more than 5%.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <mutex>
#include <thread>

#include "base/temporary_folder.h"
#include "base/testing.h"
#include "net/client_for_test.h"
#include "net/open_inference.h"
#include "serving/packages_for_test.h"

namespace {

using namespace sightline;
using Clock = std::chrono::steady_clock;

struct Tally {
  std::mutex mutex;
  std::map<std::string, std::uint64_t> answered;  // by kind of request
  std::map<std::string, std::uint64_t> wrong;     // by kind and status
  void add(const std::string& kind, int status, bool fine) {
    const std::scoped_lock lock(mutex);
    if (fine) {
      ++answered[kind];
    } else {
      ++wrong[fmt::format("{} {}", kind, status)];
    }
  }
};

std::string request(const std::string& method, const std::string& path, const std::string& body = "", const std::string& headers = "") {
  return fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\n{}Content-Length: {}\r\n\r\n{}", method, path, headers, body.size(), body);
}

struct Server {
  pid_t child = -1;
  std::uint16_t port = 0;

  Result<void> start(const std::string& program, const std::string& models, double memory_mb, const std::string& folder) {
    const std::string out = folder + "/start.json", memory = fmt::format("{:.3f}", memory_mb);
    SIGHTLINE_CHECK(remove_all(out));  // of a server before
    child = testing::start_child([&] {
      if (std::freopen(out.c_str(), "w", stdout) == nullptr || std::freopen((folder + "/server.log").c_str(), "w", stderr) == nullptr)
        return 1;
      ::execl(program.c_str(), program.c_str(), "serve", "--models", models.c_str(), "--port", "0", "--json", "--memory", memory.c_str(),
              "--log", (folder + "/access.jsonl").c_str(), nullptr);
      return 1;
    });
    for (int i = 0; i < 600; ++i) {
      const Result<Json> said = read_json_file(out);
      if (said.ok() && said->contains("port")) {
        port = (*said)["port"].get<std::uint16_t>();
        return {};
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return Error{ErrorKind::io, "the server did not start"};
  }
  int stop() const {
    ::kill(child, SIGTERM);
    return testing::wait_for(child);
  }
  std::uint64_t resident() const {
    std::ifstream file(fmt::format("/proc/{}/statm", child));
    std::uint64_t whole = 0, pages = 0;
    file >> whole >> pages;
    return pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  }
};

std::string model_name(std::uint64_t number) { return fmt::format("m{:03}", number); }

// A PNG that says it is as large as a city.
std::string bomb() {
  std::string png = image::encode_png(serving::test_picture());
  for (const std::size_t at : {16U, 20U}) png.replace(at, 4, std::string("\0\1\0\0", 4));
  return png;
}

class Client {
 public:
  Client(std::uint16_t port, std::uint64_t models, std::uint64_t number, Tally& tally)
      : port_(port), models_(models), random_(number), tally_(tally), picture_(image::encode_png(serving::test_picture(number))) {}

  void act() {
    const std::uint64_t draw = random_.below(1000);
    if (draw < 900) {
      send("predict", request("POST", "/v1/models/" + model_name(random_.below(models_)) + ":predict", picture_), {200});
    } else if (draw < 950) {
      infer();
    } else if (draw < 960) {
      send("metrics", request("GET", random_.below(2) == 0 ? "/metrics" : "/v2/models/stats"), {200});
    } else if (draw < 970) {
      // These models are there for nothing else.
      const std::string path = fmt::format("/v2/repository/models/spare{}/", random_.below(4));
      send("load and unload", request("POST", path + (random_.below(2) == 0 ? "load" : "unload")), {200});
    } else if (draw < 990) {
      leave();
    } else {
      hostile();
    }
  }

 private:
  void send(const std::string& kind, const std::string& text, const std::vector<int>& fine) {
    if (client_ == nullptr) client_ = std::make_unique<net::TestClient>(port_);
    client_->send(text);
    const int status = net::status_of(client_->answer());
    if (status != 200) client_.reset();
    tally_.add(kind, status, std::ranges::find(fine, status) != fine.end());
  }
  void infer() {
    net::InferRequest asked;
    asked.inputs.push_back(
        {.name = "image", .datatype = "UINT8", .shape = {2, 12, 12, 3}, .own = std::string(864, static_cast<char>(random_.below(256)))});
    std::string length;
    const std::string body = net::write_infer_request(asked, true, length);
    send("infer",
         request("POST", "/v2/models/" + model_name(random_.below(models_)) + "/infer", body,
                 "Inference-Header-Content-Length: " + length + "\r\n"),
         {200});
  }
  void leave() {
    net::TestClient gone(port_);
    const std::string whole = request("POST", "/v1/models/" + model_name(random_.below(models_)) + ":predict", picture_);
    gone.send(std::string_view(whole).substr(0, 1 + random_.below(whole.size())));
    tally_.add("left", 0, true);
  }
  void hostile() {
    const std::string path = "/v1/models/" + model_name(random_.below(models_)) + ":predict";
    const std::string head = "POST " + path + " HTTP/1.1\r\nHost: localhost\r\n";
    std::string noise;
    for (int i = 0; i < 300; ++i) noise.push_back(static_cast<char>(random_.below(256)));
    const std::string sent[] = {noise,
                                head + "Content-Length: 99999999999\r\n\r\n",
                                head + "Content-Length: -5\r\n\r\n",
                                head + "X: " + std::string(40'000, 'x') + "\r\n\r\n",
                                request("POST", path, bomb()),
                                request("POST", path, noise),
                                request("GET", "/../../etc/passwd"),
                                request("GET", "/v1/models/..%2f..%2fetc"),
                                request("POST", "/v2/models/" + model_name(0) + "/infer", std::string(200, '[')),
                                "POST " + path + " HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n"};
    net::TestClient client(port_);
    client.send(sent[random_.below(std::size(sent))]);
    client.finish_sending();
    const int status = net::status_of(client.all());
    tally_.add("hostile", status, status == 0 || (status >= 400 && status < 500));
  }

  std::uint16_t port_;
  std::uint64_t models_;
  Random random_;
  Tally& tally_;
  std::string picture_;
  std::unique_ptr<net::TestClient> client_;
};

Result<void> write_models(const std::string& folder, std::uint64_t models) {
  for (std::uint64_t i = 0; i < models; ++i)
    SIGHTLINE_CHECK(serving::write_test_package(fmt::format("{}/{}/1", folder, model_name(i)), model_name(i), i + 1, 96));
  for (int i = 0; i < 4; ++i)
    SIGHTLINE_CHECK(serving::write_test_package(fmt::format("{}/spare{}/1", folder, i), fmt::format("spare{}", i),
                                                1000 + static_cast<std::uint64_t>(i), 96));
  return {};
}

// What one model takes.
Result<double> bytes_of_one(const std::string& program, const std::string& models, const std::string& folder) {
  Server server;
  SIGHTLINE_CHECK(server.start(program, models, 0, folder));
  net::TestClient client(server.port);
  client.send(request("POST", "/v1/models/m000:predict", image::encode_png(serving::test_picture())));
  client.answer();
  client.send(request("GET", "/v1/models"));
  const Json said = Json::parse(net::body_of(client.answer()), nullptr, false);
  server.stop();
  if (!said.is_object() || !said.contains("bytes")) return Error{ErrorKind::io, "the server does not say what its models hold"};
  return said["bytes"].get<double>();
}

Result<int> soak(const std::string& program, double seconds, std::uint64_t models) {
  const TemporaryFolder work;
  const std::string folder = work / "models";
  SIGHTLINE_CHECK(write_models(folder, models));
  SIGHTLINE_TRY(const double one, bytes_of_one(program, folder, work.path()));
  Server server;
  SIGHTLINE_CHECK(server.start(program, folder, one * static_cast<double>(models) / 3 / 1e6, work.path()));

  Tally tally;
  std::atomic<bool> ends = false;
  std::atomic<int> swaps = 0;
  std::vector<std::thread> threads;
  for (std::uint64_t i = 0; i < 12; ++i) {
    threads.emplace_back([&, i] {
      Client client(server.port, models, i + 1, tally);
      while (!ends) client.act();
    });
  }
  threads.emplace_back([&] {  // new versions
    Random random(99);
    for (std::int64_t version = 2; !ends; ++version) {
      const std::string name = model_name(random.below(models)), to = fmt::format("{}/{}/{}", folder, name, version);
      if (serving::write_test_package(work / "next", name, static_cast<std::uint64_t>(version) * 7, 96).ok() &&
          rename_path(work / "next", to).ok())
        ++swaps;
      std::this_thread::sleep_for(std::chrono::milliseconds(700));
    }
  });
  std::vector<std::uint64_t> resident;
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  while (Clock::now() < until && server.resident() > 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    resident.push_back(server.resident());
  }
  ends = true;
  for (std::thread& thread : threads) thread.join();
  const int status = server.stop();

  // The means of the second and the last third: what is loaded at a moment varies.
  const auto mean = [&](std::size_t begin, std::size_t end) {
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += static_cast<double>(resident[i]);
    return sum / static_cast<double>(std::max<std::size_t>(1, end - begin));
  };
  const std::size_t count = resident.size();
  const double before = mean(count / 3, 2 * count / 3), after = mean(2 * count / 3, count), growth = before > 0 ? after / before - 1 : 1;
  std::uint64_t requests = 0;
  for (const auto& [kind, number] : tally.answered) requests += number;
  const Json said{{"requests", requests},
                  {"answered", tally.answered},
                  {"wrong", tally.wrong},
                  {"swaps", swaps.load()},
                  {"resident_mb_middle", before / 1e6},
                  {"resident_mb_end", after / 1e6},
                  {"growth", growth},
                  {"models", models},
                  {"limit_mb", one * static_cast<double>(models) / 3 / 1e6},
                  {"exit", status}};
  fmt::print("{}\n", said.dump(1));
  const bool grew = growth >= 0.05 && seconds >= 60;  // a short run has not warmed up
  return status == 0 && tally.wrong.empty() && !grew ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  if (count < 3) {
    fmt::print(stderr, "sightline-serve-soak SIGHTLINE SECONDS [MODELS]\n");
    return 2;
  }
  const Result<int> status = soak(words[1], std::atof(words[2]), count > 3 ? static_cast<std::uint64_t>(std::atoll(words[3])) : 300);
  if (status.ok()) return *status;
  fmt::print(stderr, "error: {}\n", status.error().message);
  return exit_code_of(status.error().kind);
}
