// A frozen backbone that looks at a picture at several sides at once: a net that learned on small pictures sees objects of another size,
// and finer texture, in larger ones, and which side suits a set of pictures differs from set to set. One graph: the picture comes in at the
// largest side, the net stands in it once for each side, on what is made smaller inside the graph, and its weights are there once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "features/backbone.h"

namespace sightline::features {

// sides ascending, at least one. "features" is then, for each side in this order, what the backbone says at it, each number replaced by the
// square root of its magnitude with its sign (features behind a ReLU are heavy-tailed; the root lets a linear head weigh them evenly:
// Perronnin, Sánchez & Mensink 2010). Cuts are called "last at 192" and so on. Smaller sides are means of whole squares of pixels where the
// side divides the largest one, else linear between pixels. Nothing: the network takes no other side, or normalises outside of what could
// be repeated. Errors: those of shape inference.
Result<std::optional<Backbone>> looking_at(const Backbone& backbone, const std::vector<int>& sides);

}  // namespace sightline::features
