#include <iostream>

#include "app/cli/run.h"
#include "base/interrupt.h"

int main(int argc, char** argv) {
  sightline::install_interrupt_handlers();
  std::ios::sync_with_stdio(false);
  return sightline::cli::run({argv + 1, argv + argc}, std::cin, std::cout, std::cerr);
}
