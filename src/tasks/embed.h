// Embeddings: a picture becomes a point, and pictures of one thing (an identity) lie close together. What a model's output means, and how
// answers are drawn. Figures: embed_metrics.h.
//
// An embedder answers a batch of N pictures with
//   embedding  f32 N×D  of unit length: the product of two is the cosine of their angle, -1 to 1; the larger, the more alike
//
// People say of a picture: Annotation::label, its identity. A model knows no identities: those of the data are the data's own.
#pragma once

#include <array>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "annotation/annotation.h"
#include "base/result.h"
#include "image/image.h"
#include "tasks/tasks.h"
#include "tensor/tensor.h"

namespace sightline::tasks {

// Whatever the classes. Error unsupported: "embedding" is missing, and it is not the only output either (networks of other makers call
// theirs otherwise), or its type or shape is another; N may be free (-1), and so may trailing sizes of 1 be there.
Result<void> check_embed_outputs(const std::map<std::string, std::pair<Dtype, Shape>>& outputs, std::size_t classes);

// Of unit length whether the network has seen to that or not. Errors: unsupported as above; invalid_data when the batch has more or fewer
// pictures than placements, or an embedding is not finite, or 0.
Result<std::vector<annotation::Annotation>> decode_embed(const Outputs& outputs, std::span<const image::Placement> placements);

inline constexpr std::array kEmbedColumns{"numbers"};
// {"embedding": [D numbers]}
Told tell_embed(const annotation::Annotation& annotation, const std::vector<std::string>& classes);

// The cosine of the angle between two of equal length.
float cosine(std::span<const float> a, std::span<const float> b);

// The places of the `most` embeddings that are most like the one at `of`, itself left out, the most alike first (equals in their order);
// those without numbers are left out.
struct Neighbour {
  std::size_t place = 0;
  float score = 0;
};
std::vector<Neighbour> nearest(std::span<const std::vector<float>> embeddings, std::size_t of, std::size_t most);

// Pictures beside each other, each `side` pixels high and letterboxed into a square, the first one apart from the others; below each its
// words. "sheet[0] is what was asked about".
struct Tile {
  const image::Image* picture = nullptr;
  std::string words;
};
image::Image draw_neighbours(std::span<const Tile> tiles, int side);

}  // namespace sightline::tasks
