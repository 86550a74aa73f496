// SPDX-License-Identifier: Apache-2.0
#include "ingest/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <new>
#include <string>

#include "ingest/parsed_document.h"

namespace cloister::ingest {
namespace {

Status Missing(std::string_view control) {
  return FailedPrecondition("this kernel does not let the parse process apply: " + std::string(control));
}

bool Limit(int resource, uint64_t soft, uint64_t hard) {
  const rlimit limit{soft, hard};
  return setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) == 0;
}

// A failed allocation is an outcome, not a crash. poppler aborts when malloc fails and leaves errno as it was.
void EndForMemory() { _exit(kExitMemory); }
void OnAbort(int) {
  if (errno == ENOMEM) _exit(kExitMemory);
  signal(SIGABRT, SIG_DFL);
  raise(SIGABRT);
}

Status LimitResources(const SandboxLimits& limits, SandboxReport& report) {
#if !defined(__SANITIZE_ADDRESS__)
  if (!Limit(RLIMIT_AS, limits.memory_bytes_max, limits.memory_bytes_max)) return Missing("a limit on memory");
  report.memory_limit = true;
#endif
  // One second more for the hard limit: the soft one's SIGXCPU tells the cause.
  if (!Limit(RLIMIT_CPU, limits.cpu_seconds_max, limits.cpu_seconds_max + 1)) return Missing("a limit on processor time");
  struct stat out {};
  const bool to_file = fstat(STDOUT_FILENO, &out) == 0 && S_ISREG(out.st_mode);
  const uint64_t file_bytes = to_file ? kEncodedBytesMax : 0;
  if (!Limit(RLIMIT_FSIZE, file_bytes, file_bytes)) return Missing("a limit on file size");
  if (!Limit(RLIMIT_CORE, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return Missing("no core dumps");
  if (!Limit(RLIMIT_NPROC, 0, 0)) return Missing("a limit on processes");
  if (!Limit(RLIMIT_NOFILE, 3, 3)) return Missing("a limit on descriptors");
  return Status();
}

bool CloseOthers() {
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null < 0 || dup2(null, STDERR_FILENO) < 0) return false;
  return syscall(SYS_close_range, 3u, ~0u, 0u) == 0;
}

// Returns the ABI version applied, 0 when the kernel has no Landlock, -1 when it failed.
int DenyByLandlock() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (abi <= 0) return 0;
  // Laid out here because Debian 12's header ends at ABI 2. SPEC: docs.kernel.org/userspace-api/landlock
  struct {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
  } ruleset{};
  const int file_rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
  ruleset.handled_access_fs = (1ull << file_rights) - 1;
  if (abi >= 4) ruleset.handled_access_net = 3;  // bind and connect over TCP
  if (abi >= 6) ruleset.scoped = 3;              // abstract sockets and signals
  const size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  const long fd = syscall(SYS_landlock_create_ruleset, &ruleset, size, 0);
  if (fd < 0) return -1;
  const long done = syscall(SYS_landlock_restrict_self, fd, 0);
  close(static_cast<int>(fd));
  return done == 0 ? static_cast<int>(abi) : -1;
}

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

bool AllowCalls(scmp_filter_ctx filter) {
  for (const int call :
       {SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(exit),
        SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction),
        SCMP_SYS(sigaltstack), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom),
        SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(close),
        SCMP_SYS(restart_syscall)}) {
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0) != 0) return false;
  }
  const auto pid = static_cast<scmp_datum_t>(getpid());
  // Memory may be mapped but never made executable; signals may go to this process only.
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(read), 1, SCMP_A0(SCMP_CMP_EQ, STDIN_FILENO)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, STDOUT_FILENO)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(write), 1, SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(writev), 1, SCMP_A0(SCMP_CMP_EQ, STDERR_FILENO)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, pid)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0 &&
         // fstat() of glibc is newfstatat with an empty path.
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 1,
                          SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, AT_EMPTY_PATH)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(newfstatat), 1,
                          SCMP_A3(SCMP_CMP_MASKED_EQ, AT_EMPTY_PATH, 0)) == 0;
}

// Libraries try these and go on without: killing for them would fail honest files.
bool RefuseCalls(scmp_filter_ctx filter) {
  for (const int call : {SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
                         SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx),
                         SCMP_SYS(sysinfo), SCMP_SYS(ioctl), SCMP_SYS(getcwd), SCMP_SYS(uname), SCMP_SYS(prlimit64),
                         SCMP_SYS(sched_getaffinity), SCMP_SYS(getrlimit)}) {
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), call, 0) != 0) return false;
  }
  return true;
}

}  // namespace

StatusOr<SandboxReport> EnterSandbox(const SandboxLimits& limits) {
  SandboxReport report;
  std::set_new_handler(EndForMemory);
  signal(SIGABRT, OnAbort);
  // Nobody is left to read the answer when the parent is gone.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return Missing("an end with its parent");
  if (!CloseOthers() || chdir("/") != 0) return Missing("closed descriptors");
  report.namespaces = unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS) == 0;
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return Missing("no new privileges");
  report.landlock_abi = DenyByLandlock();
  if (report.landlock_abi < 0) return Missing("Landlock, though the kernel says it has it");
  std::unique_ptr<void, FilterDeleter> filter(seccomp_init(SCMP_ACT_KILL_PROCESS));
  if (filter == nullptr || !AllowCalls(filter.get()) || !RefuseCalls(filter.get())) {
    return Missing("a system call filter");
  }
  CLOISTER_RETURN_IF_ERROR(LimitResources(limits, report));
  if (seccomp_load(filter.get()) != 0) return Missing("a system call filter");
  return report;
}

}  // namespace cloister::ingest
