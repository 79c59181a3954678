#include "tasks/degradation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <span>
#include <utility>

#include "base/json.h"

namespace sightline::tasks {
namespace {

constexpr double white = 255;

struct Limit {
  const char* name;
  double least, most;
  const char* unit;
};

// One number or two as [least, most].
Result<void> settle_range(const Limit& limit, std::vector<double>& range) {
  if (range.empty()) return {};
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorKind::usage, fmt::format("restore.{} {}; write one number or [least, most], {:g} to {:g} {}", limit.name, what,
                                               limit.least, limit.most, limit.unit)};
  };
  if (range.size() == 1) range.push_back(range.front());
  if (range.size() != 2) return wrong(fmt::format("has {} numbers", range.size()));
  if (range.front() > range.back()) return wrong(fmt::format("goes from {:g} down to {:g}", range.front(), range.back()));
  for (const double number : range)
    if (!(number >= limit.least && number <= limit.most)) return wrong(fmt::format("is {:g}", number));
  return {};
}

double drawn(const std::vector<double>& range, Random& random) {
  return range.front() < range.back() ? random.uniform(range.front(), range.back()) : range.front();
}

// The place within [0, length) that a mirror at the edges shows at i.
int mirrored(int i, int length) {
  if (length == 1) return 0;
  const int period = 2 * (length - 1);
  i = ((i % period) + period) % period;
  return i < length ? i : period - i;
}

// Weights at sub-pixel places, and a kernel that is centred on its mass.
class Canvas {
 public:
  explicit Canvas(int size) : size_(size), weights_(static_cast<std::size_t>(size) * static_cast<std::size_t>(size)) {}
  void add(double x, double y, double weight) {  // from the middle
    const double across = x + (size_ - 1) / 2.0, down = y + (size_ - 1) / 2.0;
    const int left = static_cast<int>(std::floor(across)), top = static_cast<int>(std::floor(down));
    const double right_share = across - left, low_share = down - top;
    for (const auto& [row, by_row] : {std::pair{top, 1 - low_share}, {top + 1, low_share}})
      for (const auto& [column, share] : {std::pair{left, 1 - right_share}, {left + 1, right_share}})
        if (row >= 0 && row < size_ && column >= 0 && column < size_)
          weights_[static_cast<std::size_t>(row * size_ + column)] += weight * by_row * share;
  }
  Kernel kernel() const {
    double sum = 0;
    for (const double each : weights_) sum += each;
    Kernel kernel{.size = size_, .weights = {}};
    for (const double each : weights_) kernel.weights.push_back(static_cast<float>(each / sum));
    return kernel;
  }

 private:
  int size_;
  std::vector<double> weights_;
};

int kernel_size(double length) { return 2 * static_cast<int>(std::ceil((length + 1) / 2)) + 1; }

// Keys' cubic with a = -0.5.
double cubic(double x) {
  const double t = std::abs(x);
  if (t < 1) return (1.5 * t - 2.5) * t * t + 1;
  if (t < 2) return ((-0.5 * t + 2.5) * t - 4) * t + 2;
  return 0;
}

// Weights of one target place along an axis.
struct Taps {
  std::vector<int> places;
  std::vector<float> weights;
};
// from → to pixels; the filter is widened where it gets smaller.
std::vector<Taps> taps_of(int from, int to) {
  const double ratio = static_cast<double>(from) / to, wide = std::max(ratio, 1.0);
  std::vector<Taps> all;
  for (int i = 0; i < to; ++i) {
    const double middle = (i + 0.5) * ratio - 0.5;
    Taps taps;
    std::vector<double> weights;
    double sum = 0;
    for (int at = static_cast<int>(std::floor(middle - 2 * wide)); at <= static_cast<int>(std::ceil(middle + 2 * wide)); ++at) {
      const double weight = cubic((at - middle) / wide);
      if (weight == 0) continue;
      // A mirror that repeats the edge, as MATLAB's.
      taps.places.push_back(at < 0 ? std::min(-1 - at, from - 1) : at >= from ? std::max(2 * from - 1 - at, 0) : at);
      weights.push_back(weight);
      sum += weight;
    }
    for (const double weight : weights) taps.weights.push_back(static_cast<float>(weight / sum));
    all.push_back(std::move(taps));
  }
  return all;
}

