#include "annotation/maps.h"

#include <charconv>

namespace sightline {
namespace {

constexpr std::int64_t longest_side = 1 << 15;

template <class T>
std::string runs_text(std::span<const T> values) {
  std::string text;
  for (std::size_t i = 0; i < values.size();) {
    std::size_t end = i;
    while (end < values.size() && values[end] == values[i]) ++end;
    text += fmt::format("{}{} {}", text.empty() ? "" : " ", static_cast<std::int64_t>(values[i]), end - i);
    i = end;
  }
  return text;
}

// False: they do not fill it, or hold what is no value of it.
template <class T>
bool fill_runs(const std::string& text, std::span<T> values) {
  const char *at = text.data(), *const end = at + text.size();
  const auto number = [&](std::int64_t& value) {
    while (at != end && *at == ' ') ++at;
    const auto [next, error] = std::from_chars(at, end, value);
    at = next;
    return error == std::errc();
  };
  std::size_t filled = 0;
  while (filled < values.size()) {
    std::int64_t value = 0, length = 0;
    if (!number(value) || !number(length) || length < 1 || value < 0 || value > std::numeric_limits<T>::max()) return false;
    if (static_cast<std::uint64_t>(length) > values.size() - filled) return false;
    std::fill_n(values.begin() + static_cast<std::ptrdiff_t>(filled), length, static_cast<T>(value));
    filled += static_cast<std::size_t>(length);
  }
  return at == end;
}

struct Form {
  std::string type;
  std::int64_t height = 0, width = 0;
  std::string runs;
  static constexpr auto fields() {
    return std::tuple{field("type", &Form::type), field("height", &Form::height), field("width", &Form::width), field("runs", &Form::runs)};
  }
};

}  // namespace

Json to_json(const Tensor& map) {
  if (!map.defined() || map.rank() != 2 || (map.dtype() != Dtype::u8 && map.dtype() != Dtype::i32)) return nullptr;
  Form form{.type = name_of(map.dtype()), .height = map.dim(0), .width = map.dim(1), .runs = {}};
  form.runs = map.dtype() == Dtype::u8 ? runs_text(map.values<std::uint8_t>()) : runs_text(map.values<std::int32_t>());
  return to_json(form);
}

Result<void> from_json(const Json& json, Tensor& map, const std::string& where) {
  map = {};
  if (json.is_null()) return {};
  Form form;
  SIGHTLINE_CHECK(from_json(json, form, where));
  const bool bytes = form.type == name_of(Dtype::u8),
             sized = form.height > 0 && form.width > 0 && form.height <= longest_side && form.width <= longest_side;
  if (!sized || (!bytes && form.type != name_of(Dtype::i32)))
    return Error{ErrorKind::invalid_data, fmt::format("{}: no map of type {} and {}×{}", where, form.type, form.height, form.width)};
  map = Tensor(bytes ? Dtype::u8 : Dtype::i32, {form.height, form.width});
  if (bytes ? fill_runs(form.runs, map.values<std::uint8_t>()) : fill_runs(form.runs, map.values<std::int32_t>())) return {};
  map = {};
  return Error{ErrorKind::invalid_data, fmt::format("{}: the runs do not fill {}×{}", where, form.height, form.width)};
}

namespace annotation {

std::vector<std::int64_t> column_runs(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns) {
  std::vector<std::int64_t> runs;
  bool inside = false;
  std::int64_t length = 0;
  for (std::int64_t x = 0; x < columns; ++x) {
    for (std::int64_t y = 0; y < rows; ++y) {
      if ((mask[static_cast<std::size_t>(y * columns + x)] != 0) != inside) {
        runs.push_back(length);
        length = 0;
        inside = !inside;
      }
      ++length;
    }
  }
  runs.push_back(length);
  return runs;
}

std::string coco_counts(std::span<const std::int64_t> runs) {
  std::string text;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    std::int64_t value = runs[i] - (i > 2 ? runs[i - 2] : 0);
    for (bool more = true; more;) {
      const std::int64_t part = value & 0x1F;
      value >>= 5;
      // The sign stands in the fifth bit of the last character.
      more = (part & 0x10) != 0 ? value != -1 : value != 0;
      text += static_cast<char>('0' + part + (more ? 0x20 : 0));
    }
  }
  return text;
}

Result<std::vector<std::uint8_t>> mask_of_counts(const std::string& counts, std::int64_t rows, std::int64_t columns) {
  const auto wrong = [&] {
    return Error{ErrorKind::invalid_data, fmt::format("run lengths \"{:.40}\" are not those of {}×{} pixels", counts, columns, rows)};
  };
  if (rows < 1 || columns < 1 || rows > longest_side || columns > longest_side) return wrong();
  std::vector<std::uint8_t> mask(static_cast<std::size_t>(rows * columns));
  std::vector<std::int64_t> runs;
  std::int64_t at = 0;
  for (std::size_t i = 0; i < counts.size();) {
    std::int64_t value = 0;
    for (unsigned shift = 0;; shift += 5) {
      if (i == counts.size() || shift > 35) return wrong();
      const int part = counts[i++] - '0';
      if (part < 0 || part > 0x3F) return wrong();
      value |= static_cast<std::int64_t>(part & 0x1F) << shift;
      if ((part & 0x20) != 0) continue;
      if ((part & 0x10) != 0) value |= -(std::int64_t{1} << (shift + 5));
      break;
    }
    if (runs.size() > 2) value += runs[runs.size() - 2];
    if (value < 0 || value > rows * columns - at) return wrong();
    for (std::int64_t k = at; runs.size() % 2 == 1 && k < at + value; ++k)
      mask[static_cast<std::size_t>(k % rows * columns + k / rows)] = 1;
    at += value;
    runs.push_back(value);
  }
  if (at != rows * columns) return wrong();
  return mask;
}

std::vector<std::vector<std::array<int, 2>>> outlines(std::span<const std::uint8_t> mask, std::int64_t rows, std::int64_t columns) {
  const auto inside = [&](std::int64_t x, std::int64_t y) {
    return x >= 0 && y >= 0 && x < columns && y < rows && mask[static_cast<std::size_t>(y * columns + x)] != 0;
  };
  // Directions along pixel edges: right, down, left, up; the pixel to the right of an edge and the one to its left, from where it begins.
  constexpr std::array<std::array<int, 2>, 4> step{{{1, 0}, {0, 1}, {-1, 0}, {0, -1}}};
  constexpr std::array<std::array<int, 2>, 4> right{{{0, 0}, {-1, 0}, {-1, -1}, {0, -1}}}, left{{{0, -1}, {0, 0}, {-1, 0}, {-1, -1}}};
  std::vector<bool> seen(mask.size());  // of pieces that have their outline
  std::vector<std::size_t> queue;
  std::vector<std::vector<std::array<int, 2>>> result;
  for (std::int64_t first_y = 0; first_y < rows; ++first_y) {
    for (std::int64_t first_x = 0; first_x < columns; ++first_x) {
      const auto first = static_cast<std::size_t>(first_y * columns + first_x);
      if (!inside(first_x, first_y) || seen[first]) continue;
      seen[first] = true;
      queue.assign(1, first);
      while (!queue.empty()) {
        const auto place = static_cast<std::int64_t>(queue.back());
        queue.pop_back();
        for (const auto& [dx, dy] : step) {
          const std::int64_t x = place % columns + dx, y = place / columns + dy;
          const auto next = static_cast<std::size_t>(y * columns + x);
          if (!inside(x, y) || seen[next]) continue;
          seen[next] = true;
          queue.push_back(next);
        }
      }
      // Its topmost, leftmost pixel has nothing above: walk its upper edge to the right, then always as far to the right as can be, so that
      // pieces which touch at a corner only stay apart.
      std::vector<std::array<int, 2>>& outline = result.emplace_back();
      auto x = static_cast<int>(first_x), y = static_cast<int>(first_y);
      const std::array<int, 2> begin{x, y};
      std::size_t direction = 0;
      outline.push_back(begin);
      do {
        x += step[direction][0];
        y += step[direction][1];
        const std::size_t before = direction;
        for (const std::size_t turn : {std::size_t{1}, std::size_t{0}, std::size_t{3}}) {
          const std::size_t next = (before + turn) % 4;
          if (!inside(x + right[next][0], y + right[next][1]) || inside(x + left[next][0], y + left[next][1])) continue;
          direction = next;
          break;
        }
        if (direction != before && std::array<int, 2>{x, y} != begin) outline.push_back({x, y});
      } while (std::array<int, 2>{x, y} != begin || direction != 0);
    }
  }
  return result;
}

}  // namespace annotation
}  // namespace sightline
