#include "factory/pictures_through.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/interrupt.h"
#include "base/parallel.h"
#include "base/random.h"
#include "package/metadata.h"
#include "runtime/session.h"

namespace sightline::factory {
namespace {

constexpr std::int64_t batch = 16;
constexpr std::size_t ahead = 16 * batch;  // pictures that are prepared before they go through
constexpr double smallest_part = 0.85;     // of a side

image::Image shown(const image::Image& picture, const View& view, std::int64_t sample) {
  if (view.number == 0) return picture;
  Random random(view.seed, static_cast<std::uint64_t>(view.number), static_cast<std::uint64_t>(sample));
  const double part = random.uniform(smallest_part, 1);
  image::Image shown{.width = std::max(1, static_cast<int>(picture.width * part)),
                     .height = std::max(1, static_cast<int>(picture.height * part)),
                     .channels = picture.channels,
                     .pixels = {}};
  const auto left = static_cast<int>(random.below(static_cast<std::uint64_t>(picture.width - shown.width + 1)));
  const auto top = static_cast<int>(random.below(static_cast<std::uint64_t>(picture.height - shown.height + 1)));
  // Of two views one is mirrored, of three one or two.
  const bool mirrored = view.mirror && ((random.next() >> 63U) ^ (static_cast<std::uint64_t>(view.number) & 1U)) != 0;
  const auto channels = static_cast<std::size_t>(picture.channels);
  shown.pixels.resize(shown.row_bytes() * static_cast<std::size_t>(shown.height));
  for (int y = 0; y < shown.height; ++y) {
    const std::uint8_t* from =
        picture.pixels.data() + picture.row_bytes() * static_cast<std::size_t>(top + y) + static_cast<std::size_t>(left) * channels;
    std::uint8_t* to = shown.pixels.data() + shown.row_bytes() * static_cast<std::size_t>(y);
    if (!mirrored) {
      std::memcpy(to, from, shown.row_bytes());
      continue;
    }
    for (std::size_t x = 0; x < static_cast<std::size_t>(shown.width); ++x)
      std::memcpy(to + x * channels, from + (static_cast<std::size_t>(shown.width) - 1 - x) * channels, channels);
  }
  return shown;
}

}  // namespace

Result<void> pictures_through(const graph::Graph& graph, const std::string& output, const dataset::Manifest& manifest,
                              const std::vector<std::int64_t>& samples, const View& view, int threads, Progress* progress,
                              const Sink& sink) {
  graph::Graph asked = graph;
  SIGHTLINE_TRY(const auto values, graph::infer_shapes(graph));
  const auto value = values.find(output);
  if (value == values.end()) return Error{ErrorKind::internal, fmt::format("the graph has no value \"{}\"", output)};
  asked.outputs = {{output, Dtype::f32, value->second.shape, {}}};
  SIGHTLINE_TRY(runtime::Session session, runtime::Session::create(graph::serving_graph(asked), {.threads = threads}));
  const Shape& input = graph.inputs[0].shape;
  const package::Preprocessing preprocessing{
      .width = static_cast<int>(input[2]), .height = static_cast<int>(input[1]), .channels = static_cast<int>(input[3])};
  const dataset::SampleReader reader(manifest.root);
  Tensor prepared(Dtype::u8, {static_cast<std::int64_t>(ahead), input[1], input[2], input[3]});
  const std::size_t bytes = prepared.byte_count() / ahead;
  for (std::size_t begin = 0; begin < samples.size(); begin += ahead) {
    const std::size_t count = std::min(ahead, samples.size() - begin);
    const auto prepare = [&](std::size_t i) -> Result<void> {
      const std::int64_t at = samples[begin + i];
      const dataset::Sample& sample = manifest.samples[static_cast<std::size_t>(at)];
      Digest digest;
      SIGHTLINE_TRY(const image::Image picture, reader.read_and_digest(sample.path, {}, &digest));
      if (digest != sample.digest)
        return Error{ErrorKind::invalid_data,
                     fmt::format("{}/{}: it is not what it was when it was imported; build again", manifest.root, sample.path)};
      const Tensor one = package::prepare_picture(shown(picture, view, at), preprocessing);
      std::memcpy(prepared.data() + i * bytes, one.data(), bytes);
      return {};
    };
    SIGHTLINE_CHECK(parallel_for(count, prepare, threads, 4));
    for (std::size_t at = 0; at < count; at += batch) {
      SIGHTLINE_CHECK(check_interrupt());
      const std::size_t some = std::min<std::size_t>(batch, count - at);
      for (std::size_t i = at + some; i < at + batch; ++i)  // the last batch is filled up with its last picture
        std::memcpy(prepared.data() + i * bytes, prepared.data() + (at + some - 1) * bytes, bytes);
      SIGHTLINE_TRY(const Tensor rows, session.run(prepared.rows(static_cast<std::int64_t>(at), static_cast<std::int64_t>(at) + batch)));
      SIGHTLINE_CHECK(sink(begin + at, rows, some));
      if (progress != nullptr) progress->advance(some);
    }
  }
  return {};
}

Result<Tensor> answers_to_pictures(const graph::Graph& graph, const std::string& output, const dataset::Manifest& manifest,
                                   const std::vector<std::int64_t>& samples, int threads, Progress* progress) {
  Tensor all;
  const auto keep = [&](std::size_t first, const Tensor& rows, std::size_t count) -> Result<void> {
    if (!all.defined()) all = Tensor(Dtype::f32, {static_cast<std::int64_t>(samples.size()), rows.dim(1)});
    const auto width = static_cast<std::size_t>(rows.dim(1));
    std::memcpy(all.values<float>().data() + first * width, rows.values<float>().data(), count * width * sizeof(float));
    return {};
  };
  SIGHTLINE_CHECK(pictures_through(graph, output, manifest, samples, {}, threads, progress, keep));
  if (!all.defined()) all = Tensor(Dtype::f32, {0, 1});
  return all;
}

}  // namespace sightline::factory