Planes resampled(const Planes& planes, int width, int height) {
  const std::vector<Taps> across = taps_of(planes.width, width), down = taps_of(planes.height, height);
  Planes result{.width = width, .height = height, .channels = planes.channels, .values = {}};
  result.values.reserve(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) * static_cast<std::size_t>(planes.channels));
  std::vector<float> rows(static_cast<std::size_t>(width) * static_cast<std::size_t>(planes.height));
  for (int c = 0; c < planes.channels; ++c) {
    const float* plane = planes.values.data() + static_cast<std::ptrdiff_t>(c) * planes.width * planes.height;
    for (int y = 0; y < planes.height; ++y) {
      for (int x = 0; x < width; ++x) {
        const Taps& taps = across[static_cast<std::size_t>(x)];
        float sum = 0;
        for (std::size_t k = 0; k < taps.places.size(); ++k) sum += taps.weights[k] * plane[y * planes.width + taps.places[k]];
        rows[static_cast<std::size_t>(y * width + x)] = sum;
      }
    }
    for (int y = 0; y < height; ++y) {
      const Taps& taps = down[static_cast<std::size_t>(y)];
      for (int x = 0; x < width; ++x) {
        float sum = 0;
        for (std::size_t k = 0; k < taps.places.size(); ++k)
          sum += taps.weights[k] * rows[static_cast<std::size_t>(taps.places[k] * width + x)];
        result.values.push_back(sum);
      }
    }
  }
  return result;
}

// How many of a mean of `mean` photons arrive: counted one by one where there are few (Knuth), else about normal.
double photons_of(double mean, Random& random) {
  constexpr double few = 30;
  if (mean <= 0) return 0;
  if (mean > few) return std::max(0.0, std::round(mean + std::sqrt(mean) * random.normal()));
  const double end = std::exp(-mean);
  double count = -1;
  for (double product = 1; product > end; product *= 1 - random.uniform()) ++count;
  return count;
}

}  // namespace

Result<Degradation> settled(const Degradation& stated) {
  Degradation result = stated;
  if (result.kind != RestoreKind::super_resolve) result.scale = 1;
  if (result.kind == RestoreKind::super_resolve && result.scale != 2 && result.scale != 4)
    return Error{ErrorKind::usage, fmt::format("restore.scale is {}; pictures are made 2 or 4 times as large", result.scale)};
  if (result.blur.empty()) result.blur = result.kind == RestoreKind::deblur ? std::vector<double>{3, 15} : std::vector<double>{0};
  if (result.noise.empty())
    result.noise = result.kind == RestoreKind::denoise  ? std::vector<double>{5, 50}
                   : result.kind == RestoreKind::deblur ? std::vector<double>{0, 4}
                                                        : std::vector<double>{0};
  SIGHTLINE_CHECK(settle_range({"blur", 0, 64, "pixels"}, result.blur));
  SIGHTLINE_CHECK(settle_range({"noise", 0, 150, "levels"}, result.noise));
  SIGHTLINE_CHECK(settle_range({"photons", 1, 1e6, "photons"}, result.photons));
  SIGHTLINE_CHECK(settle_range({"jpeg", 1, 100, "of quality"}, result.jpeg));
  const bool noisy = result.noise.back() > 0 || !result.photons.empty() || !result.jpeg.empty();
  if ((result.kind == RestoreKind::denoise && !noisy) || (result.kind == RestoreKind::deblur && result.blur.back() <= 0))
    return Error{ErrorKind::usage, fmt::format("restore: nothing is done to the pictures that kind: {} could undo; give {}",
                                               enum_name(result.kind), result.kind == RestoreKind::denoise ? "noise" : "blur")};
  return result;
}

int reach_of(const Degradation& settled) {
  const double blur = settled.blur.back();
  const int smeared = blur > 0 ? static_cast<int>(std::ceil(blur)) + 1 : 0;
  constexpr int block = 8;  // of JPEG
  return smeared + (settled.scale > 1 ? 2 * settled.scale : 0) + (!settled.jpeg.empty() ? block * settled.scale : 0);
}

