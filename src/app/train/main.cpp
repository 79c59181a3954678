// sightline-train: the training worker. One specification in, files and JSON lines out (modules/training_spec.h).
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "graph/graph.h"
#include "modules/modules.h"
#include "modules/training_spec.h"
#include "training/augment.h"
#include "training/training.h"

namespace {

using sightline::Error;
using sightline::ErrorKind;
using sightline::Json;

constexpr const char* help =
    R"(sightline-train SPEC.json   train a graph as the specification says; JSON lines on stdout tell how it goes
sightline-train --initial BACKBONE SIDE CHANNELS CLASSES FILE.onnx
                            write an untrained classifier, to try a specification or to measure speed
sightline-train --version
sightline-train --help

"sightline build" starts it; a person need not. A specification:

  {"graph": "initial.onnx", "data": "images.pack", "output": "out", "checkpoint": "checkpoint", "seed": 7,
   "recipe": {"epochs": 12, "batch": 128, "optimizer": "sgd", "learning_rate": 0.2, "augmentation": "flip"}}

  {"picture": "one.raw", "height": 28, "width": 28, "channels": 1, "augmentation": "flip", "epochs": 8, "output": "drawn.raw"}
                            draws what training sees of one picture ("sightline data show --augmented")

Run again after a kill, it goes on from the last checkpoint and ends with the same bits.
)";

void print_line(const Json& event) {
  const std::string line = sightline::json_text(event) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

sightline::Result<void> draw_augmentation(const sightline::modules::AugmentationSpec& spec) {
  const sightline::training::PictureShape shape{spec.height, spec.width, spec.channels};
  SIGHTLINE_TRY(const std::string picture, sightline::read_file(spec.picture));
  if (spec.height < 1 || spec.width < 1 || spec.channels < 1 || spec.epochs < 1 || spec.epochs > 1000 || picture.size() != shape.bytes())
    return Error{ErrorKind::invalid_data, fmt::format("{} has {} bytes, not {}×{}×{}, or there are no epochs to draw", spec.picture,
                                                      picture.size(), spec.height, spec.width, spec.channels)};
  const auto bytes = [](const std::string& text) { return reinterpret_cast<const std::uint8_t*>(text.data()); };
  std::string drawn(shape.bytes() * static_cast<std::size_t>(spec.epochs), '\0');
  for (int epoch = 0; epoch < spec.epochs; ++epoch) {
    auto* target = reinterpret_cast<std::uint8_t*>(drawn.data()) + shape.bytes() * static_cast<std::size_t>(epoch);
    sightline::training::augment(spec.augmentation, shape, {bytes(picture), shape.bytes()}, {target, shape.bytes()},
                                 static_cast<std::uint64_t>(spec.seed), epoch, spec.sample);
  }
  return sightline::write_file(spec.output, drawn);
}

sightline::Result<void> run(const std::string& path) {
  SIGHTLINE_TRY(const Json json, sightline::read_json_file(path));
  if (json.is_object() && json.contains("picture")) {
    auto drawing = sightline::struct_from_json<sightline::modules::AugmentationSpec>(json);
    if (!drawing.ok()) return drawing.error().in(path);
    return draw_augmentation(*drawing);
  }
  auto spec = sightline::struct_from_json<sightline::modules::TrainingSpec>(json);
  if (!spec.ok()) return spec.error().in(path);
  return sightline::training::train(*spec, print_line);
}

sightline::Result<int> positive(const std::string& text) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || value < 1)
    return Error{ErrorKind::usage, fmt::format("\"{}\" is no positive whole number", text)};
  return value;
}

// BACKBONE SIDE CHANNELS CLASSES FILE. Pixels are normalised about the middle of their range.
sightline::Result<void> write_initial(const std::vector<std::string>& words) {
  if (words.size() != 5) return Error{ErrorKind::usage, "--initial wants BACKBONE SIDE CHANNELS CLASSES FILE.onnx"};
  SIGHTLINE_TRY(const int side, positive(words[1]));
  SIGHTLINE_TRY(const int channels, positive(words[2]));
  SIGHTLINE_TRY(const int classes, positive(words[3]));
  sightline::modules::ClassifierOptions options{
      .backbone = words[0], .height = side, .width = side, .channels = channels, .classes = classes};
  options.mean.assign(static_cast<std::size_t>(channels), 127.5F);
  options.deviation.assign(static_cast<std::size_t>(channels), 64.0F);
  SIGHTLINE_TRY(const auto graph, sightline::modules::build_classifier(options));
  SIGHTLINE_TRY(const std::string bytes, sightline::graph::serialize_onnx(graph));
  return sightline::write_file(words[4], bytes);
}

int fail(const Error& error) {
  print_line({{"event", "error"}, {"kind", sightline::name_of(error.kind)}, {"message", error.message}});
  return sightline::exit_code_of(error.kind);
}

}  // namespace

int main(int count, char** arguments) {
  sightline::install_interrupt_handlers();
  const std::string first = count > 1 ? arguments[1] : "";
  const bool alone = count == 2;
  if (alone && first == "--version") {
    fmt::print("sightline-train {}\n", sightline::version);
    return 0;
  }
  if (alone && (first == "--help" || first == "-h")) {
    fmt::print("{}", help);
    return 0;
  }
  if (first != "--initial" && (!alone || first.starts_with("-")))
    return fail({ErrorKind::usage, "sightline-train wants one argument, the specification: sightline-train SPEC.json (see --help)"});
  try {
    const std::vector<std::string> rest(arguments + 2, arguments + std::max(count, 2));
    const auto status = first == "--initial" ? write_initial(rest) : run(first);
    return status.ok() ? 0 : fail(status.error());
  } catch (const std::bad_alloc&) {
    return fail({ErrorKind::io, "out of memory; a smaller batch needs less"});
  } catch (const std::exception& error) {
    return fail({ErrorKind::internal, error.what()});
  }
}
