#include "base/child_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/text.h"

namespace sightline {
namespace fs = std::filesystem;
namespace {

struct Pipe {
  Descriptor read, write;
  static Result<Pipe> make() {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return Error{ErrorKind::io, fmt::format("cannot make a pipe: {}", std::strerror(errno))};
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  }
  // Writing into a socket whose reader has died is an error, into a pipe it would be a signal.
  static Result<Pipe> make_socket() {
    std::array<int, 2> ends{};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
      return Error{ErrorKind::io, fmt::format("cannot make a socket: {}", std::strerror(errno))};
    return Pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  }
};

bool is_program(const std::string& path) { return ::access(path.c_str(), X_OK) == 0 && !is_directory(path); }

}  // namespace

Result<ChildProcess> ChildProcess::start(const std::string& program, const std::vector<std::string>& arguments,
                                         const ChildOptions& options) {
  SIGHTLINE_TRY(Pipe out, Pipe::make());
  SIGHTLINE_TRY(Pipe err, Pipe::make());
  SIGHTLINE_TRY(Pipe failure, Pipe::make());
  Pipe in{Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC)), Descriptor()};
  if (options.takes_input) {
    SIGHTLINE_TRY(in, Pipe::make_socket());
  }
  // Everything that allocates is done before the fork: other threads may hold the allocator's lock.
  std::vector<char*> words{const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t id = ::fork();
  if (id < 0) return Error{ErrorKind::io, fmt::format("cannot start {}: {}", program, std::strerror(errno))};
  if (id == 0) {
    ::setpgid(0, 0);
    if (options.dies_with_thread) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(127);  // it died before the line above
    }
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    ::dup2(in.read.get(), STDIN_FILENO);
    ::dup2(out.write.get(), STDOUT_FILENO);
    ::dup2(err.write.get(), STDERR_FILENO);
    ::execv(program.c_str(), words.data());
    const int code = errno;
    (void)!::write(failure.write.get(), &code, sizeof code);
    ::_exit(127);
  }
  ChildProcess child;
  child.id_ = id;
  ::setpgid(id, id);  // whoever of the two comes first
  failure.write.close();
  int code = 0;
  ssize_t got = 0;
  do {
    got = ::read(failure.read.get(), &code, sizeof code);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof code) {
    errno = code;
    return system_error("cannot run", program);
  }
  child.in = std::move(in.write);
  child.out = std::move(out.read);
  child.err = std::move(err.read);
  for (const int fd : {child.out.get(), child.err.get()}) ::fcntl(fd, F_SETFL, O_NONBLOCK);
  child.exited = Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, id, 0)));
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : in(std::move(other.in)),
      out(std::move(other.out)),
      err(std::move(other.err)),
      exited(std::move(other.exited)),
      id_(std::exchange(other.id_, -1)) {}

ChildProcess::~ChildProcess() {
  if (id_ <= 0) return;
  kill();
  (void)wait(true);
}

void ChildProcess::interrupt() const { ::kill(id_, SIGINT); }
void ChildProcess::kill() const { ::kill(-id_, SIGKILL); }

std::optional<int> ChildProcess::wait(bool block) {
  siginfo_t ended{};
  int code = 0;
  do {
    code = ::waitid(P_PID, static_cast<id_t>(id_), &ended, WEXITED | WNOWAIT | (block ? 0 : WNOHANG));
  } while (code != 0 && errno == EINTR);
  if (code == 0 && ended.si_pid == 0) return std::nullopt;
  kill();  // what it left running in its group, while the number is still its own
  int status = 0;
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  return status;
}

Result<std::string> find_program(const std::string& name, const std::string& package) {
  std::string variable;
  for (const char c : name) variable += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (const char* wanted = std::getenv(variable.c_str()); wanted != nullptr && *wanted != 0) {
    if (is_program(wanted)) return absolute_path(wanted);
    return Error{ErrorKind::not_found, fmt::format("${} is {}, which is no program", variable, wanted)};
  }
  std::error_code code;
  const fs::path self = fs::read_symlink("/proc/self/exe", code);
  if (!code && is_program((self.parent_path() / name).string())) return (self.parent_path() / name).string();
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path != nullptr ? path : "", ':')) {
    if (!folder.empty() && is_program(folder + "/" + name)) return absolute_path(folder + "/" + name);
  }
  return Error{ErrorKind::not_found,
               fmt::format("{} is not beside this program, nor on PATH, nor in ${}; the Debian package {} brings it, and in a source "
                           "tree `make`",
                           name, variable, package)};
}

}  // namespace sightline
