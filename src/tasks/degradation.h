// How sharp pictures are made bad, for a model that learns to undo it: camera shake and defocus, fewer pixels, the noise of light and of
// electronics, JPEG. Pure arithmetic and the codec; the same (picture, degradation, stream of random numbers) gives the same bytes.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"
#include "base/random.h"
#include "base/result.h"
#include "image/image.h"

namespace sightline::tasks {

enum class RestoreKind { denoise, deblur, super_resolve };

// As a demand states it (`restore:`), and as a package keeps it (restoration_key). Ranges are one number, or two: least and most; one is
// drawn for every picture. What is left out (empty) follows from the kind (settled()).
struct Degradation {
  RestoreKind kind = RestoreKind::denoise;
  int scale = 2;
  std::vector<double> blur, noise, photons, jpeg;
  bool operator==(const Degradation&) const = default;
  static constexpr auto fields() {
    return std::tuple{
        field("kind", &Degradation::kind, "what is undone: denoise, deblur or super_resolve"),
        field("scale", &Degradation::scale, "of super_resolve: how many times as large both sides become, 2 or 4"),
        field("blur", &Degradation::blur,
              "length of camera shake or width of defocus, pixels: [least, most]; of deblur [3, 15], else none where left out"),
        field("noise", &Degradation::noise,
              "standard deviation of the noise, levels of 0 to 255: [least, most]; of denoise [5, 50], of deblur [0, 4], else none"),
        field("photons", &Degradation::photons, "how many photons make white (Poisson noise): [least, most]; none where left out"),
        field("jpeg", &Degradation::jpeg, "quality of JPEG, 1 to 100: [least, most]; not compressed where left out")};
  }
};

// With everything said: blur and noise have two numbers (0 where there is none), photons and jpeg two or none; scale is 1 unless the kind
// is super_resolve. Error usage names the number that is wrong.
Result<Degradation> settled(const Degradation& stated);

// Most pixels by which what is seen at one place comes from another, on the sharp picture.
int reach_of(const Degradation& settled);

// A blur as weights of the pixels around one; they sum to 1, and their centre of mass is the middle.
struct Kernel {
  int size = 1;                // odd; both sides
  std::vector<float> weights;  // size×size
};
// What a pixel sees while a hand shakes: a walk with inertia, now and then thrown another way (after Boracchi and Foi 2012), scaled so that
// its longer side is `length` pixels.
Kernel camera_shake(double length, Random& random);
// A disc of this diameter, pixels at its edge by the share that lies within.
Kernel defocus(double diameter);

// The blur that degrade() begins with, of the same stream; nothing: it does not blur.
std::optional<Kernel> drawn_blur(const Degradation& settled, Random& random);

// f32 planes, one a channel, of 0 to 255.
struct Planes {
  int width = 0, height = 0, channels = 0;
  std::vector<float> values;  // channels×height×width
};
Planes planes_of(const image::Image& picture);
image::Image image_of(const Planes& planes);                 // rounded, and cut to 0 to 255
Planes blurred(const Planes& planes, const Kernel& kernel);  // beyond the edge the picture is mirrored
// Keys' bicubic (1981; a = -0.5). Smaller by `scale`: widened by it, so that nothing aliases, as MATLAB's imresize; the sides are
// multiples.
Planes shrunk(const Planes& planes, int scale);
Planes enlarged(const Planes& planes, int scale);

// The picture as a bad camera would have taken it; settled. Of super_resolve its sides must be multiples of the scale, and it gets smaller
// by it. The order is that of a camera: blur, fewer pixels, photons, noise, levels, JPEG.
image::Image degrade(const image::Image& sharp, const Degradation& settled, Random& random);

// What a package says its model undoes: in the graph's metadata, as JSON, with the seed that its evaluation draws by.
inline constexpr const char* restoration_key = "sightline_restoration";
struct Restoration {
  Degradation degradation;  // settled
  std::int64_t seed = 0;
  static constexpr auto fields() { return std::tuple{field("degradation", &Restoration::degradation), field("seed", &Restoration::seed)}; }
};
// Error invalid_data: the metadata do not say it, or not rightly.
Result<Restoration> restoration_of(const std::map<std::string, std::string>& metadata);
// How the picture with this name is degraded wherever it is measured: the same at every time.
Random measured_stream(const Restoration& restoration, const std::string& name);

}  // namespace sightline::tasks

template <>
struct sightline::EnumNames<sightline::tasks::RestoreKind> {
  static constexpr std::array<const char*, 3> names{"denoise", "deblur", "super_resolve"};
};
