// sightline-heads [HEADS [CLASSES [BATCH [ROUNDS [THREADS]]]]]: many linear heads on one MobileNetV2 backbone (1280 features) in one
// session, against one of these models alone: time for one batch and all heads, memory beyond the process's start, time to add a head.
// Prints ratios; wanted for 1,000 heads of ten classes and one image: at most 1.5 of the time, 1.2 of the memory plus the heads' weights.
#include <fmt/format.h>
#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/text.h"
#include "bench/nets.h"
#include "runtime/shared_session.h"

namespace {

using namespace sightline;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }
double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

// What is resident now beside mapped files (whose pages other processes may share or not), in bytes.
double own_memory() {
  ::malloc_trim(0);
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  double kilobytes = 0;
  while (file >> word)
    if (word == "Anonymous:" && file >> kilobytes) return kilobytes * 1024;
  return 0;
}

// The net with a head of its own: as if read from a file, nothing is shared with other models but by content.
graph::Graph model_of(const graph::Graph& net, int classes, std::uint64_t seed) {
  graph::Graph graph = net;
  for (auto& [name, tensor] : graph.initializers) tensor = tensor.copy();
  graph::Node& head = *std::ranges::find(graph.nodes, "Gemm", &graph::Node::op_type);
  const std::int64_t features = net.initializers.at(head.inputs[1]).dim(1);
  Random random(seed);
  Tensor weight(Dtype::f32, {classes, features}), bias(Dtype::f32, {classes});
  for (float& v : weight.values<float>()) v = static_cast<float>(0.03 * random.normal());
  for (float& v : bias.values<float>()) v = static_cast<float>(0.1 * random.normal());
  graph.initializers[head.inputs[1]] = weight;
  graph.initializers[head.inputs[2]] = bias;
  const std::string probabilities = "probabilities";
  graph.nodes.push_back({"softmax", "Softmax", {head.outputs[0]}, {probabilities}, {{"axis", std::int64_t{1}}}, ""});
  graph.outputs = {{probabilities, Dtype::f32, {-1, classes}}};
  return graph;
}

Tensor images(std::int64_t batch) {
  Random random(1);
  Tensor tensor(Dtype::f32, {batch, 3, 224, 224});
  for (float& v : tensor.values<float>()) v = static_cast<float>(random.normal());
  return tensor;
}

std::vector<runtime::Wanted> all_of(int heads, int step = 1) {
  std::vector<runtime::Wanted> wanted;
  for (int i = 0; i < heads; i += step) wanted.push_back({fmt::format("head {}", i), {}});
  return wanted;
}

Result<void> fill(runtime::SharedSession& session, const graph::Graph& net, int heads, int classes, std::vector<double>& seconds) {
  for (int i = 0; i < heads; ++i) {
    const graph::Graph model = model_of(net, classes, static_cast<std::uint64_t>(i + 1));
    const auto begin = Clock::now();
    SIGHTLINE_CHECK(session.add(fmt::format("head {}", i), model));
    seconds.push_back(seconds_since(begin));
  }
  return {};
}

// In a process of its own, so that nothing is left over from something else: bytes that `work` leaves resident.
template <class Work>
double memory_of(Work work) {
  int ends[2];
  if (::pipe(ends) != 0) return -1;
  const ::pid_t child = ::fork();
  if (child == 0) {
    const double before = own_memory();
    double grown = work([&] { return own_memory() - before; });
    [[maybe_unused]] const auto written = ::write(ends[1], &grown, sizeof grown);
    ::_exit(0);
  }
  ::close(ends[1]);
  double grown = -1;
  if (::read(ends[0], &grown, sizeof grown) != sizeof grown) grown = -1;
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  return grown;
}

