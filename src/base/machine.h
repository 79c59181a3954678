// What this machine has. Threads come from the affinity mask, never from the number of processors in the box.
#pragma once

#include <cstdint>
#include <string>

namespace sightline {

int usable_cores();        // of the affinity mask, capped by a cgroup CPU quota
std::string simd_level();  // "avx512_vnni", "avx512", "avx2", "sse41": part of the keys of measured steps
std::string processor_name();
std::uint64_t total_memory();      // bytes
std::uint64_t available_memory();  // bytes
std::uint64_t peak_memory();       // of this process, bytes (VmHWM)
void reset_peak_memory();          // peak_memory() begins again at what is used now, where the kernel permits it

}  // namespace sightline
