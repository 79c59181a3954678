#include "evaluation/report_html.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "base/text.h"

namespace sightline::evaluation {

namespace {

constexpr const char* kReplacement = "\xEF\xBF\xBD";  // U+FFFD
constexpr const char* kEllipsis = "\xE2\x80\xA6";

// Length of the well-formed UTF-8 sequence at `at` (Unicode 15, table 3-7) and its code point, or 0.
std::size_t sequence_at(std::string_view text, std::size_t at, std::uint32_t& code) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || at + length > text.size()) return 0;
  code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0U) != 0x80U) return 0;
    code = (code << 6U) | (byte(at + i) & 0x3FU);
  }
  const bool too_long = (length == 3 && code < 0x800) || (length == 4 && code < 0x10000);
  return too_long || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF) ? 0 : length;
}

bool is_control(std::uint32_t code) {
  return (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0x200E || code == 0x200F || code == 0x2028 || code == 0x2029 || code == 0xFEFF;
}

// The text as a list of clean characters.
std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code = 0;
    const std::size_t length = sequence_at(text, at, code);
    result.push_back(length == 0 || is_control(code) ? std::string_view(kReplacement) : text.substr(at, length));
    at += length == 0 ? 1 : length;
  }
  return result;
}

}  // namespace

std::string html_text(std::string_view text) {
  std::string clean;
  clean.reserve(text.size());
  for (const std::string_view character : characters(text)) clean += character;
  return escape_html(clean);
}

std::string shortened(std::string_view text, std::size_t length) {
  const std::vector<std::string_view> all = characters(text);
  std::string result;
  const std::size_t kept = all.size() <= length ? all.size() : length - 1;
  for (std::size_t i = 0; i < kept; ++i) result += all[i];
  return all.size() <= length ? result : result + kEllipsis;
}

std::string shortened_path(std::string_view path, std::size_t length) {
  const std::vector<std::string_view> all = characters(path);
  if (all.size() <= length) return shortened(path, length);
  std::string result = kEllipsis;
  for (std::size_t i = all.size() - length + 1; i < all.size(); ++i) result += all[i];
  return result;
}

std::size_t code_points(std::string_view text) { return characters(text).size(); }

std::string share_text(double share) {
  if (!std::isfinite(share)) return "–";
  const double percent = share * 100;
  return fmt::format("{:.{}f}%", percent, percent != 0 && std::abs(percent) < 9.95 ? 1 : 0);
}

}  // namespace sightline::evaluation
