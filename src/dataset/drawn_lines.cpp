#include "dataset/drawn_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numbers>

#include "base/files.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "base/text.h"
#include "dataset/degrade.h"
#include "dataset/drawn_canvas.h"

namespace sightline::dataset {
namespace {

constexpr double pi = std::numbers::pi;

using Draw = Result<DrawnLine> (*)(Random&, LineLetters&);

struct Row {
  LineLayout layout;
  Draw draw;
  bool chinese;   // letters beyond Latin ones
  double aspect;  // 0: as it comes; else pictures are 94×24, as the plates that readers of these were trained on
};

char any_of(Random& random, std::string_view characters) { return characters[random.below(characters.size())]; }
constexpr std::string_view digits = "0123456789", letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", plate_letters = "ABCDEFGHJKLMNPQRSTUVWXYZ";

// A letter, 9 digit, * either; everything else is a separator that is drawn and not said.
struct Pattern {
  const char* form;
  int weight;
};
template <std::size_t N>
std::string fill(Random& random, const std::array<Pattern, N>& patterns, std::string_view alphabet) {
  int total = 0;
  for (const Pattern& each : patterns) total += each.weight;
  auto left = static_cast<int>(random.below(static_cast<std::uint64_t>(total)));
  const char* form = patterns[0].form;
  for (const Pattern& each : patterns) {
    form = each.form;
    if ((left -= each.weight) < 0) break;
  }
  std::string text;
  for (const char* c = form; *c != '\0'; ++c) {
    const bool letter = *c == 'A' || (*c == '*' && random.below(36) >= 10);
    text += letter ? any_of(random, alphabet) : *c == '9' || *c == '*' ? any_of(random, digits) : *c;
  }
  return text;
}
bool is_said(const std::string& character) { return character.size() > 1 || std::isalnum(static_cast<unsigned char>(character[0])) != 0; }
std::string said(const std::string& shown) {
  std::string text;
  for (const std::string& character : characters_of(shown))
    if (is_said(character)) text += character;
  return text;
}

std::uint8_t level(Random& random, int low, int high) {
  return static_cast<std::uint8_t>(low + static_cast<int>(random.below(static_cast<std::uint64_t>(high - low + 1))));
}
image::Colour shade(Random& random, image::Colour around, int by) {
  const auto vary = [&](std::uint8_t value) {
    return static_cast<std::uint8_t>(
        std::clamp(value + static_cast<int>(random.below(static_cast<std::uint64_t>(2 * by + 1))) - by, 0, 255));
  };
  return {vary(around.red), vary(around.green), vary(around.blue)};
}

// How the letters of one plate look: alike.
struct Hand {
  std::size_t font = 0;
  double weight = 0, stretch = 1;
};
Hand draw_hand(Random& random, const LineLetters& fonts) {
  return {static_cast<std::size_t>(random.below(fonts.count())), static_cast<double>(random.below(4)) * 2.5, random.uniform(0.85, 1.15)};
}

// A row of letters in cells; gap behind each; separators take `space`. Gives the right end.
struct CellRow {
  double left, top, cell, height, gap, space;
  image::Colour ink;
};
Result<double> draw_row(Random& random, Canvas& canvas, LineLetters& fonts, const Hand& hand, const std::string& shown,
                        const CellRow& row) {
  double x = row.left;
  for (const std::string& character : characters_of(shown)) {
    if (!is_said(character)) {
      if (character == "-") canvas.fill(x + row.space * 0.2, row.top + row.height * 0.45, row.space * 0.6, row.height * 0.09, row.ink);
      if (character == ".") canvas.disc(x + row.space / 2, row.top + row.height / 2, row.height * random.uniform(0.04, 0.08), row.ink);
      if (character == "~")  // a sticker or a crest
        canvas.disc(x + row.space / 2, row.top + row.height * random.uniform(0.3, 0.7), row.space * random.uniform(0.25, 0.5),
                    {level(random, 30, 230), level(random, 30, 230), level(random, 30, 230)});
      x += row.space;
      continue;
    }
    SIGHTLINE_CHECK(canvas.letter(fonts, hand.font, hand.weight, character,
                                  {x, row.top + random.uniform(-0.5, 0.5), row.cell * std::min(hand.stretch, 1.0), row.height}, row.ink));
    x += row.cell + row.gap;
  }
  return x - row.gap;
}

// Small print that nobody reads.
Result<void> draw_small(Random& random, Canvas& canvas, LineLetters& fonts, double middle, double top, double height, image::Colour ink) {
  const std::size_t font = random.below(fonts.count());
  const std::uint64_t count = 4 + random.below(10);
  double x = middle - static_cast<double>(count) * height * 0.4;
  for (std::uint64_t i = 0; i < count; ++i, x += height * 0.8) {
    if (random.below(8) == 0) continue;
    SIGHTLINE_CHECK(canvas.letter(fonts, font, 1, std::string(1, any_of(random, letters)), {x, top, height * 0.7, height}, ink));
  }
  return {};
}

void draw_bolts(Random& random, Canvas& canvas, double inset) {
  const std::uint64_t kind = random.below(3);
  if (kind == 0) return;
  for (const double x : {0.25, 0.75}) {
    const image::Colour metal{level(random, 40, 200), level(random, 40, 200), level(random, 40, 200)};
    canvas.disc(canvas.width() * x + random.uniform(-12, 12), inset, random.uniform(3, 7), metal);
    if (kind == 2) canvas.disc(canvas.width() * x + random.uniform(-12, 12), canvas.height() - inset, random.uniform(3, 7), metal);
  }
}

Result<DrawnLine> draw_chinese(Random& random, LineLetters& fonts) {
  constexpr std::array<const char*, 31> provinces{"京", "沪", "津", "渝", "冀", "晋", "蒙", "辽", "吉", "黑", "苏",
                                                  "浙", "皖", "闽", "赣", "鲁", "豫", "鄂", "湘", "粤", "桂", "琼",
                                                  "川", "贵", "云", "藏", "陕", "甘", "青", "宁", "新"};
  const std::string province = provinces[random.below(provinces.size())];
  std::string rest(1, random.below(2) == 0 ? 'A' : any_of(random, plate_letters));
  for (int i = 0; i < 5; ++i) rest += random.below(100) < 72 ? any_of(random, digits) : any_of(random, plate_letters);
  const std::uint64_t kind = random.below(20);
  image::Colour ground = shade(random, {20, 70, 190}, 45), ink = shade(random, {235, 235, 235}, 20);
  if (kind == 0) ground = shade(random, {235, 185, 30}, 25), ink = shade(random, {25, 25, 25}, 20);
  if (kind == 1) ground = shade(random, {235, 235, 235}, 15), ink = shade(random, {25, 25, 25}, 20);
  Canvas canvas(440, 140, ground);
  canvas.frame(random.uniform(5, 9), random.uniform(2, 4), ink);
  draw_bolts(random, canvas, random.uniform(12, 20));
  const Hand hand = draw_hand(random, fonts);
  const double weight = random.uniform(0, 6);
  SIGHTLINE_CHECK(canvas.letter(fonts, fonts.count(), weight, province, {15.5, 25, 45, 90}, ink));
  SIGHTLINE_TRY([[maybe_unused]] const double end,
                draw_row(random, canvas, fonts, hand, rest.substr(0, 1) + "." + rest.substr(1),
                         {.left = 72.5, .top = 25, .cell = 45, .height = 90, .gap = 12, .space = 22, .ink = ink}));
  return DrawnLine{canvas.take(), province + rest};
}

Result<DrawnLine> draw_european(Random& random, LineLetters& fonts) {
  constexpr std::array<Pattern, 12> patterns{{{"AA-999AA", 8},
                                              {"AA~999AA", 8},
                                              {"AAA 9999", 3},
                                              {"9A9 9999", 5},
                                              {"A-AA 999", 2},
                                              {"AA-AA 99", 2},
                                              {"AA 99999", 3},
                                              {"AAA-999", 2},
                                              {"AA-999-AA", 3},
                                              {"AA99 AAA", 2},
                                              {"AAA A999", 1},
                                              {"A~*****", 1}}};
  const std::string shown = fill(random, patterns, letters);
  image::Colour ground = shade(random, {232, 232, 228}, 18), ink = shade(random, {25, 25, 30}, 20);
  if (random.below(12) == 0) ground = shade(random, {225, 190, 40}, 20);
  if (random.below(20) == 0) std::swap(ground, ink);
  Canvas canvas(520, 110, ground);
  canvas.frame(random.uniform(1, 4), random.uniform(1, 4), ink);
  const double strip = random.below(10) == 0 ? 12 : random.uniform(38, 48);
  if (strip > 20 && random.below(4) != 0) canvas.fill(0, 0, strip, 110, shade(random, {20, 60, 170}, 30));
  const Hand hand = draw_hand(random, fonts);
  if (strip > 20) SIGHTLINE_CHECK(draw_small(random, canvas, fonts, strip * 0.9, 84, 14, random.below(2) == 0 ? ink : ground));
  const auto count = static_cast<double>(said(shown).size()), separators = static_cast<double>(shown.size()) - count;
  const double room = 520 - strip - 20, space = random.uniform(18, 34), gap = random.uniform(5, 10);
  const double cell = std::min(50.0, (room - separators * space - count * gap) / count);
  SIGHTLINE_TRY([[maybe_unused]] const double end, draw_row(random, canvas, fonts, hand, shown,
                                                            {.left = strip + random.uniform(5, 14),
                                                             .top = random.uniform(14, 20),
                                                             .cell = cell,
                                                             .height = 76,
                                                             .gap = gap,
                                                             .space = space,
                                                             .ink = ink}));
  return DrawnLine{canvas.take(), said(shown)};
}

Result<DrawnLine> draw_brazilian(Random& random, LineLetters& fonts) {
  constexpr std::array<Pattern, 2> patterns{{{"AAA.9999", 9}, {"AAA-9999", 1}}};
  const std::string shown = fill(random, patterns, letters);
  image::Colour ground = shade(random, {190, 190, 190}, 40), ink = shade(random, {30, 30, 30}, 25);
  if (random.below(8) == 0) ground = shade(random, {180, 40, 40}, 25), ink = shade(random, {230, 230, 230}, 20);
  Canvas canvas(400, 130, ground);
  canvas.frame(random.uniform(2, 5), random.uniform(1, 3), ink);
  SIGHTLINE_CHECK(draw_small(random, canvas, fonts, 200, random.uniform(10, 16), random.uniform(12, 18), ink));
  draw_bolts(random, canvas, random.uniform(8, 20));
  SIGHTLINE_TRY([[maybe_unused]] const double end, draw_row(random, canvas, fonts, draw_hand(random, fonts), shown,
                                                            {.left = random.uniform(14, 22),
                                                             .top = random.uniform(42, 48),
                                                             .cell = 41,
                                                             .height = 66,
                                                             .gap = random.uniform(6, 9),
                                                             .space = 26,
                                                             .ink = ink}));
  return DrawnLine{canvas.take(), said(shown)};
}

Result<DrawnLine> draw_american(Random& random, LineLetters& fonts) {
  constexpr std::array<Pattern, 14> patterns{{{"AAA 9999", 6},
                                              {"AAA-9999", 5},
                                              {"AAA~9999", 3},
                                              {"9AAA999", 6},
                                              {"AAA 999", 5},
                                              {"AAA-999", 3},
                                              {"999 AAA", 4},
                                              {"999~AAA", 3},
                                              {"AA9 A9A", 3},
                                              {"A999999", 2},
                                              {"AA9A9A", 3},
                                              {"******", 3},
                                              {"*******", 2},
                                              {"999 9999", 1}}};
  const std::string shown = fill(random, patterns, letters);
  const image::Colour ground = shade(random, random.below(6) == 0 ? image::Colour{190, 110, 90} : image::Colour{215, 218, 225}, 35);
  const std::array<image::Colour, 5> inks{{{25, 35, 90}, {25, 25, 25}, {120, 25, 30}, {20, 80, 50}, {50, 60, 110}}};
  const image::Colour ink = shade(random, inks[random.below(inks.size())], 25);
  Canvas canvas(305, 152, ground);
  if (random.below(2) == 0) canvas.fill(0, 0, 305, random.uniform(20, 45), shade(random, {120, 160, 210}, 70));
  if (random.below(3) == 0) canvas.fill(0, 125, 305, 27, shade(random, {120, 150, 120}, 80));
  SIGHTLINE_CHECK(draw_small(random, canvas, fonts, 152, random.uniform(8, 16), random.uniform(14, 24), shade(random, ink, 40)));
  if (random.below(3) != 0) SIGHTLINE_CHECK(draw_small(random, canvas, fonts, 152, 130, random.uniform(10, 14), shade(random, ink, 40)));
  draw_bolts(random, canvas, random.uniform(8, 16));
  const auto count = static_cast<double>(said(shown).size()), separators = static_cast<double>(shown.size()) - count;
  const double left = random.uniform(8, 18), gap = random.uniform(4, 7), space = random.uniform(10, 30);
  const double cell = std::min(40.0, (305 - 2 * left - separators * space - count * gap) / count);
  const double height = random.uniform(60, 72);
  SIGHTLINE_TRY([[maybe_unused]] const double end, draw_row(random, canvas, fonts, draw_hand(random, fonts), shown,
                                                            {.left = left,
                                                             .top = 78 - height / 2 + random.uniform(-4, 8),
                                                             .cell = cell,
                                                             .height = height,
                                                             .gap = gap,
                                                             .space = space,
                                                             .ink = ink}));
  return DrawnLine{canvas.take(), said(shown)};
}

// Words and numbers of one line, letters as wide as the font has them.
Result<DrawnLine> draw_words(Random& random, LineLetters& fonts) {
  constexpr std::string_view small = "abcdefghijklmnopqrstuvwxyz";
  std::string text;
  const std::uint64_t kind = random.below(4), count = 3 + random.below(9);
  for (std::uint64_t i = 0; i < count; ++i) {
    const bool capital = kind == 0 || (kind == 1 && i == 0), number = kind == 2 || (kind == 3 && random.below(3) == 0);
    text += any_of(random, number ? digits : capital ? letters : small);
  }
  const bool dark = random.below(3) == 0;
  const image::Colour light_colour{level(random, 150, 255), level(random, 150, 255), level(random, 150, 255)},
      dark_colour{level(random, 0, 100), level(random, 0, 100), level(random, 0, 100)};
  const std::size_t font = random.below(fonts.count());
  const double weight = static_cast<double>(random.below(3)) * 2, gap = random.uniform(4, 14);
  double width = 24;
  for (const std::string& character : characters_of(text)) {
    SIGHTLINE_TRY(const double one, fonts.width_of(font, character));
    width += one * 64 + gap;
  }
  Canvas canvas(static_cast<int>(width), 110, dark ? dark_colour : light_colour);
  double x = 12;
  for (const std::string& character : characters_of(text)) {
    SIGHTLINE_TRY(const double one, fonts.width_of(font, character));
    SIGHTLINE_CHECK(canvas.letter_on_line(fonts, font, weight, character, x, 78, 64, dark ? light_colour : dark_colour));
    x += one * 64 + gap;
  }
  return DrawnLine{canvas.take(), text};
}

constexpr std::array rows{
    Row{{"eu", "European plates: two or three groups, with or without a strip of blue"}, draw_european, false, 0},
    Row{{"br", "Brazilian plates of before 2018: AAA-9999 below the town"}, draw_brazilian, false, 0},
    Row{{"us", "plates as in the United States: many formats and colours, small print above and below"}, draw_american, false, 0},
    Row{{"cn", "Chinese plates: province, letter, five letters or digits; 94x24 pixels"}, draw_chinese, true, 94.0 / 24},
    Row{{"words", "words and numbers in upright letters"}, draw_words, false, 0},
};

// Where the corners of a plate come to lie when it is seen at an angle, and the size of what holds them.
struct Sight {
  Corners corners{};
  int width = 0, height = 0;
};
Sight draw_sight(Random& random, const image::Image& plate, double width) {
  const double height = width * plate.height / plate.width * random.uniform(0.9, 1.1);
  Sight sight;
  const double angle = random.normal() * 4.5 * pi / 180, slant = random.normal() * 0.09;
  const Corners flat{{{0, 0}, {width, 0}, {width, height}, {0, height}}};
  const double depth = random.normal() * 0.05;  // one end is nearer
  double left = 1e9, top = 1e9, right = -1e9, bottom = -1e9;
  for (std::size_t i = 0; i < 4; ++i) {
    const double nearer = 1 + depth * (flat[i][0] / width - 0.5) * 2;
    const double x = (flat[i][0] - width / 2) + slant * (flat[i][1] - height / 2), y = (flat[i][1] - height / 2) * nearer;
    sight.corners[i] = {x * std::cos(angle) - y * std::sin(angle) + random.normal() * 0.01 * width,
                        x * std::sin(angle) + y * std::cos(angle) + random.normal() * 0.02 * height};
    left = std::min(left, sight.corners[i][0]);
    right = std::max(right, sight.corners[i][0]);
    top = std::min(top, sight.corners[i][1]);
    bottom = std::max(bottom, sight.corners[i][1]);
  }
  // Whoever cuts plates out is a little off.
  const double wide = right - left, high = bottom - top;
  left -= random.uniform(-0.02, 0.06) * wide;
  right += random.uniform(-0.02, 0.06) * wide;
  top -= random.uniform(-0.04, 0.12) * high;
  bottom += random.uniform(-0.04, 0.12) * high;
  sight.width = std::max(8, static_cast<int>(std::lround(right - left)));
  sight.height = std::max(8, static_cast<int>(std::lround(bottom - top)));
  for (auto& corner : sight.corners) corner = {corner[0] - left, corner[1] - top};
  return sight;
}

image::Image draw_ground(Random& random, int width, int height) {
  const image::Colour paint{level(random, 5, 240), level(random, 5, 240), level(random, 5, 240)};
  Canvas canvas(width, height,
                random.below(2) == 0 ? image::Colour{level(random, 5, 70), level(random, 5, 70), level(random, 5, 70)} : paint);
  for (std::uint64_t i = random.below(4); i > 0; --i)
    canvas.fill(random.uniform(-0.2, 0.9) * width, random.uniform(-0.2, 0.9) * height, random.uniform(0.1, 1) * width,
                random.uniform(0.1, 0.5) * height, shade(random, paint, 90));
  return canvas.take();
}

const Row* find_row(const std::string& name) {
  const auto found = std::ranges::find_if(rows, [&](const Row& row) { return name == row.layout.name; });
  return found == rows.end() ? nullptr : &*found;
}

}  // namespace

std::span<const LineLayout> line_layouts() {
  static const std::vector<LineLayout> layouts = [] {
    std::vector<LineLayout> all;
    for (const Row& row : rows) all.push_back(row.layout);
    return all;
  }();
  return layouts;
}

struct LineArtist::State {
  const Row* row = nullptr;
  LineLetters fonts;
};

LineArtist::LineArtist(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineArtist::LineArtist(LineArtist&&) noexcept = default;
LineArtist& LineArtist::operator=(LineArtist&&) noexcept = default;
LineArtist::~LineArtist() = default;

Result<LineArtist> LineArtist::open(const std::string& layout) {
  const Row* row = find_row(layout);
  if (row == nullptr) {
    std::vector<std::string> names;
    for (const Row& each : rows) names.emplace_back(each.layout.name);
    return Error{ErrorKind::not_found,
                 fmt::format("no layout is called \"{}\"{} (there is: {})", layout, did_you_mean(layout, names), join(names, ", "))};
  }
  SIGHTLINE_TRY(LineLetters fonts, LineLetters::open(row->chinese));
  return LineArtist(std::unique_ptr<State>(new State{row, std::move(fonts)}));
}

Result<DrawnLine> LineArtist::draw(std::uint64_t seed, std::uint64_t number) {
  constexpr std::uint64_t line_stream = 0x1e77e5ULL;
  std::uint64_t name = 0;
  for (const char* c = state_->row->layout.name; *c != '\0'; ++c) name = name * 31 + static_cast<unsigned char>(*c);
  Random random(seed, line_stream + name, number);
  SIGHTLINE_TRY(DrawnLine line, state_->row->draw(random, state_->fonts));
  // From hardly legible to as large as cameras at a gate give it; a character has about a seventh of the width.
  const double width = 45 * std::exp(random.uniform(0, 1.5));
  const Sight sight = draw_sight(random, line.picture, width);
  const image::Image seen = lay_over(line.picture, draw_ground(random, sight.width, sight.height), sight.corners);
  line.picture = degrade(seen, draw_degradation(random, width / 50), random);
  if (state_->row->aspect > 0) line.picture = image::resize(line.picture, 94, static_cast<int>(std::lround(94 / state_->row->aspect)));
  return line;
}

Result<void> draw_lines(const std::vector<std::string>& layouts, std::int64_t count, std::uint64_t seed, const std::string& folder) {
  if (path_exists(folder + "/labels.csv"))
    return Error{ErrorKind::conflict, fmt::format("{}/labels.csv exists already; name another folder, or remove it", folder)};
  SIGHTLINE_CHECK(make_directories(folder + "/images"));
  constexpr std::int64_t block = 100;
  constexpr int quality = 92;
  std::string table = "path,text,layout\n";
  Progress progress("drawing lines", layouts.size() * static_cast<std::uint64_t>(count), "line");
  for (const std::string& layout : layouts) {
    SIGHTLINE_TRY(const LineArtist probe, LineArtist::open(layout));
    std::vector<std::string> texts(static_cast<std::size_t>(count));
    const auto file_of = [&](std::int64_t i) { return fmt::format("images/{}_{:05}.jpg", layout, i); };
    const auto draw_block = [&](std::size_t part) -> Result<void> {
      SIGHTLINE_TRY(LineArtist artist, LineArtist::open(layout));
      const auto begin = static_cast<std::int64_t>(part) * block;
      for (std::int64_t i = begin; i < std::min(begin + block, count); ++i) {
        SIGHTLINE_TRY(DrawnLine line, artist.draw(seed, static_cast<std::uint64_t>(i)));
        texts[static_cast<std::size_t>(i)] = line.text;
        SIGHTLINE_CHECK(write_file(folder + "/" + file_of(i), image::encode_jpeg(line.picture, quality)));
      }
      progress.advance(static_cast<std::uint64_t>(std::min(begin + block, count) - begin));
      return {};
    };
    SIGHTLINE_CHECK(parallel_for(static_cast<std::size_t>((count + block - 1) / block), draw_block));
    for (std::int64_t i = 0; i < count; ++i) table += fmt::format("{},{},{}\n", file_of(i), texts[static_cast<std::size_t>(i)], layout);
  }
  progress.finish();
  return write_file(folder + "/labels.csv", table);
}

}  // namespace sightline::dataset
