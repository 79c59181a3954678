// What names of files, splits and classes tell.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "dataset/importers.h"
#include "image/video.h"

namespace sightline::dataset {

std::string extension_of(std::string_view path) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const std::size_t dot = name.rfind('.');
  return dot == std::string_view::npos || dot == 0 ? "" : lower_case(name.substr(dot));
}

std::string as_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = character_length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

bool split_from(std::string_view name, Split& split) {
  constexpr std::array<std::pair<std::string_view, Split>, 8> names{{{"train", Split::train},
                                                                     {"training", Split::train},
                                                                     {"val", Split::validation},
                                                                     {"valid", Split::validation},
                                                                     {"validation", Split::validation},
                                                                     {"test", Split::test},
                                                                     {"testing", Split::test},
                                                                     {"t10k", Split::test}}};
  const std::string wanted = lower_case(name);
  for (const auto& [known, value] : names) {
    if (wanted != known) continue;
    split = value;
    return true;
  }
  return false;
}

bool has_image_extension(std::string_view path) {
  static const std::set<std::string, std::less<>> extensions{".jpg", ".jpeg", ".jpe",  ".jfif", ".png",  ".webp", ".bmp", ".dib",
                                                             ".tif", ".tiff", ".gif",  ".heic", ".heif", ".avif", ".jp2", ".jxl",
                                                             ".ppm", ".pgm",  ".apng", ".tga",  ".ico",  ".psd"};
  return extensions.contains(extension_of(path));
}

bool is_called_like_pictures(std::string_view path) { return has_image_extension(path) || image::is_called_like_a_video(path); }

std::string side_file_reason(std::string_view path) {
  static const std::set<std::string, std::less<>> extensions{".txt", ".csv", ".tsv",  ".json", ".jsonl", ".md",  ".rst", ".xml",  ".yaml",
                                                             ".yml", ".ini", ".html", ".htm",  ".pdf",   ".log", ".py",  ".sh",   ".zip",
                                                             ".tar", ".gz",  ".npy",  ".npz",  ".pkl",   ".mat", ".db",  ".cache"};
  static const std::set<std::string, std::less<>> names{"license", "licence", "copying",   "notice",
                                                        "readme",  "authors", "changelog", "makefile"};
  if (const std::string extension = extension_of(path); extensions.contains(extension)) return fmt::format("side file ({})", extension);
  const std::string name = lower_case(path.substr(path.rfind('/') + 1));
  return names.contains(name) ? "side file" : "";
}

}  // namespace sightline::dataset
