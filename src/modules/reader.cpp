#include "modules/reader.h"

#include <fmt/format.h>

#include "modules/backbones.h"
#include "modules/modules.h"

namespace sightline::modules {
namespace {

constexpr std::int64_t most_symbols = 10'000, least_side = 16, longest_side = 2048;
constexpr std::int64_t column_width = 192;  // channels that a column is told from

// Half as many rows, the columns stay.
std::string halve_rows(graph::Builder& builder, const std::string& x) {
  const std::vector<std::int64_t> two_by_one{2, 1};
  return builder.node("MaxPool", {x}, {{"kernel_shape", two_by_one}, {"strides", two_by_one}});
}

Result<void> check_options(const ReaderOptions& options) {
  const auto usage = [](std::string message) { return Error{ErrorKind::usage, std::move(message)}; };
  if (options.height < least_side || options.height > longest_side || options.height % reader_height_step != 0 ||
      options.width < least_side || options.width > longest_side || options.width % pixels_per_column != 0)
    return usage(fmt::format("a reader of {}×{} pixels; the height is a multiple of {}, the width one of {}, both up to {}", options.width,
                             options.height, reader_height_step, pixels_per_column, longest_side));
  if (options.channels != 1 && options.channels != 3) return usage(fmt::format("{} channels; a picture has 1 or 3", options.channels));
  const auto channels = static_cast<std::size_t>(options.channels);
  if (options.mean.size() != channels || options.deviation.size() != channels)
    return usage(fmt::format("{} means and {} deviations for {} channels", options.mean.size(), options.deviation.size(), channels));
  if (options.symbols < 1 || options.symbols > most_symbols)
    return usage(fmt::format("a reader of {} symbols; 1 to {} are possible", options.symbols, most_symbols));
  if (!(options.dropout >= 0.0F && options.dropout < 1.0F)) return usage(fmt::format("dropout {} is not in [0, 1)", options.dropout));
  return {};
}

}  // namespace

Result<graph::Graph> build_reader(const ReaderOptions& options) {
  SIGHTLINE_CHECK(check_options(options));
  graph::Builder builder(options.seed);
  // Shapes behind the lines: input N×3×32×96.
  std::string y = builder.image_input(options.height, options.width, options.channels, options.mean, options.deviation);
  y = conv_norm_relu(builder, y, 32, {.stride = 2});                                // N×32×16×48
  y = conv_norm_pool_relu(builder, y, 48);                                          // N×48×8×24
  y = residual(builder, conv_norm_relu(builder, y, 96, {}));                        // N×96×8×24
  y = residual(builder, conv_norm_relu(builder, halve_rows(builder, y), 128, {}));  // N×128×4×24
  y = residual(builder, halve_rows(builder, y));                                    // N×128×2×24
  const std::int64_t rows = options.height / reader_height_step, width = options.width / pixels_per_column;
  const std::vector<std::int64_t> stacked{-1, 128 * rows, 1, width}, one_row{-1, options.symbols + 1, width};
  y = builder.node("Reshape", {y, builder.constant("rows.shape", Tensor::of<std::int64_t>({4}, stacked))});  // N×256×1×24
  y = conv_norm_relu(builder, y, column_width, {.kernel = 1});                                               // N×192×1×24
  if (options.dropout > 0.0F) y = builder.dropout(y, options.dropout);
  y = builder.conv(y, options.symbols + 1, {.kernel = 1, .bias = true});                                        // N×(K+1)×1×24
  y = builder.node("Reshape", {y, builder.constant("columns.shape", Tensor::of<std::int64_t>({3}, one_row))});  // N×(K+1)×24
  builder.rename(builder.node("Transpose", {y}, {{"perm", std::vector<std::int64_t>{0, 2, 1}}}), column_logits);
  builder.rename(builder.softmax(builder.scale(column_logits, 1.0F, "inverse_temperature")), columns);
  return builder.finish({columns}, {column_logits});
}

}  // namespace sightline::modules
