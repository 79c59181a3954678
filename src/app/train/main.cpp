// sightline-train: the training worker. One specification in, files and JSON lines out (modules/training_spec.h).
#include <fmt/format.h>

#include <cstdio>
#include <exception>
#include <string>

#include "base/interrupt.h"
#include "base/json.h"
#include "base/log.h"
#include "base/version.h"
#include "modules/training_spec.h"
#include "training/training.h"

namespace {

using sightline::Error;
using sightline::ErrorKind;
using sightline::Json;

constexpr const char* help =
    R"(sightline-train SPEC.json   train a graph as the specification says; JSON lines on stdout tell how it goes
sightline-train --version
sightline-train --help

"sightline build" starts it; a person need not. A specification:

  {"graph": "initial.onnx", "data": "images.pack", "output": "out", "checkpoint": "checkpoint", "seed": 7,
   "recipe": {"epochs": 12, "batch": 128, "optimizer": "sgd", "learning_rate": 0.2, "augmentation": "flip"}}

Run again after a kill, it goes on from the last checkpoint and ends with the same bits.
)";

void print_line(const Json& event) {
  const std::string line = event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

sightline::Result<void> run(const std::string& path) {
  SIGHTLINE_TRY(const Json json, sightline::read_json_file(path));
  auto spec = sightline::struct_from_json<sightline::modules::TrainingSpec>(json);
  if (!spec.ok()) return spec.error().in(path);
  return sightline::training::train(*spec, print_line);
}

int fail(const Error& error) {
  print_line({{"event", "error"}, {"kind", sightline::name_of(error.kind)}, {"message", error.message}});
  return sightline::exit_code_of(error.kind);
}

}  // namespace

int main(int count, char** arguments) {
  sightline::install_interrupt_handlers();
  const std::string first = count == 2 ? arguments[1] : "";
  if (first == "--version") {
    fmt::print("sightline-train {}\n", sightline::version);
    return 0;
  }
  if (first == "--help" || first == "-h") {
    fmt::print("{}", help);
    return 0;
  }
  if (first.empty() || first.starts_with("-"))
    return fail({ErrorKind::usage, "sightline-train wants one argument, the specification: sightline-train SPEC.json (see --help)"});
  try {
    const auto status = run(first);
    return status.ok() ? 0 : fail(status.error());
  } catch (const std::bad_alloc&) {
    return fail({ErrorKind::io, "out of memory; a smaller batch needs less"});
  } catch (const std::exception& error) {
    return fail({ErrorKind::internal, error.what()});
  }
}
