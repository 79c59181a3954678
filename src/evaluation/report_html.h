// Text that may stand in the report whatever it came from: class names, paths and lineage are written by others.
#pragma once

#include <string>
#include <string_view>

namespace sightline::evaluation {

// Escaped for element content and quoted attributes; bytes that are not UTF-8 and control characters (direction overrides too) become
// U+FFFD, so that no name can break the page or rearrange the words around it.
std::string html_text(std::string_view text);
// At most `length` code points, with an ellipsis when some are left out; not escaped.
std::string shortened(std::string_view text, std::size_t length);
// Keeps the end, which tells files apart.
std::string shortened_path(std::string_view path, std::size_t length);
std::size_t code_points(std::string_view text);

std::string share_text(double share);  // "7.2%"

// The style sheet of the report (report_style.cpp).
std::string_view report_style();

}  // namespace sightline::evaluation
