// Text for people: nearest match, lists, sizes and times in words, tables.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sightline {

std::string join(const std::vector<std::string>& parts, std::string_view between);
std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);

// Bytes of the first character of UTF-8 text (RFC 3629), 0 when there is none: what else there is, is no character.
std::size_t character_length(std::string_view text);
// Its characters (code points), one after the other; a byte that is none stands for itself.
std::vector<std::string> characters_of(std::string_view text);

// Damerau-Levenshtein distance (adjacent swaps count as one).
int edit_distance(std::string_view a, std::string_view b);
// The candidate nearest to `word`, or "" when none is near (more than a third of its letters differ).
std::string nearest_match(std::string_view word, const std::vector<std::string>& candidates);
// "; did you mean \"metric\"?" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates);

std::string human_bytes(std::uint64_t bytes);                    // "1.2 MB" (decimal units)
std::string human_seconds(double seconds);                       // "420 ms", "12.3 s", "3 min 05 s", "2 h 10 min"
std::string human_count(std::uint64_t count);                    // "70,000"
std::string plural(std::uint64_t count, std::string_view noun);  // "1 image", "70,000 images"
std::string escape_html(std::string_view text);

// Columns padded to their widest cell (counted in UTF-8 code points); cells that look like numbers are right-aligned.
std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

}  // namespace sightline
