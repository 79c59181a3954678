#include "store/release_name.h"

#include <fmt/format.h>

namespace sightline::store {

Result<ReleaseName> parse_release_name(const std::string& text) {
  constexpr std::size_t most_digits = 15;
  const Error wrong{ErrorKind::usage, fmt::format("\"{}\" is not a release: write NAME or NAME:VERSION, like apparel:3", text)};
  if (text.empty() || text.find('/') != std::string::npos) return wrong;
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos) return ReleaseName{.name = text};
  const std::string digits = text.substr(colon + 1);
  if (colon == 0 || digits.empty() || digits.size() > most_digits || digits.find_first_not_of("0123456789") != std::string::npos)
    return wrong;
  const ReleaseName release{.name = text.substr(0, colon), .version = std::stoll(digits)};
  return release.version == 0 ? Result<ReleaseName>(wrong) : release;
}

}  // namespace sightline::store
