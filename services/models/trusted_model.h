// SPDX-License-Identifier: Apache-2.0
// How a service gets its model: the manifest that `cloister init` signed, its signature checked with the
// public key from the keys service, the file's digest, and a record in the audit log, whether the model was
// taken or refused. Does not run models. Not thread-safe; used while a service starts.
#pragma once

#include "common/status.h"
#include "inference/model_registry.h"
#include "services/server/service_main.h"

namespace cloister::services {

// The identity and the name of the key that signs DATA/models/manifest.
constexpr std::string_view kModelSigner = "supervisor";
constexpr std::string_view kModelSigningKey = "models";

// DATA/models/manifest
std::filesystem::path SignedManifestPath(const std::filesystem::path& data_directory);

// The bytes of the model of this role, verified. A refusal for the model's or the manifest's sake appends
// model.rejected first. Blocks on the disk, keys and audit.
// Errors: kNotFound (no manifest, no such model or file, keys has no such signer), kDataLoss (signature or
// digest), kInvalidArgument (manifest), kUnavailable (keys, audit or I/O).
StatusOr<inference::VerifiedModel> OpenTrustedModel(const ServiceContext& context, inference::ModelRole role);

// Appends model.loaded. The service is not healthy before this is durable.
Status RecordModelLoaded(const ServiceContext& context, const inference::ModelInfo& info);
// Appends model.rejected for a model that verified but that llama.cpp does not load, and gives `why` back.
Status RejectModel(const ServiceContext& context, inference::ModelRole role, const Status& why);

}  // namespace cloister::services
