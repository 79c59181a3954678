// Loops over numbers that lie side by side, for the few passes that oneDNN has no primitive for, or a slow one. Compiled for several
// instruction sets; the processor chooses when the program starts. They only read and write memory that they are given, round halves to
// the even neighbour, and take numbers to be finite. bf16 is the upper half of an f32.
#pragma once

#include <cstdint>

namespace sightline::runtime {

// x = x · sigmoid(x), to within 2e-7 of the greater of 1 and |x|
void swish(float* x, std::int64_t count);
// y = a + b, which may be y
void sum(const float* a, const float* b, float* y, std::int64_t count);
// y[r] = Σ weight[r][k] · x[k] for `rows` rows of `count` numbers
void multiply_rows(const float* weight, const float* x, float* y, std::int64_t rows, std::int64_t count);
// x = x · slope[i] where x is negative
void rectify(float* x, const float* slope, std::int64_t count);

void widen(const std::uint16_t* bf16, float* y, std::int64_t count);
void narrow(const float* x, std::uint16_t* bf16, std::int64_t count);
// y += scale · (x - zero)
void add_scaled(const std::uint8_t* x, float scale, std::int32_t zero, float* y, std::int64_t count);
void add_scaled(const std::int8_t* x, float scale, std::int32_t zero, float* y, std::int64_t count);
void add_widened(const std::uint16_t* bf16, float* y, std::int64_t count);

// y = round(x · factor) + zero, saturated
void quantize(const float* x, float factor, std::int32_t zero, std::uint8_t* y, std::int64_t count);
void quantize(const float* x, float factor, std::int32_t zero, std::int8_t* y, std::int64_t count);
// y = round(swish(x) · factor) + zero, saturated
void quantize_swish(const float* x, float factor, std::int32_t zero, std::uint8_t* y, std::int64_t count);
void quantize_swish(const float* x, float factor, std::int32_t zero, std::int8_t* y, std::int64_t count);
// y = round(x · factor) + zero of three planes, their elements side by side.
void quantize_planes(const float* const planes[3], float factor, std::int32_t zero, std::uint8_t* y, std::int64_t count);
void quantize_planes(const float* const planes[3], float factor, std::int32_t zero, std::int8_t* y, std::int64_t count);

void narrow_planes(const float* const planes[3], std::uint16_t* bf16, std::int64_t count);

// y = round(x · factor[c]) + zero, saturated, for rows of so many channels
void scale_channels(const std::uint8_t* x, const float* factor, std::int32_t zero, std::uint8_t* y, std::int64_t rows,
                    std::int64_t channels);
void scale_channels(const std::uint8_t* x, const float* factor, std::int32_t zero, std::int8_t* y, std::int64_t rows,
                    std::int64_t channels);
void scale_channels(const std::int8_t* x, const float* factor, std::int32_t zero, std::uint8_t* y, std::int64_t rows,
                    std::int64_t channels);
void scale_channels(const std::int8_t* x, const float* factor, std::int32_t zero, std::int8_t* y, std::int64_t rows, std::int64_t channels);

// The same of bf16.
void scale_channels(const std::uint16_t* x, const float* factor, std::uint16_t* y, std::int64_t rows, std::int64_t channels);

// The greatest of nine at each place, of bf16 that is no NaN; y may be one of them.
void greatest_of_nine(const std::uint16_t* const x[9], std::uint16_t* y, std::int64_t count);

}  // namespace sightline::runtime