Result<void> measure(int heads, int classes, std::int64_t batch, int rounds, const runtime::Options& options) {
  const bench::Net& net =
      *std::ranges::find(bench::nets(), std::string("mobilenet-v2"), [](const bench::Net& each) { return std::string(each.name); });
  SIGHTLINE_TRY(const graph::Graph backbone, bench::unsettled_net(net));
  const Tensor input = images(batch);

  const double one_memory = memory_of([&](auto grown) {
    auto session = runtime::Session::create(model_of(backbone, classes, 1), options);
    for (int i = 0; session.ok() && i < 3; ++i)
      if (!session->run(input).ok()) return -1.0;
    return session.ok() ? grown() : -1.0;
  });
  const double all_memory = memory_of([&](auto grown) {
    runtime::SharedSession session(options);
    std::vector<double> seconds;
    if (!fill(session, backbone, heads, classes, seconds).ok()) return -1.0;
    for (int i = 0; i < 3; ++i)
      if (!session.run({&input, 1}, all_of(heads)).ok()) return -1.0;
    return grown();
  });

  SIGHTLINE_TRY(runtime::Session one, runtime::Session::create(model_of(backbone, classes, 1), options));
  runtime::SharedSession shared(options);
  std::vector<double> adding;
  SIGHTLINE_CHECK(fill(shared, backbone, heads, classes, adding));
  const auto everything = all_of(heads), tenth = all_of(heads, 10), first = all_of(1);
  SIGHTLINE_TRY(const Tensor alone, one.run(input));
  SIGHTLINE_TRY(const auto together, shared.run({&input, 1}, first));
  double difference = 0;
  for (std::size_t i = 0; i < alone.values<float>().size(); ++i)
    difference = std::max(difference, static_cast<double>(std::abs(alone.values<float>()[i] - together[0][0].values<float>()[i])));

  std::vector<double> one_times, all_times, tenth_times, first_times;
  for (int i = 0; i < rounds + 12; ++i) {  // by turns; the first ones warm up
    const auto timed = [&](std::vector<double>& times, auto run) -> Result<void> {
      const auto begin = Clock::now();
      SIGHTLINE_CHECK(run());
      if (i >= 12) times.push_back(seconds_since(begin));
      return {};
    };
    SIGHTLINE_CHECK(timed(one_times, [&] { return one.run(input); }));
    SIGHTLINE_CHECK(timed(all_times, [&] { return shared.run({&input, 1}, everything); }));
    SIGHTLINE_CHECK(timed(tenth_times, [&] { return shared.run({&input, 1}, tenth); }));
    SIGHTLINE_CHECK(timed(first_times, [&] { return shared.run({&input, 1}, first); }));
  }
  const double base = median(one_times), weights = static_cast<double>(heads) * classes * (1280 + 1) * 4;
  const auto mean_of = [&](std::size_t begin, std::size_t end) {
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += adding[i];
    return 1e3 * sum / static_cast<double>(end - begin);
  };
  const std::size_t few = std::min<std::size_t>(20, adding.size());
  fmt::print("{} heads of {} classes on MobileNetV2, batch {}, {} by turns, {}\n", heads, classes, batch,
             plural(static_cast<std::uint64_t>(rounds), "round"),
             options.threads > 0 ? plural(static_cast<std::uint64_t>(options.threads), "thread") : "all cores");
  // The least time is what the machine can do when nobody else wants it.
  const double least = std::ranges::min(one_times);
  const auto row = [&](const char* what, const std::vector<double>& times) {
    fmt::print("{:<18}{:8.2f} ms median, {:.2f} of one model; {:8.2f} ms least, {:.2f}\n", what, 1e3 * median(times), median(times) / base,
               1e3 * std::ranges::min(times), std::ranges::min(times) / least);
  };
  row("one model alone", one_times);
  row("one of them", first_times);
  row("a tenth of them", tenth_times);
  row("all (wanted: 1.5)", all_times);
  fmt::print(
      "memory            {:8.1f} MB one model, {:.1f} MB all, of which {:.1f} MB weights of heads: {:.2f} of one model (wanted: 1.2)\n",
      one_memory / 1e6, all_memory / 1e6, weights / 1e6, (all_memory - weights) / one_memory);
  fmt::print("to add a head     {:8.2f} ms for the first, {:.2f} ms each for the next {}, {:.2f} ms each for the last {}\n",
             1e3 * adding[0], mean_of(std::min<std::size_t>(1, few - 1), few), few - 1, mean_of(adding.size() - few, adding.size()), few);
  fmt::print("difference of the first head from the model alone {:.1e}\n", difference);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const auto number = [&](int i, int otherwise) { return argc > i ? std::max(std::atoi(argv[i]), 1) : otherwise; };
  const auto measured = measure(number(1, 1000), number(2, 10), number(3, 1), number(4, 60), {.threads = argc > 5 ? number(5, 1) : 0});
  if (measured.ok()) return 0;
  fmt::print(stderr, "error: {}\n", measured.error().message);
  return exit_code_of(measured.error().kind);
}
