#include <fmt/format.h>

#include "modules/backbones.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

constexpr std::int64_t kMostClasses = 1'000'000;

Result<void> check_options(const ClassifierOptions& options, const Backbone& backbone) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  SIGHTLINE_CHECK(check_picture(backbone, {options.height, options.width, options.channels, options.mean, options.deviation}));
  if (options.classes < 2 || options.classes > kMostClasses) return usage(fmt::format("a classifier of {} classes", options.classes));
  if (!(options.dropout >= 0.0F && options.dropout < 1.0F)) return usage(fmt::format("dropout {} is not in [0, 1)", options.dropout));
  return {};
}

}  // namespace

Result<graph::Graph> build_classifier(const ClassifierOptions& options) {
  SIGHTLINE_TRY(const Backbone* backbone, find_backbone(options.backbone));
  SIGHTLINE_CHECK(check_options(options, *backbone));
  graph::Builder builder(options.seed);
  std::string x = builder.image_input(options.height, options.width, options.channels, options.mean, options.deviation);  // N×C×H×W
  x = backbone->append(builder, x);                                                                                       // N×F×h×w
  x = builder.flatten(append_neck(builder, options.neck, x));                                                             // N×F
  if (options.dropout > 0.0F) x = builder.dropout(x, options.dropout);
  builder.rename(builder.linear(x, options.classes), "logits");  // N×K
  builder.rename(builder.softmax(builder.scale("logits", 1.0F, "inverse_temperature")), "probabilities");
  return builder.finish({"probabilities"}, {"logits"});
}

}  // namespace sightline::modules
