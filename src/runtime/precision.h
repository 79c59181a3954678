// In which numbers a session computes.
#pragma once

#include <array>
#include <string>

#include "base/fields.h"

namespace sightline::runtime {

enum class Precision {
  f32,
  // Values and weights of the operators that have fast kernels for it are rounded to bf16 (8 bits of mantissa), sums are kept in f32.
  // Graphs are the same as for f32; inputs and outputs stay f32.
  bf16,
};

// Whether the processor multiplies bf16 (AVX512_BF16 or AMX; ONEDNN_MAX_CPU_ISA counts). Where it does not, oneDNN would emulate it slowly
// or not run at all.
bool processor_has_bf16();
// Whether it multiplies 8-bit integers without losing any of their sum (VNNI or AMX). Older ones saturate sums of two products at 16 bits,
// in silence: there graphs with integers are computed in real numbers between QuantizeLinear and DequantizeLinear.
bool processor_has_int8();

// The instructions that oneDNN has kernels for here, "avx2" or "avx512_core_amx" (ONEDNN_MAX_CPU_ISA counts). Answers repeat to
// the bit only between machines where it is the same.
std::string instruction_set();

}  // namespace sightline::runtime

template <>
struct sightline::EnumNames<sightline::runtime::Precision> {
  static constexpr std::array<const char*, 2> names{"f32", "bf16"};
};
