#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <string_view>

#include "app/cli/run.h"
#include "base/interrupt.h"

namespace {

// OpenMP's threads meet after every step of a net, and those that come first spin. GCC's library spins for milliseconds where the number of
// threads fits the cores: nothing on a quiet machine, ruinous on one where other work holds the core that is waited for. Half a
// millisecond measured as fast on the first and twenty times faster on the second. The library reads the variable when it is
// loaded, before main, so a verb that runs nets starts the program once more. Not `build`: training has longer steps, and lost a tenth of
// its speed by it.
void limit_spinning(std::string_view verb, char** argv) {
  constexpr std::array runs_nets{"bench", "eval", "predict"};
  if (std::ranges::count(runs_nets, verb) == 0) return;
  if (std::getenv("GOMP_SPINCOUNT") != nullptr || std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  std::error_code code;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", code).string();
  if (code || ::setenv("GOMP_SPINCOUNT", "10000", 0) != 0) return;
  ::execv(program.c_str(), argv);  // comes back only when that is not possible
}

}  // namespace

int main(int argc, char** argv) {
  limit_spinning(argc > 1 ? argv[1] : "", argv);
  sightline::install_interrupt_handlers();
  std::ios::sync_with_stdio(false);
  return sightline::cli::run({argv + 1, argv + argc}, std::cin, std::cout, std::cerr);
}
