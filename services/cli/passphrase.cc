// SPDX-License-Identifier: Apache-2.0
#include "services/cli/passphrase.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "common/file.h"
#include "crypto/password.h"

namespace cloister::services {
namespace {

Status TooLong(std::string_view what) {
  return InvalidArgument("the " + std::string(what) + " is longer than " + std::to_string(crypto::kPassphraseBytesMax) +
                         " bytes");
}

// Takes the line end off, wipes `bytes`, and checks what is left.
StatusOr<crypto::Secret> TakeLine(std::string_view what, std::string& bytes) {
  std::string_view line = bytes;
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  Status problem;
  if (line.empty()) {
    problem = InvalidArgument("the " + std::string(what) + " is empty");
  } else if (line.size() > crypto::kPassphraseBytesMax) {
    problem = TooLong(what);
  } else if (line.find('\n') != std::string_view::npos) {
    problem = InvalidArgument("the " + std::string(what) + " has more than one line");
  }
  crypto::Secret out(problem.ok() ? line : std::string_view());
  crypto::Wipe(bytes.data(), bytes.size());
  if (!problem.ok()) return problem;
  return out;
}

// Turns the echo off for as long as it lives.
class SilentTerminal {
 public:
  explicit SilentTerminal(int fd) : fd_(fd) {
    if (::tcgetattr(fd_, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent_ = ::tcsetattr(fd_, TCSAFLUSH, &silent) == 0;
  }
  ~SilentTerminal() {
    if (silent_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  bool silent() const { return silent_; }

 private:
  int fd_;
  termios before_{};
  bool silent_ = false;
};

StatusOr<crypto::Secret> AskOnce(int terminal, std::string_view prompt) {
  const SilentTerminal guard(terminal);
  if (!guard.silent()) return FailedPrecondition("the terminal's echo cannot be turned off");
  CLOISTER_RETURN_IF_ERROR(WriteAll(terminal, std::string(prompt) + ": "));
  std::string line;
  line.reserve(crypto::kPassphraseBytesMax + 2);
  char c = 0;
  while (line.size() <= crypto::kPassphraseBytesMax) {
    const ssize_t got = ::read(terminal, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || c == '\n') break;
    line.push_back(c);
  }
  (void)WriteAll(terminal, "\n");
  return TakeLine(kPassphrase, line);
}

}  // namespace

StatusOr<crypto::Secret> ReadSecretFile(const std::filesystem::path& file, std::string_view what) {
  const std::string name = std::string(what) + " file";
  FileDescriptor fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat info;
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) return ErrnoStatus(errno, name);
  if (S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
    return FailedPrecondition("others may read the " + name + "; run: chmod 600 '" + file.string() + "'");
  }
  if (!S_ISREG(info.st_mode)) ::fcntl(fd.get(), F_SETFL, 0);  // A pipe, say: wait for its writer.
  StatusOr<std::string> bytes = ReadAll(fd.get(), crypto::kPassphraseBytesMax + 2);
  if (bytes.status().code() == StatusCode::kResourceExhausted) return TooLong(what);
  if (!bytes.ok()) return Annotate(bytes.status(), name);
  return TakeLine(what, *bytes);
}

StatusOr<crypto::Secret> AskPassphrase(std::string_view prompt, bool confirm) {
  FileDescriptor terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY));
  if (!terminal.valid()) {
    return FailedPrecondition("there is no terminal to ask on; give the passphrase with --passphrase-file");
  }
  CLOISTER_ASSIGN_OR_RETURN(crypto::Secret first, AskOnce(terminal.get(), prompt));
  if (!confirm) return first;
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret second, AskOnce(terminal.get(), "Once more"));
  if (!crypto::ConstantTimeEqual(first.view(), second.view())) {
    return FailedPrecondition("the two passphrases differ; nothing was changed");
  }
  return first;
}

}  // namespace cloister::services
