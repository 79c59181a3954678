// The program, callable: main() and the tests go through it.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace sightline::cli {

// words: the command line without the program's name. Gives the exit code (base/result.h exit_code_of; 0 is success). Catches every
// exception.
int run(const std::vector<std::string>& words, std::istream& in, std::ostream& out, std::ostream& err);

}  // namespace sightline::cli
