#include "app/cli/bench_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/machine.h"
#include "base/text.h"

namespace sightline::cli {
namespace {

std::string inputs_text(const Subject& subject) {
  std::vector<std::string> parts;
  for (const graph::ValueInfo& input : subject.signature.inputs)
    parts.push_back(fmt::format("{} {} {}", input.name, name_of(input.dtype), to_string(input.shape)));
  return join(parts, ", ");
}

// In the order of BenchReport::rivals.
constexpr std::array<const char*, 3> rival_keys{"", "_f32", "_own"};

std::string engine_name(const RivalFigures& rival) { return "ONNX Runtime, " + rival.runs; }

void print_table(const Console& console, const std::vector<BenchReport>& reports) {
  std::vector<std::vector<std::string>> rows;
  const bool rival = !reports[0].rivals.empty();
  const auto row = [&](const BenchReport& report, std::int64_t batch, const std::string& engine, const Timing& timing, double gflops) {
    std::vector<std::string> cells{report.precision, std::to_string(batch)};
    if (rival) cells.push_back(engine);
    for (const double ms : {timing.p50_ms, timing.p95_ms, timing.p99_ms}) cells.push_back(fmt::format("{:.3f}", ms));
    cells.push_back(fmt::format("{:.0f}", timing.images_per_second));
    cells.push_back(fmt::format("{:.1f}", gflops));
    cells.push_back(fmt::format("{:.0f}%", report.peak > 0 ? 100 * gflops / report.peak : 0));
    cells.push_back(std::to_string(timing.runs));
    rows.push_back(cells);
  };
  for (const BenchReport& report : reports) {
    for (const BatchFigures& each : report.batches) {
      row(report, each.batch, "Sightline", each.ours, each.gflops);
      for (std::size_t i = 0; i < each.theirs.size(); ++i)
        row(report, each.batch, engine_name(report.rivals[i]), each.theirs[i].timing, each.gflops / each.theirs[i].ratio);
    }
  }
  std::vector<std::string> header{"precision", "batch", "p50 ms", "p95 ms", "p99 ms", "images/s", "GFLOP/s", "of peak", "runs"};
  if (rival) header.insert(header.begin() + 2, "engine");
  console.table(header, rows);
}

void print_operators(const Console& console, const BenchReport& report, std::int64_t batch) {
  double sum = 0;
  for (const OperatorTime& each : report.operators) sum += each.time.seconds;
  std::vector<std::vector<std::string>> rows;
  for (const OperatorTime& each : report.operators)
    rows.push_back({each.time.op_type, each.time.name, fmt::format("{:.4f}", 1e3 * each.time.seconds),
                    each.flops > 0 && each.time.seconds > 0 ? fmt::format("{:.1f}", each.flops / each.time.seconds / 1e9) : "",
                    fmt::format("{:.1f}%", sum > 0 ? 100 * each.time.seconds / sum : 0)});
  console.say("");
  console.say("steps in {} at batch {}: {:.3f} ms", report.precision, batch, 1e3 * sum);
  console.table({"operator", "node", "ms", "GFLOP/s", "share"}, rows);
}

void print_rest(const Console& console, const BenchReport& report) {
  for (const BatchFigures& each : report.batches) {
    for (std::size_t i = 0; i < each.theirs.size(); ++i)
      console.say("{} at batch {}: {:.2f} × the speed of ONNX Runtime {} on {} (turns: {:.2f} to {:.2f}){}", report.precision, each.batch,
                  each.theirs[i].ratio, report.rival_version, report.rivals[i].runs, each.theirs[i].lowest, each.theirs[i].highest,
                  i == 0 ? fmt::format("; outputs differ by at most {:.1e} of their scale", each.difference) : "");
  }
  std::string load, memory;
  for (const RivalFigures& rival : report.rivals) {
    load += fmt::format("; {} {:.1f} ms", engine_name(rival), 1e3 * rival.load_seconds);
    memory += fmt::format("; {} {} above its start", engine_name(rival), human_bytes(rival.memory.peak));
  }
  console.say("{}: load to first answer {:.1f} ms{}", report.precision, 1e3 * report.load_seconds, load);
  console.say("{}: memory: weights {}, arena {}, peak {} above the start{}", report.precision, human_bytes(report.memory.weights),
              human_bytes(report.memory.arena), human_bytes(report.growth), memory);
  console.say("{}: peak of this machine now, by a matrix product: {:.1f} GFLOP/s", report.precision, report.peak);
}

Json json_of_report(const BenchReport& report) {
  Json batches = Json::array();
  for (const BatchFigures& each : report.batches) {
    Json batch = to_json(each.ours);
    batch["batch"] = each.batch;
    batch["gflops_per_second"] = each.gflops;
    for (std::size_t i = 0; i < each.theirs.size(); ++i) {
      const Versus& versus = each.theirs[i];
      const std::string suffix = rival_keys[i];
      batch["rival" + suffix] = to_json(versus.timing);
      batch["ratio" + suffix] = versus.ratio;
      batch["lowest_ratio" + suffix] = versus.lowest;
      batch["highest_ratio" + suffix] = versus.highest;
      if (i == 0) batch["difference"] = std::isfinite(each.difference) ? Json(each.difference) : Json(nullptr);
    }
    batches.push_back(batch);
  }
  Json document{
      {"precision", report.precision},
      {"peak_gflops_per_second", report.peak},
      {"batches", batches},
      {"load_ms", 1e3 * report.load_seconds},
      {"memory", {{"weights", report.memory.weights}, {"arena", report.memory.arena}, {"growth", report.growth}, {"peak", peak_memory()}}}};
  for (std::size_t i = 0; i < report.rivals.size(); ++i) {
    const RivalFigures& rival = report.rivals[i];
    document[fmt::format("rival{}", rival_keys[i])] = {{"name", "ONNX Runtime"},
                                                       {"version", report.rival_version},
                                                       {"runs", rival.runs},
                                                       {"load_ms", 1e3 * rival.load_seconds},
                                                       {"memory", {{"resident", rival.memory.resident}, {"growth", rival.memory.peak}}}};
  }
  for (const OperatorTime& each : report.operators)
    document["operators"].push_back(
        {{"op_type", each.time.op_type}, {"name", each.time.name}, {"ms", 1e3 * each.time.seconds}, {"flops", each.flops}});
  return document;
}

}  // namespace

void print(const Console& console, const Subject& subject, const std::vector<BenchReport>& reports) {
  console.say("{}: {}; {:.3f} GFLOPs an image; {}, {}", subject.source.name, inputs_text(subject),
              static_cast<double>(subject.cost.flops) / 1e9, plural(static_cast<std::uint64_t>(subject.threads), "thread"), simd_level());
  print_table(console, reports);
  for (const BenchReport& report : reports) print_rest(console, report);
  for (const BenchReport& report : reports)
    if (!report.operators.empty()) print_operators(console, report, subject.batches[0]);
}

Json json_of(const Subject& subject, const std::vector<BenchReport>& reports) {
  Json document{{"model", json_of(subject.source)}, {"threads", subject.threads},  {"simd", simd_level()},
                {"processor", processor_name()},    {"flops", subject.cost.flops}, {"parameters", subject.cost.parameters}};
  if (reports.size() == 1) {
    document.update(json_of_report(reports[0]));
    return document;
  }
  for (const BenchReport& report : reports) document["precisions"].push_back(json_of_report(report));
  return document;
}

}  // namespace sightline::cli
