// SPDX-License-Identifier: Apache-2.0
// A directory that goes away with its owner. For tests only.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/status.h"

namespace cloister::storage {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "cloister-test-XXXXXX").string();
    CLOISTER_CHECK(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  ~TemporaryDirectory() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cloister::storage
