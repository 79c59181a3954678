// Another program, started as a child: its output in pipes, its end as something that poll() can wait for.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/files.h"

namespace sightline {

struct ChildOptions {
  bool takes_input = false;      // else its standard input is empty
  bool dies_with_thread = true;  // PR_SET_PDEATHSIG: killed when the thread that started it ends, however that comes about
};

// Runs in a process group of its own, so that a terminal's Ctrl-C reaches only us. Destroyed, it is killed, and what it left running in its
// group with it. Moved from, it is empty.
class ChildProcess {
 public:
  Descriptor in;        // a socket, with takes_input: what is sent there, with MSG_NOSIGNAL, is its standard input
  Descriptor out, err;  // its output; never blocks
  Descriptor exited;    // readable once it has ended

  // program: a path. Errors: not_found, io.
  static Result<ChildProcess> start(const std::string& program, const std::vector<std::string>& arguments,
                                    const ChildOptions& options = {});
  ChildProcess(ChildProcess&& other) noexcept;
  ~ChildProcess();

  void interrupt() const;
  void kill() const;
  // waitpid's status once it has ended.
  std::optional<int> wait(bool block);

 private:
  ChildProcess() = default;
  pid_t id_ = -1;
};

// The program of that name: of sightline-x $SIGHTLINE_X, else beside this executable or on PATH. Error not_found says which package brings
// it.
Result<std::string> find_program(const std::string& name, const std::string& package);

}  // namespace sightline
