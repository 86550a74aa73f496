// SPDX-License-Identifier: Apache-2.0
#include "ingest/sandboxed_parser.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "common/file.h"
#include "ingest/sandbox.h"

namespace cloister::ingest {
namespace {

using Time = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLookInterval{100};

// The bytes as a file in memory that nobody can change any more.
StatusOr<FileDescriptor> SealedMemory(std::string_view bytes) {
  FileDescriptor file(memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file.valid()) return ErrnoStatus(errno, "memory for a file to parse");
  CLOISTER_RETURN_IF_ERROR(WriteAll(file.get(), bytes));
  if (lseek(file.get(), 0, SEEK_SET) != 0 ||
      fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return ErrnoStatus(errno, "memory for a file to parse");
  }
  return file;
}

struct Pipe {
  FileDescriptor read, write;
};

StatusOr<Pipe> MakePipe() {
  int fds[2];
  if (pipe2(fds, O_CLOEXEC) != 0) return ErrnoStatus(errno, "a pipe from the parse process");
  return Pipe{FileDescriptor(fds[0]), FileDescriptor(fds[1])};
}

// A child that is killed and waited for at the end of this object, whatever happened.
class Child {
 public:
  ~Child() {
    if (pid_ > 0) Kill();
  }
  // posix_spawn and not fork: other threads of the service may hold locks.
  Status Start(const std::filesystem::path& binary, const std::vector<std::string>& arguments, int in, int out) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawn_file_actions_addchdir_np(&actions, "/");
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    char* environment[] = {nullptr};
    const int error = posix_spawn(&pid_, binary.c_str(), &actions, &attributes, argv.data(), environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) return Status();
    pid_ = -1;
    return Unavailable("the parse process cannot be started; is cloister-parse beside the other programs?");
  }

  // Waits until it ended or `deadline`; false at the deadline.
  bool WaitUntil(Time::time_point deadline) {
    while (wait4(pid_, &status_, WNOHANG, &usage_) == 0) {
      if (Time::now() >= deadline) return false;
      poll(nullptr, 0, 2);
    }
    pid_ = -1;
    return true;
  }

  void Kill() {
    kill(pid_, SIGKILL);
    wait4(pid_, &status_, 0, &usage_);
    pid_ = -1;
  }

  int status() const { return status_; }
  double cpu_seconds() const {
    return static_cast<double>(usage_.ru_utime.tv_sec + usage_.ru_stime.tv_sec) +
           static_cast<double>(usage_.ru_utime.tv_usec + usage_.ru_stime.tv_usec) / 1e6;
  }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  rusage usage_{};
};

enum class ReadEnd { kEndOfFile, kTooLong, kTimeLimit, kCancelled };

ReadEnd ReadUntil(int fd, size_t bytes_max, Time::time_point deadline, const std::atomic<bool>* cancelled,
                  std::string& out) {
  constexpr size_t kReadBytes = 1 << 16;
  while (true) {
    if (cancelled != nullptr && cancelled->load()) return ReadEnd::kCancelled;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Time::now());
    if (left.count() <= 0) return ReadEnd::kTimeLimit;
    pollfd readable{fd, POLLIN, 0};
    if (poll(&readable, 1, static_cast<int>(std::min(left, kLookInterval).count())) <= 0) continue;
    const size_t size = out.size();
    out.resize(size + kReadBytes);
    const ssize_t got = read(fd, out.data() + size, kReadBytes);
    out.resize(size + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) return ReadEnd::kEndOfFile;
    if (out.size() > bytes_max) return ReadEnd::kTooLong;
  }
}

ParseOutcome Failed(std::string reason, bool hostile) { return {std::nullopt, std::move(reason), hostile}; }

constexpr char kNonsense[] = "made the parser answer nonsense";

}  // namespace

std::string RefusalMessage(Refusal refusal) {
  switch (refusal) {
    case Refusal::kEncrypted: return "is encrypted with a password; bring in a copy without one";
    case Refusal::kNoText: return "has pages but no text on them (scanned images?); text recognition is not part of this version";
    case Refusal::kEmpty: return "has no text";
    case Refusal::kDamaged: return "is damaged or not what its name says";
    case Refusal::kTooManyPages: return "has more than " + std::to_string(kPagesMax) + " pages; divide it";
    case Refusal::kTextTooLong: return "has more text than one document may have; divide it";
    case Refusal::kUnsupported: return "is of a format that is not supported";
    case Refusal::kTooDeep: return "is nested deeper than any honest document";
    case Refusal::kMemory: return "needed more memory than one file may take";
    case Refusal::kNotText: return "is named as text but is not text";
  }
  return "was refused";
}

