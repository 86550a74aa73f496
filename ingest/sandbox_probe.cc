// SPDX-License-Identifier: Apache-2.0
// For tests: enters the sandbox and then does one thing a parser must not be able to do. Takes the same arguments as
// cloister-parse and reads what to do from standard input, so that SandboxedParser can start it in its place.
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "common/file.h"
#include "ingest/parse.h"
#include "ingest/sandbox.h"

namespace {

using cloister::ingest::EnterSandbox;

// Answers as a parse process does, with `text` as the document.
int Answer(const std::string& text) {
  const auto result = cloister::ingest::ParseBytes(cloister::ingest::MediaType::kText, text, {});
  return cloister::WriteAll(STDOUT_FILENO, cloister::ingest::EncodeParseResult(result)).ok() ? 0 : 1;
}

int Do(std::string_view what) {
  if (what == "socket") return socket(AF_INET, SOCK_STREAM, 0) < 0 ? 1 : 0;
  if (what == "fork") return static_cast<int>(syscall(SYS_fork));
  if (what == "exec") return execl("/bin/true", "true", nullptr);
  if (what == "kill") return static_cast<int>(syscall(SYS_kill, getppid(), 0));
  if (what == "ptrace") return static_cast<int>(syscall(SYS_ptrace, 16, getppid(), 0, 0));
  if (what == "code") return mmap(nullptr, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
  if (what == "open") {
    const bool refused = open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES && open("/tmp/x", O_CREAT | O_WRONLY, 0600) < 0;
    return Answer(refused ? "refused" : "opened");
  }
  if (what == "memory") {
    std::vector<std::string> hoard;
    while (true) hoard.emplace_back(16 << 20, 'x');
  }
  if (what == "abort-for-memory") {
    errno = ENOMEM;
    std::abort();
  }
  if (what == "time") {
    volatile bool forever = true;
    while (forever) {}
  }
  if (what == "sleep") {
    while (true) sched_yield();
  }
  if (what == "flood") {
    const std::string bytes(1 << 20, 'x');
    while (write(STDOUT_FILENO, bytes.data(), bytes.size()) > 0) {}
    return 0;
  }
  if (what == "crash") __builtin_trap();
  if (what == "abort") std::abort();
  if (what == "nonsense") return cloister::WriteAll(STDOUT_FILENO, "CLPD nonsense").ok() ? 0 : 1;
  if (what == "silence") return 0;
  if (what == "exit") return 3;
  if (what == "lie") return cloister::ingest::kExitSandbox;
  if (what == "environment") return Answer(environ == nullptr || environ[0] == nullptr ? "empty" : "not empty");
  return Answer(std::string(what));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) _exit(cloister::ingest::kExitUsage);
  cloister::ingest::SandboxLimits limits;
  limits.memory_bytes_max = std::stoull(argv[4]);
  limits.cpu_seconds_max = static_cast<uint32_t>(std::stoul(argv[6]));
  cloister::ingest::WarmUpParsers();
  const auto report = EnterSandbox(limits);
  if (!report.ok()) _exit(cloister::ingest::kExitSandbox);
  const auto what = cloister::ReadAll(STDIN_FILENO, 1 << 20);
  if (what.ok() && *what == "report") _exit(Answer(report->namespaces ? "namespaces" : "no namespaces"));
  _exit(what.ok() ? Do(*what) : 1);
}
