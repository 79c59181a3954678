#include "base/machine.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include "base/text.h"

namespace sightline {
namespace {

// The number after "KEY:" in a file of "KEY: value kB" lines, in bytes.
std::uint64_t kilobytes(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(key + ":")) return std::strtoull(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = 1;
  if (sched_getaffinity(0, sizeof set, &set) == 0) cores = std::max(1, CPU_COUNT(&set));
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (quota_file >> quota >> period && quota != "max" && period > 0) {
    cores = std::clamp(static_cast<int>(std::ceil(std::strtod(quota.c_str(), nullptr) / period)), 1, cores);
  }
  return cores;
}

std::string simd_level() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512vnni")) return "avx512_vnni";
  if (__builtin_cpu_supports("avx512bw")) return "avx512";
  if (__builtin_cpu_supports("avx2")) return "avx2";
  return __builtin_cpu_supports("sse4.1") ? "sse41" : "baseline";
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) return trim(line.substr(line.find(':') + 1));
  }
  return "unknown processor";
}

std::uint64_t total_memory() { return kilobytes("/proc/meminfo", "MemTotal"); }
std::uint64_t available_memory() { return kilobytes("/proc/meminfo", "MemAvailable"); }
void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }
std::uint64_t peak_memory() { return kilobytes("/proc/self/status", "VmHWM"); }

}  // namespace sightline
