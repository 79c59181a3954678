#include "modules/embedder.h"

#include <fmt/format.h>

#include <cmath>

#include "base/random.h"
#include "modules/backbones.h"
#include "modules/detector.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

constexpr std::int64_t most_identities = 1'000'000, most_width = 4096;

Result<void> check_options(const EmbedderOptions& options, const Backbone& backbone) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  SIGHTLINE_CHECK(check_picture(backbone, {options.side, options.side, options.channels, options.mean, options.deviation}));
  if (options.identities < 2 || options.identities > most_identities)
    return usage(fmt::format("an embedder learns from 2 to {} identities, not {}", most_identities, options.identities));
  if (options.width < 2 || options.width > most_width)
    return usage(fmt::format("an embedding has 2 to {} numbers, not {}", most_width, options.width));
  if (!(options.dropout >= 0.0F && options.dropout < 1.0F)) return usage(fmt::format("dropout {} is not in [0, 1)", options.dropout));
  return {};
}

// Directions with length about 1.
Tensor random_columns(std::int64_t width, std::int64_t identities, std::uint64_t seed) {
  Tensor columns(Dtype::f32, {width, identities});
  Random random(seed, 0x1de7ULL);
  const double deviation = 1 / std::sqrt(static_cast<double>(width));
  for (float& value : columns.values<float>()) value = static_cast<float>(deviation * random.normal());
  return columns;
}

}  // namespace

Result<graph::Graph> build_embedder(const EmbedderOptions& options) {
  SIGHTLINE_TRY(const Backbone* backbone, find_backbone(options.backbone));
  SIGHTLINE_CHECK(check_options(options, *backbone));
  graph::Builder builder(options.seed);
  const std::string x = builder.image_input(options.side, options.side, options.channels, options.mean, options.deviation);
  const std::string map =
      backbone->append_pyramid != nullptr ? backbone->append_pyramid(builder, x).back() : backbone->append(builder, x);  // N×F×h×h
  std::string y = options.dropout > 0.0F ? builder.dropout(map, options.dropout) : map;
  y = builder.conv(y, options.width, {.kernel = builder.shape_of(map)[2], .padding = 0});  // N×D×1×1: every place has weights of its own
  y = builder.flatten(builder.batch_norm(y));                                              // N×D
  builder.rename(y, features_output);
  builder.rename(builder.node("LpNormalization", {features_output}, {{"axis", std::int64_t{1}}, {"p", std::int64_t{2}}}), embedding_output);
  const std::string columns = builder.constant(identity_columns, random_columns(options.width, options.identities, options.seed));
  builder.rename(builder.node("MatMul", {features_output, columns}), identity_scores);  // N×K
  SIGHTLINE_TRY(graph::Graph graph, builder.finish({embedding_output}, {features_output, identity_scores}));
  mark_backbone(graph, map);
  return graph;
}

}  // namespace sightline::modules
