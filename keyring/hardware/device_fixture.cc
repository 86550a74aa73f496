// SPDX-License-Identifier: Apache-2.0
#include "keyring/hardware/device_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "common/status.h"

namespace cloister::keyring {
namespace {

constexpr int kStartAttempts = 3000;

pid_t Spawn(std::vector<std::string> words, const std::string& output) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  CLOISTER_CHECK(out >= 0);
  const pid_t pid = ::fork();
  CLOISTER_CHECK(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // A test that is killed leaves nothing running.
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  ::close(out);
  return pid;
}

// Whether somebody accepts connections at `path`. Its file is there a moment earlier.
bool IsListening(const std::string& path) {
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    std::istringstream words(line);
    std::string number, references, protocol, flags, type, state, inode, name;
    words >> number >> references >> protocol >> flags >> type >> state >> inode >> name;
    if (name == path && flags == "00010000") return true;  // SO_ACCEPTCON.
  }
  return false;
}

}  // namespace

std::string MissingProgram(const std::string& program, const std::string& package) {
  std::istringstream folders(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return "";
  }
  return "no " + program + ": install the package " + package;
}

void SoftwareTpm::Start() {
  const std::string folder = folder_.path().string();
  for (const char* suffix : {"", ".ctrl"}) std::filesystem::remove(socket() + suffix);
  pid_ = Spawn({"swtpm", "socket", "--tpm2", "--tpmstate", "dir=" + folder, "--server",
                "type=unixio,path=" + socket(), "--ctrl", "type=unixio,path=" + socket() + ".ctrl", "--flags",
                "not-need-init,startup-clear", "--log", "file=" + folder + "/log,level=20"},
               folder + "/output");
  for (int attempt = 0; attempt < kStartAttempts; ++attempt) {
    if (IsListening(socket()) && IsListening(socket() + ".ctrl")) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  CLOISTER_CHECK(!"swtpm did not start");
}

void SoftwareTpm::Kill() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::string SoftwareTpm::Traffic() const {
  std::ifstream in(folder_.path() / "log");
  std::string out;
  for (char byte; in.get(byte);) out += std::isspace(static_cast<unsigned char>(byte)) ? ' ' : byte;
  // The log breaks lines between bytes.
  for (size_t at; (at = out.find("  ")) != std::string::npos;) out.erase(at, 1);
  return out;
}

std::string SoftwareToken::Module() {
  for (const char* path :
       {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return "";
}

SoftwareToken::SoftwareToken() {
  const std::string folder = folder_.path().string();
  std::filesystem::create_directory(folder + "/tokens");
  std::ofstream(folder + "/softhsm2.conf")
      << "directories.tokendir = " << folder << "/tokens\nobjectstore.backend = file\nlog.level = ERROR\n";
  CLOISTER_CHECK(::setenv("SOFTHSM2_CONF", (folder + "/softhsm2.conf").c_str(), 1) == 0);
  const pid_t pid = Spawn(
      {"softhsm2-util", "--init-token", "--free", "--label", kLabel, "--pin", kPin, "--so-pin", "31415926"},
      folder + "/output");
  int status = 0;
  CLOISTER_CHECK(::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

SoftwareToken::~SoftwareToken() { ::unsetenv("SOFTHSM2_CONF"); }

void SoftwareToken::Pull() {
  std::filesystem::rename(folder_.path() / "tokens", folder_.path() / "pulled");
  std::filesystem::create_directory(folder_.path() / "tokens");
}

void SoftwareToken::PutBack() {
  std::filesystem::remove_all(folder_.path() / "tokens");
  std::filesystem::rename(folder_.path() / "pulled", folder_.path() / "tokens");
}

}  // namespace cloister::keyring
