#include "app/video/sandbox.h"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

namespace sightline::video {
namespace {

constexpr rlim_t most_memory = rlim_t{4} << 30U;  // of addresses: an 8K stream with all its reference frames fits
constexpr rlim_t most_files = 32;

void limit(__rlimit_resource what, rlim_t most) {
  const rlimit both{most, most};
  (void)::setrlimit(what, &both);
}

#if defined(__x86_64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
constexpr std::uint32_t architecture = 0;  // none that the numbers below are checked for
#endif

// Answered with EPERM.
constexpr long refused[] = {
    SYS_socket,   SYS_connect,        SYS_bind,         SYS_execve,    SYS_execveat, SYS_ptrace,   SYS_process_vm_writev,
    SYS_unlinkat, SYS_renameat2,      SYS_mkdirat,      SYS_symlinkat, SYS_linkat,   SYS_fchmodat, SYS_fchownat,
    SYS_truncate, SYS_mount,          SYS_kill,         SYS_tkill,     SYS_setns,    SYS_unshare,  SYS_bpf,
    SYS_openat2,  SYS_io_uring_setup, SYS_memfd_create,
#if defined(__x86_64__)
    SYS_unlink,   SYS_rename,         SYS_mkdir,        SYS_rmdir,     SYS_symlink,  SYS_link,     SYS_chmod,
    SYS_chown,    SYS_creat,          SYS_fork,         SYS_vfork,     SYS_renameat,
#endif
};

sock_filter load(std::size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
sock_filter answer(std::uint32_t what) { return BPF_STMT(BPF_RET | BPF_K, what); }
sock_filter skip_unless(std::uint32_t value, std::uint8_t lines) { return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, lines); }

// Opening for writing as well. Error: the kernel has no such filters, or this one is installed already; the limits still hold.
void filter_calls() {
  if (architecture == 0) return;
  constexpr std::uint32_t no = SECCOMP_RET_ERRNO | EPERM;
  std::vector<sock_filter> lines{load(offsetof(seccomp_data, arch)), skip_unless(architecture, 1), BPF_STMT(BPF_JMP | BPF_JA, 1),
                                 answer(SECCOMP_RET_KILL_PROCESS), load(offsetof(seccomp_data, nr))};
  for (const long call : refused) {
    lines.push_back(skip_unless(static_cast<std::uint32_t>(call), 1));
    lines.push_back(answer(no));
  }
  const auto check_flags = [&](long call, std::size_t argument) {
    lines.push_back(skip_unless(static_cast<std::uint32_t>(call), 4));
    lines.push_back(load(offsetof(seccomp_data, args) + argument * sizeof(std::uint64_t)));  // the lower half: little endian
    lines.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC, 0, 1));
    lines.push_back(answer(no));
    lines.push_back(answer(SECCOMP_RET_ALLOW));
  };
  check_flags(SYS_openat, 2);
#if defined(__x86_64__)
  check_flags(SYS_open, 1);
#endif
  lines.push_back(answer(SECCOMP_RET_ALLOW));
  const sock_fprog program{static_cast<unsigned short>(lines.size()), lines.data()};
  (void)::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

}  // namespace

void enter_sandbox() {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, most_files);
  limit(RLIMIT_FSIZE, 0);
#if !defined(__SANITIZE_ADDRESS__)  // which reserves terabytes of addresses
  limit(RLIMIT_AS, most_memory);
#endif
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)::prctl(PR_SET_DUMPABLE, 0);
  filter_calls();
  // Whoever asks may be killed while we decode.
  std::thread([] {
    pollfd asking{STDIN_FILENO, POLLRDHUP, 0};
    while (::poll(&asking, 1, -1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }).detach();
}

}  // namespace sightline::video
