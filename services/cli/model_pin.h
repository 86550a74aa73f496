// SPDX-License-Identifier: Apache-2.0
// Pins the models at `cloister init`: checks every file against the manifest of the set-up and signs that
// manifest with a key of this appliance, so that a model changed later is never opened.
#pragma once

#include <filesystem>
#include <string>

#include "common/status.h"
#include "inference/model_registry.h"
#include "storage/key_source.h"

namespace cloister::services {

// The models of `directory` with the manifest as it lies there, every digest checked. Reads every file whole.
struct CheckedModels {
  std::string manifest_json;
  inference::ModelManifest manifest;
};
// Errors: kNotFound (no manifest or model there), kDataLoss (a digest differs), kInvalidArgument (manifest).
StatusOr<CheckedModels> CheckModels(const std::filesystem::path& directory);

// Signs with the key "models" of `supervisor_keys` and writes DATA/models/manifest.
// Errors: those of KeySource and WriteFileAtomic.
Status PinModels(const CheckedModels& models, storage::KeySource& supervisor_keys,
                 const std::filesystem::path& data_directory);

}  // namespace cloister::services
