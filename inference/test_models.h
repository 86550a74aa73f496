// SPDX-License-Identifier: Apache-2.0
// For tests: the models that deploy/setup left, and a temporary folder.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "common/file.h"
#include "inference/model_registry.h"

namespace cloister::inference {

inline StatusOr<VerifiedModel> OpenSetUpModel(ModelRole role) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string json,
                            ReadFile(SetUpModelDirectory() / "manifest.json", kManifestBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const ModelManifest manifest, ParseManifest(json));
  CLOISTER_ASSIGN_OR_RETURN(const ModelInfo info, manifest.Find(role));
  return VerifiedModel::Open(SetUpModelDirectory(), info);
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = (std::filesystem::temp_directory_path() / "cloister-XXXXXX").string();
    EXPECT_NE(::mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace cloister::inference
