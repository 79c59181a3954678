#include "tasks/embed.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/text.h"

namespace sightline::tasks {

namespace {

using annotation::Annotation;

constexpr const char* kEmbedding = "embedding";

using Signatures = std::map<std::string, std::pair<Dtype, Shape>>;

Error wrong(const std::string& what) {
  return {ErrorKind::unsupported, fmt::format("{}; an embedder answers with embedding f32 N×D", what)};
}

// The name of the output that is the embedding.
Result<std::string> embedding_among(const Signatures& outputs) {
  const bool named = outputs.contains(kEmbedding);
  if (!named && outputs.size() != 1)
    return wrong(fmt::format("the network has {} and none is called \"{}\"", plural(outputs.size(), "output"), kEmbedding));
  const auto& [name, signature] = named ? *outputs.find(kEmbedding) : *outputs.begin();
  const auto& [dtype, shape] = signature;
  const bool flat = shape.size() >= 2 && std::all_of(shape.begin() + 2, shape.end(), [](std::int64_t size) { return size == 1; });
  if (dtype != Dtype::f32 || !flat || shape[1] == 0)
    return wrong(fmt::format("output \"{}\" is {} {}", name, name_of(dtype), to_string(shape)));
  return name;
}

}  // namespace

Result<void> check_embed_outputs(const Signatures& outputs, std::size_t /*classes*/) {
  const auto name = embedding_among(outputs);
  return name.ok() ? Result<void>() : name.error();
}

Result<std::vector<Annotation>> decode_embed(const Outputs& outputs, std::span<const image::Placement> placements) {
  Signatures signatures;
  for (const auto& [name, tensor] : outputs) signatures[name] = {tensor.dtype(), tensor.shape()};
  SIGHTLINE_TRY(const std::string name, embedding_among(signatures));
  const Tensor& rows = outputs.at(name);
  if (rows.dim(0) != static_cast<std::int64_t>(placements.size()))
    return Error{ErrorKind::invalid_data,
                 fmt::format("{} in the batch, but the network answered for {}", plural(placements.size(), "picture"), rows.dim(0))};
  const auto width = static_cast<std::size_t>(rows.dim(1));
  std::vector<Annotation> answers(placements.size());
  for (std::size_t n = 0; n < answers.size(); ++n) {
    const std::span<const float> row = rows.values<float>().subspan(n * width, width);
    double squares = 0;
    for (const float value : row) squares += static_cast<double>(value) * value;
    const double length = std::sqrt(squares);
    if (!std::isfinite(length) || length == 0)
      return Error{ErrorKind::invalid_data, fmt::format("the embedding of picture {} of the batch {}", n,
                                                        length == 0 ? "is 0 everywhere: it points nowhere" : "is not finite")};
    answers[n].embedding.reserve(width);
    for (const float value : row) answers[n].embedding.push_back(static_cast<float>(value / length));
  }
  return answers;
}

Told tell_embed(const Annotation& annotation, const std::vector<std::string>& /*classes*/) {
  return {.json = {{"embedding", annotation.embedding}}, .rows = {{std::to_string(annotation.embedding.size())}}};
}

float cosine(std::span<const float> a, std::span<const float> b) {
  constexpr std::size_t lanes = 16;  // sums beside each other, which the compiler puts into one register
  std::array<float, lanes> sums{};
  std::size_t i = 0;
  for (; i + lanes <= a.size(); i += lanes)
    for (std::size_t lane = 0; lane < lanes; ++lane) sums[lane] += a[i + lane] * b[i + lane];
  float sum = 0;
  for (; i < a.size(); ++i) sum += a[i] * b[i];
  for (const float each : sums) sum += each;
  return sum;
}

std::vector<Neighbour> nearest(std::span<const std::vector<float>> embeddings, std::size_t of, std::size_t most) {
  std::vector<Neighbour> all;
  for (std::size_t i = 0; i < embeddings.size(); ++i)
    if (i != of && embeddings[i].size() == embeddings[of].size() && !embeddings[i].empty())
      all.push_back({i, cosine(embeddings[of], embeddings[i])});
  std::stable_sort(all.begin(), all.end(), [](const Neighbour& a, const Neighbour& b) { return a.score > b.score; });
  if (all.size() > most) all.resize(most);
  return all;
}

image::Image draw_neighbours(std::span<const Tile> tiles, int side) {
  constexpr int gap = 4, apart = 16, words = 18;
  constexpr double letters = 0.4;
  const int count = static_cast<int>(tiles.size());
  image::Image sheet;
  sheet.width = std::max(1, count * side + (count - 1) * gap + (count > 1 ? apart : 0));
  sheet.height = side + words;
  sheet.channels = 3;
  sheet.pixels.assign(static_cast<std::size_t>(sheet.width) * static_cast<std::size_t>(sheet.height) * 3, 24);
  int left = 0;
  for (int i = 0; i < count; ++i) {
    const Tile& tile = tiles[static_cast<std::size_t>(i)];
    const image::Image square = image::resize(image::convert_channels(*tile.picture, 3), side, side, image::Fit::fit);
    for (int y = 0; y < side; ++y)
      std::copy_n(square.pixels.begin() + static_cast<std::ptrdiff_t>(y) * side * 3, side * 3,
                  sheet.pixels.begin() + (static_cast<std::ptrdiff_t>(y) * sheet.width + left) * 3);
    std::string text = tile.words;
    while (!text.empty() && image::text_size(text, letters).width > side) text.pop_back();
    if (!text.empty()) image::draw_text(sheet, left, side, text, letters);
    left += side + gap + (i == 0 ? apart : 0);
  }
  return sheet;
}

}  // namespace sightline::tasks
