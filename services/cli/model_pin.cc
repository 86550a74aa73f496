// SPDX-License-Identifier: Apache-2.0
#include "services/cli/model_pin.h"

#include <utility>

#include "common/file.h"
#include "crypto/signer.h"

namespace cloister::services {

StatusOr<CheckedModels> CheckModels(const std::filesystem::path& directory) {
  StatusOr<std::string> json = ReadFile(directory / "manifest.json", inference::kManifestBytesMax);
  if (!json.ok()) {
    if (json.status().code() != StatusCode::kNotFound) return Annotate(json.status(), "model manifest");
    return NotFound("there are no models in " + directory.string() +
                    "; run ./deploy/setup, or set models.directory in cloister.toml");
  }
  CLOISTER_ASSIGN_OR_RETURN(inference::ModelManifest manifest, inference::ParseManifest(*json));
  for (const inference::ModelInfo& info : manifest.models) {
    const auto model = inference::VerifiedModel::Open(directory, info);
    if (!model.ok()) return Annotate(model.status(), "model " + info.name);
  }
  return CheckedModels{*std::move(json), std::move(manifest)};
}

Status PinModels(const CheckedModels& models, storage::KeySource& supervisor_keys,
                 const std::filesystem::path& data_directory) {
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key,
                            supervisor_keys.GetNamedKey(storage::KeyKind::kSigning, "models"));
  CLOISTER_ASSIGN_OR_RETURN(const auto signer, crypto::Ed25519Signer::FromSeed(key.key->view()));
  CLOISTER_ASSIGN_OR_RETURN(const std::string signed_manifest,
                            inference::SignManifest(models.manifest_json, signer));
  CLOISTER_RETURN_IF_ERROR(MakePrivateDirectory(data_directory / "models"));
  return WriteFileAtomic(data_directory / "models" / "manifest", signed_manifest, 0600);
}

}  // namespace cloister::services
