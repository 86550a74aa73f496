// SPDX-License-Identifier: Apache-2.0
// Programs that play devices: swtpm for a TPM, SoftHSM for a token. For tests only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "storage/temporary_directory.h"

namespace cloister::keyring {

// Empty when `program` is on the PATH, else what to install.
std::string MissingProgram(const std::string& program, const std::string& package);

// A TPM with its state in a folder of its own. Its socket is swtpm's TCTI.
class SoftwareTpm {
 public:
  SoftwareTpm() { Start(); }
  ~SoftwareTpm() { Kill(); }
  SoftwareTpm(const SoftwareTpm&) = delete;
  SoftwareTpm& operator=(const SoftwareTpm&) = delete;
  // As power on: PCRs are zero again, NV indexes are as they were.
  void Start();
  void Kill();  // kill -9.
  std::string tcti() const { return "swtpm:path=" + socket(); }
  // Every command and answer as the TPM saw them, as digits and blanks.
  std::string Traffic() const;

 private:
  std::string socket() const { return (folder_.path() / "tpm").string(); }
  storage::TemporaryDirectory folder_;
  pid_t pid_ = -1;
};

// A token in a folder of its own. SoftHSM takes its configuration from the environment, so one lives at a
// time.
class SoftwareToken {
 public:
  static constexpr const char* kLabel = "cloister test";
  static constexpr const char* kPin = "271828";
  static std::string Module();  // Path of SoftHSM's library; empty when there is none.
  SoftwareToken();
  ~SoftwareToken();
  SoftwareToken(const SoftwareToken&) = delete;
  SoftwareToken& operator=(const SoftwareToken&) = delete;
  void Pull();  // Its files are gone.
  void PutBack();

 private:
  storage::TemporaryDirectory folder_;
};

}  // namespace cloister::keyring