Kernel camera_shake(double length, Random& random) {
  constexpr int steps = 96;
  constexpr double inertia = 0.93, pull = 0.02, jerk = 0.04;
  const double jolts = random.uniform(0, jerk), tremble = random.uniform(0.05, 0.5);
  double direction = random.uniform(0, 2 * std::numbers::pi);
  double x = 0, y = 0, speed_x = std::cos(direction), speed_y = std::sin(direction);
  std::vector<std::array<double, 2>> walk;
  double left = 0, right = 0, top = 0, bottom = 0;
  for (int i = 0; i < steps; ++i) {
    if (random.uniform() < jolts) {  // thrown back, more or less
      direction = std::atan2(-speed_y, -speed_x) + random.uniform(-0.5, 0.5) * std::numbers::pi;
      speed_x = std::cos(direction);
      speed_y = std::sin(direction);
    }
    speed_x = inertia * speed_x + (1 - inertia) * 0.5 * std::cos(direction) + tremble * 0.3 * random.normal() - pull * x / steps;
    speed_y = inertia * speed_y + (1 - inertia) * 0.5 * std::sin(direction) + tremble * 0.3 * random.normal() - pull * y / steps;
    x += speed_x;
    y += speed_y;
    walk.push_back({x, y});
    left = std::min(left, x);
    right = std::max(right, x);
    top = std::min(top, y);
    bottom = std::max(bottom, y);
  }
  const double scale = length / std::max({right - left, bottom - top, 1e-9});
  constexpr int between = 4;  // places between two steps, so that a long walk has no gaps
  std::vector<std::array<double, 2>> places;
  double middle_x = 0, middle_y = 0;
  for (std::size_t i = 0; i + 1 < walk.size(); ++i)
    for (int k = 0; k < between; ++k) {
      const double share = static_cast<double>(k) / between;
      places.push_back({walk[i][0] + share * (walk[i + 1][0] - walk[i][0]), walk[i][1] + share * (walk[i + 1][1] - walk[i][1])});
      middle_x += places.back()[0];
      middle_y += places.back()[1];
    }
  middle_x /= static_cast<double>(places.size());
  middle_y /= static_cast<double>(places.size());
  // The mass may lie at one end of the walk: a kernel as wide as the walk on either side of it.
  Canvas canvas(2 * static_cast<int>(std::ceil(length)) + 3);
  for (const auto& at : places) canvas.add(scale * (at[0] - middle_x), scale * (at[1] - middle_y), 1);
  return canvas.kernel();
}

Kernel defocus(double diameter) {
  constexpr int fine = 8;  // places a pixel, each way
  const int size = kernel_size(diameter);
  Kernel kernel{.size = size, .weights = {}};
  const double radius = std::max(diameter, 1.0) / 2, middle = size / 2.0;
  double sum = 0;
  std::vector<double> weights;
  for (int y = 0; y < size; ++y)
    for (int x = 0; x < size; ++x) {
      int within = 0;
      for (int i = 0; i < fine; ++i)
        for (int k = 0; k < fine; ++k) within += std::hypot(x + (k + 0.5) / fine - middle, y + (i + 0.5) / fine - middle) <= radius ? 1 : 0;
      weights.push_back(within);
      sum += within;
    }
  for (const double weight : weights) kernel.weights.push_back(static_cast<float>(weight / sum));
  return kernel;
}

Planes planes_of(const image::Image& picture) {
  Planes planes{.width = picture.width, .height = picture.height, .channels = picture.channels, .values = {}};
  const auto channels = static_cast<std::size_t>(picture.channels);
  planes.values.reserve(picture.pixels.size());
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = c; i < picture.pixels.size(); i += channels) planes.values.push_back(picture.pixels[i]);
  return planes;
}

image::Image image_of(const Planes& planes) {
  image::Image picture{.width = planes.width, .height = planes.height, .channels = planes.channels, .pixels = {}};
  picture.pixels.resize(planes.values.size());
  const std::size_t area = static_cast<std::size_t>(planes.width) * static_cast<std::size_t>(planes.height),
                    channels = static_cast<std::size_t>(planes.channels);
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < area; ++i)
      picture.pixels[i * channels + c] =
          static_cast<std::uint8_t>(std::clamp(std::floor(planes.values[c * area + i] + 0.5F), 0.0F, 255.0F));
  return picture;
}