StatusOr<ParseOutcome> SandboxedParser::Parse(MediaType type, std::string_view bytes,
                                              const std::atomic<bool>* cancelled) const {
  auto outcome = ParseOnce(type, bytes, cancelled);
  const StatusCode code = outcome.status().code();
  if (type == MediaType::kUnsupported || (code != StatusCode::kFailedPrecondition && code != StatusCode::kInternal)) {
    return outcome;
  }
  // The process says that it cannot work at all. A file that took the parser over could make it say so to stop
  // the whole job: ask again with a file that cannot.
  const auto check = ParseOnce(MediaType::kText, "check", cancelled);
  if (check.ok() && check->document) return Failed(kNonsense, true);
  return outcome;
}

StatusOr<ParseOutcome> SandboxedParser::ParseOnce(MediaType type, std::string_view bytes,
                                                  const std::atomic<bool>* cancelled) const {
  CLOISTER_ASSIGN_OR_RETURN(Answer answer, Run(MediaTypeName(type), bytes, cancelled));
  if (!answer.failure.empty()) return Failed(std::move(answer.failure), answer.hostile);
  auto result = DecodeParseResult(answer.bytes);
  if (!result.ok() && result.status().code() == StatusCode::kFailedPrecondition) return result.status();
  if (!result.ok()) return Failed(kNonsense, true);
  if (result->refused) return Failed(RefusalMessage(result->refusal), result->refusal == Refusal::kTooDeep);
  ParseOutcome outcome;
  outcome.document = std::move(result->document);
  return outcome;
}

StatusOr<Manifest> SandboxedParser::ParseManifest(std::string_view toml, const std::atomic<bool>* cancelled) const {
  CLOISTER_ASSIGN_OR_RETURN(const Answer answer, Run(kManifestInput, toml, cancelled));
  if (!answer.failure.empty()) return answer.hostile ? DataLoss(answer.failure) : Unavailable(answer.failure);
  auto result = DecodeManifestResult(answer.bytes);
  if (!result.ok() && result.status().code() == StatusCode::kFailedPrecondition) return result.status();
  if (!result.ok()) return DataLoss(kNonsense);
  if (!result->problem.empty()) return InvalidArgument(result->problem);
  return std::move(result->manifest);
}

StatusOr<SandboxedParser::Answer> SandboxedParser::Run(std::string_view input_kind, std::string_view bytes,
                                                       const std::atomic<bool>* cancelled) const {
  const auto failed = [](std::string reason, bool hostile) { return Answer{"", std::move(reason), hostile}; };
  CLOISTER_ASSIGN_OR_RETURN(FileDescriptor input, SealedMemory(bytes));
  CLOISTER_ASSIGN_OR_RETURN(Pipe output, MakePipe());
  const std::vector<std::string> arguments = {
      "cloister-parse", "--media-type", std::string(input_kind), "--memory-bytes",
      std::to_string(options_.memory_bytes_max), "--cpu-seconds", std::to_string(options_.cpu_seconds_max)};
  Child child;
  CLOISTER_RETURN_IF_ERROR(child.Start(options_.binary, arguments, input.get(), output.write.get()));
  output.write.Reset();
  input.Reset();

  const std::string mib = std::to_string(options_.memory_bytes_max >> 20);
  const std::string seconds = std::to_string(options_.cpu_seconds_max);
  const std::string wall = std::to_string(std::chrono::duration_cast<std::chrono::seconds>(options_.wall_max).count());
  const Time::time_point deadline = Time::now() + options_.wall_max;
  std::string answer;
  ReadEnd end = ReadUntil(output.read.get(), options_.output_bytes_max, deadline, cancelled, answer);
  if (end == ReadEnd::kEndOfFile && !child.WaitUntil(deadline)) end = ReadEnd::kTimeLimit;
  if (end != ReadEnd::kEndOfFile) child.Kill();
  if (end == ReadEnd::kCancelled) return Error(StatusCode::kCancelled, "parsing was cancelled");
  if (end == ReadEnd::kTooLong) return failed("made the parser write more than it may", true);
  // The sandbox has no way to wait, so the file is not to blame when the processor's time was not used up.
  if (end == ReadEnd::kTimeLimit) return failed("took more than " + wall + " s to parse; is the machine overloaded? run it again", false);

  const int status = child.status();
  if (WIFSIGNALED(status)) {
    const int signal = WTERMSIG(status);
    const bool out_of_time = signal == SIGXCPU || (signal == SIGKILL && child.cpu_seconds() >= options_.cpu_seconds_max);
    if (out_of_time) return failed("took more than " + seconds + " s of processor time to parse", true);
    if (signal == SIGSYS) return failed("made the parser try something no parser does, and was stopped", true);
    return failed("crashed the parser; the crash was contained", true);
  }
  switch (WEXITSTATUS(status)) {
    case 0: break;
    case kExitMemory: return failed("needed more than " + mib + " MiB of memory to parse", true);
    case kExitUsage: return Internal("the parse process did not understand its arguments; are both of one build?");
    case kExitSandbox:
      return FailedPrecondition("the parse process could not apply its sandbox and refused to run; "
                                "seccomp and resource limits must be available to it");
    default: return failed("crashed the parser; the crash was contained", true);
  }
  return Answer{std::move(answer), "", false};
}

}  // namespace cloister::ingest
