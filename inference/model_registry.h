// SPDX-License-Identifier: Apache-2.0
// Which model files this appliance trusts, and the only way to open one: signature of the manifest first,
// digest of the file second, llama.cpp last. Does not fetch or convert models (deploy/setup does), and does
// not run them.
//
// A signed manifest is text:
//   cloister/models/v1\n
//   <base64 of the Ed25519 signature over this first line, its newline and the manifest's bytes>\n
//   <manifest: JSON as deploy/setup writes it>
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/file.h"
#include "common/status.h"
#include "crypto/signer.h"

namespace cloister::inference {

constexpr size_t kManifestBytesMax = 1024 * 1024;
constexpr size_t kManifestModelsMax = 256;

enum class ModelRole { kEmbedder, kGenerator };
enum class Pooling { kNone, kCls, kMean };

struct ModelInfo {
  std::string name;  // "bge-small-en-v1.5"
  ModelRole role = ModelRole::kEmbedder;
  std::string file;         // Name inside the folder of models; no path.
  std::string sha256;       // 64 lower-case hexadecimal digits.
  std::string licence;      // SPDX expression.
  std::string source;       // Package and version it was made from.
  uint32_t tokens_max = 0;  // The model's window.
  // Embedders only:
  uint32_t dimension = 0;  // 0 for a generator.
  Pooling pooling = Pooling::kNone;
  std::string question_prefix;  // In front of questions, not of passages; may be empty.
};

struct ModelManifest {
  std::vector<ModelInfo> models;
  // The first of this role. Errors: kNotFound.
  StatusOr<ModelInfo> Find(ModelRole role) const;
};

// Errors: kInvalidArgument (not JSON, an unknown format number, an unknown or missing field or one of the
// wrong type, a file name with a path, a digest that is none, two models of one name).
StatusOr<ModelManifest> ParseManifest(std::string_view json);

// Errors: those of ParseManifest; what does not parse is not signed.
StatusOr<std::string> SignManifest(std::string_view json, const crypto::Ed25519Signer& signer);
// Errors: kDataLoss (malformed, or not signed by `public_key`), then those of ParseManifest.
StatusOr<ModelManifest> OpenSignedManifest(std::string_view text, std::string_view public_key);

// A model's bytes in sealed anonymous memory: what was hashed is what will be loaded, whoever writes to the
// file meanwhile. Movable.
class VerifiedModel {
 public:
  // Reads `directory`/info.file once. Blocks on the disk.
  // Errors: kNotFound (no such file), kDataLoss (its digest is not info.sha256: the bytes are never parsed),
  // kResourceExhausted (memory), kUnavailable (I/O).
  static StatusOr<VerifiedModel> Open(const std::filesystem::path& directory, const ModelInfo& info);
  const ModelInfo& info() const { return info_; }
  int fd() const { return memory_.get(); }  // Readable from any offset; never writable again.

 private:
  VerifiedModel(ModelInfo info, FileDescriptor memory) : info_(std::move(info)), memory_(std::move(memory)) {}
  ModelInfo info_;
  FileDescriptor memory_;
};

// The folder that deploy/setup left the models in when this program was built.
std::filesystem::path SetUpModelDirectory();

}  // namespace cloister::inference