Planes blurred(const Planes& planes, const Kernel& kernel) {
  const int half = kernel.size / 2, wide = planes.width + 2 * half, high = planes.height + 2 * half;
  Planes result{.width = planes.width, .height = planes.height, .channels = planes.channels, .values = {}};
  result.values.resize(planes.values.size());
  std::vector<float> padded(static_cast<std::size_t>(wide) * static_cast<std::size_t>(high));
  for (int c = 0; c < planes.channels; ++c) {
    const float* plane = planes.values.data() + static_cast<std::ptrdiff_t>(c) * planes.width * planes.height;
    float* to = result.values.data() + static_cast<std::ptrdiff_t>(c) * planes.width * planes.height;
    for (int y = 0; y < high; ++y)
      for (int x = 0; x < wide; ++x)
        padded[static_cast<std::size_t>(y * wide + x)] =
            plane[mirrored(y - half, planes.height) * planes.width + mirrored(x - half, planes.width)];
    for (int row = 0; row < kernel.size; ++row) {
      for (int column = 0; column < kernel.size; ++column) {
        const float weight = kernel.weights[static_cast<std::size_t>(row * kernel.size + column)];
        if (weight == 0) continue;
        // A convolution: what lies right of the middle of the kernel comes from the left.
        for (int y = 0; y < planes.height; ++y) {
          const float* from = padded.data() + static_cast<std::ptrdiff_t>(y + kernel.size - 1 - row) * wide + (kernel.size - 1 - column);
          float* line = to + static_cast<std::ptrdiff_t>(y) * planes.width;
          for (int x = 0; x < planes.width; ++x) line[x] += weight * from[x];
        }
      }
    }
  }
  return result;
}

Planes shrunk(const Planes& planes, int scale) { return resampled(planes, planes.width / scale, planes.height / scale); }
Planes enlarged(const Planes& planes, int scale) { return resampled(planes, planes.width * scale, planes.height * scale); }

std::optional<Kernel> drawn_blur(const Degradation& settled, Random& random) {
  if (settled.blur.back() <= 0) return std::nullopt;
  const double length = drawn(settled.blur, random);
  constexpr double share_of_shake = 0.5;
  const bool shakes = random.uniform() < share_of_shake;
  if (length <= 1) return std::nullopt;
  return shakes ? camera_shake(length, random) : defocus(length);
}

image::Image degrade(const image::Image& sharp, const Degradation& settled, Random& random) {
  Planes planes = planes_of(sharp);
  if (const std::optional<Kernel> blur = drawn_blur(settled, random)) planes = blurred(planes, *blur);
  if (settled.scale > 1) planes = shrunk(planes, settled.scale);
  if (!settled.photons.empty()) {
    const double photons = drawn(settled.photons, random);
    for (float& value : planes.values)
      value =
          static_cast<float>(photons_of(std::clamp(static_cast<double>(value), 0.0, white) / white * photons, random) / photons * white);
  }
  if (settled.noise.back() > 0) {
    const double noise = drawn(settled.noise, random);
    for (float& value : planes.values) value += static_cast<float>(noise * random.normal());
  }
  image::Image picture = image_of(planes);
  if (settled.jpeg.empty()) return picture;
  const std::string file = image::encode_jpeg(picture, static_cast<int>(std::lround(drawn(settled.jpeg, random))));
  Result<image::Image> decoded = image::decode(std::as_bytes(std::span(file)), {.channels = picture.channels});
  return decoded.ok() ? *std::move(decoded) : picture;
}

Result<Restoration> restoration_of(const std::map<std::string, std::string>& metadata) {
  const auto found = metadata.find(restoration_key);
  const auto wrong = [](const std::string& what) {
    return Error{ErrorKind::invalid_data, fmt::format("the model's metadata ({}) {}", restoration_key, what)};
  };
  if (found == metadata.end()) return wrong("do not say what it undoes; build the package again");
  const Result<Json> json = parse_json(found->second, restoration_key);
  if (!json.ok()) return wrong("are no JSON: " + json.error().message);
  Result<Restoration> restoration = struct_from_json<Restoration>(*json, restoration_key);
  if (!restoration.ok()) return wrong("are not what is known here: " + restoration.error().message);
  Result<Degradation> degradation = settled(restoration->degradation);
  if (!degradation.ok()) return wrong("make no sense: " + degradation.error().message);
  restoration->degradation = *std::move(degradation);
  return restoration;
}

Random measured_stream(const Restoration& restoration, const std::string& name) {
  std::uint64_t folded = 0xcbf29ce484222325ULL;  // FNV-1a
  for (const char each : name) folded = (folded ^ static_cast<unsigned char>(each)) * 0x100000001b3ULL;
  constexpr std::uint64_t measuring = 0x4d6561737572ULL;
  return {static_cast<std::uint64_t>(restoration.seed), folded, measuring};
}

}  // namespace sightline::tasks
