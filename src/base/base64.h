// Bytes as letters: RFC 4648, section 4, with padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sightline {

std::string base64(std::string_view bytes);
// Nothing: it is no base64 (letters, padding, length).
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace sightline
