// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: a temporary directory, keys and events.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>

#include "audit/envelope.h"
#include "audit/log_writer.h"
#include "audit/note.h"
#include "common/clock.h"
#include "common/file.h"

namespace cloister::audit {

// A fresh directory, removed at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "cloister-audit-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline NoteSigner TestSigner(std::string_view name = "test/main/1") {
  return *NoteSigner::New(name, std::string(32, '\x07'));
}

inline NoteVerifier TestVerifier(std::string_view name = "test/main/1") {
  return *NoteVerifier::Parse(TestSigner(name).verifier_key());
}

inline Event NumberedEvent(uint64_t number) {
  Event event;
  event.name = "config.changed";
  event.body_json = "{\"number\":" + std::to_string(number) + "}";
  event.who = Actor{Actor::Kind::kService, "gateway"};
  return event;
}

inline LogWriterOptions TestOptions(const std::filesystem::path& directory) {
  LogWriterOptions options;
  options.directory = directory;
  options.tenant = "main";
  options.checkpoint_interval = std::chrono::milliseconds(1);
  options.reserve_bytes = 4096;
  return options;
}

// Writes what Export() gives out below `folder`.
inline Status ExportTo(const LogWriter& log, const std::filesystem::path& folder) {
  return log.Export([&](const std::string& path, uint64_t offset, std::string_view piece) {
    CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory((folder / path).parent_path()));
    std::string whole;
    if (offset > 0) {
      CLOISTER_ASSIGN_OR_RETURN(whole, ReadFile(folder / path, size_t{1} << 30));
    }
    whole += piece;
    return WriteFileAtomic(folder / path, whole, 0600);
  });
}

}  // namespace cloister::audit
