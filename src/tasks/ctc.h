// Texts from what a network says of the columns of a line, and how probable they are: connectionist temporal classification (Graves et al.
// 2006). Of T columns each says one of K symbols or the blank, which is the last one; a way through them stands for the text that is left
// when repetitions of a column's symbol and then the blanks are taken out, and a text is as probable as all its ways together.
//
// Everywhere: probabilities f32 T×(K+1), rows that sum to 1; texts are symbols 0 to K-1.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tasks/text_formats.h"

namespace sightline::tasks {

using Symbols = std::vector<std::int32_t>;

// Columns that a text needs at least: one a symbol, and a blank between equals.
std::int64_t least_columns(std::span<const std::int32_t> text);

// Natural logarithm of the probability of exactly this text; -infinity where no way leads to it.
double log_probability(std::span<const float> probabilities, std::int64_t symbols, std::span<const std::int32_t> text);

// The text of the most probable way.
Symbols read_greedily(std::span<const float> probabilities, std::int64_t symbols);

struct RankedText {
  Symbols text;
  double probability = 0;
};
// The most probable texts that `formats` allow, best first: prefixes are followed column by column, the `width` most probable at a time
// (Graves 2012; Hannun et al. 2014), and those that are left are weighed anew by all their ways. At most `most`; none where no prefix that
// was followed became one of the formats.
std::vector<RankedText> read_beam(std::span<const float> probabilities, std::int64_t symbols, const TextFormats& formats, std::size_t width,
                                  std::size_t most);

// Of each character of a text how probable it is, given the others: among the texts that differ from it in that character alone.
std::vector<double> character_probabilities(std::span<const float> probabilities, std::int64_t symbols, std::span<const std::int32_t> text);

}  // namespace sightline::tasks
