// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "services/server/signals.h"

extern char** environ;

namespace cloister::services {
namespace {

// Above any number a child is given.
constexpr int kFirstSpareFd = 64;
constexpr int kExecFailed = 127;
constexpr std::string_view kEnvironmentPrefixes[] = {
    "CLOISTER_",     "LANG=",          "LC_",           "TZ=",
    "TMPDIR=",       "PATH=",          "HOME=",         "LD_LIBRARY_PATH=",
    "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=",
};

// Between fork and exec: only async-signal-safe calls, for other threads may hold any lock.
[[noreturn]] void Become(pid_t parent, const char* program, char** arguments, char** environment, int output,
                         const int* inherited, int inherited_count) {
  // The parent may have died before this line: then the signal never comes.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(kExecFailed);
  ::setpgid(0, 0);
  DefaultSignals();
  // First out of the way, so that no descriptor is overwritten before it was moved.
  int moved[kFirstSpareFd];
  for (int i = 0; i < inherited_count; ++i) moved[i] = ::fcntl(inherited[i], F_DUPFD_CLOEXEC, kFirstSpareFd);
  const int moved_output = ::fcntl(output, F_DUPFD_CLOEXEC, kFirstSpareFd);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (::dup2(null, 0) < 0 || ::dup2(moved_output, 1) < 0 || ::dup2(moved_output, 2) < 0) ::_exit(kExecFailed);
  for (int i = 0; i < inherited_count; ++i) {
    if (::dup2(moved[i], 3 + i) < 0) ::_exit(kExecFailed);
  }
  ::close_range(static_cast<unsigned>(3 + inherited_count), ~0u, 0);
  ::execve(program, arguments, environment);
  ::_exit(kExecFailed);
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& string : strings) out.push_back(string.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

std::vector<std::string> ChildEnvironment() {
  std::vector<std::string> out;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    for (const std::string_view prefix : kEnvironmentPrefixes) {
      if (std::string_view(*entry).starts_with(prefix)) out.emplace_back(*entry);
    }
  }
  // Threads of the models that wait for each other sleep instead of spinning: several services share few
  // cores.
  out.emplace_back("OMP_WAIT_POLICY=passive");
  return out;
}

StatusOr<FileDescriptor> PipeHolding(std::string_view bytes) {
  if (bytes.size() > kPipeBytesMax) return ResourceExhausted("more than a pipe holds");
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
  FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  CLOISTER_RETURN_IF_ERROR(WriteAll(writer.get(), bytes));
  return reader;
}

std::string DescribeExit(int wait_status) {
  if (WIFSIGNALED(wait_status)) return "signal " + std::to_string(WTERMSIG(wait_status));
  return "exit status " + std::to_string(WEXITSTATUS(wait_status));
}

StatusOr<Child> Child::Start(ChildOptions options) {
  CLOISTER_CHECK(options.inherited.size() < static_cast<size_t>(kFirstSpareFd));
  if (::access(options.program.c_str(), X_OK) != 0) {
    return NotFound("the program " + options.program.filename().string() + " is missing beside this one");
  }
  std::vector<std::string> arguments = std::move(options.arguments);
  arguments.insert(arguments.begin(), options.program.string());
  std::vector<char*> argument_pointers = Pointers(arguments);
  std::vector<char*> environment_pointers = Pointers(options.environment);
  std::vector<int> inherited;
  for (const FileDescriptor& fd : options.inherited) inherited.push_back(fd.get());
  const pid_t parent = ::getpid();
  // A signal that reaches the child before it has let go of our handlers waits until it has.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, &before);
  const pid_t pid = ::fork();
  const int fork_error = errno;
  if (pid != 0) ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return ErrnoStatus(fork_error, "fork");
  if (pid == 0) {
    Become(parent, options.program.c_str(), argument_pointers.data(), environment_pointers.data(),
           options.output.get(), inherited.data(), static_cast<int>(inherited.size()));
  }
  // Both sides do it: whoever comes first, it has happened before anybody signals the group.
  ::setpgid(pid, pid);
  return Child(pid);
}

Child& Child::operator=(Child&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, 0);
  }
  return *this;
}

Child::~Child() { Kill(); }

std::optional<int> Child::Poll() {
  if (pid_ == 0) return std::nullopt;
  siginfo_t info{};
  // Not reaped yet, so that neither its number nor its group's can belong to somebody else.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) {
    return std::nullopt;
  }
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
  return status;
}

void Child::Terminate() {
  if (pid_ != 0) ::kill(pid_, SIGTERM);
}

void Child::Kill() {
  if (pid_ == 0) return;
  ::kill(-pid_, SIGKILL);
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = 0;
}

}  // namespace cloister::services
