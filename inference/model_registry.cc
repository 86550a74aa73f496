// SPDX-License-Identifier: Apache-2.0
#include "inference/model_registry.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "common/bytes.h"
#include "crypto/hash.h"

namespace cloister::inference {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSignedFirstLine = "cloister/models/v1\n";
constexpr uint32_t kManifestFormat = 1;
constexpr size_t kCopyBytes = 1024 * 1024;

Status Bad(std::string_view what) {
  return InvalidArgument(std::string("model manifest: ") + std::string(what));
}

bool OnlyKnownFields(const Json& object, std::initializer_list<std::string_view> known) {
  for (const auto& item : object.items()) {
    if (std::find(known.begin(), known.end(), item.key()) == known.end()) return false;
  }
  return true;
}

StatusOr<std::string> StringField(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return Bad(std::string(name) + " must be a string");
  return found->get<std::string>();
}

StatusOr<uint32_t> CountField(const Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number_unsigned())
    return Bad(std::string(name) + " must be a number");
  const auto value = found->get<uint64_t>();
  if (value == 0 || value > std::numeric_limits<int32_t>::max())
    return Bad(std::string(name) + " is out of range");
  return static_cast<uint32_t>(value);
}

Status CheckNames(const ModelInfo& info) {
  if (info.name.empty()) return Bad("name is empty");
  if (info.file.empty() || info.file == "." || info.file == ".." ||
      info.file.find('/') != std::string::npos) {
    return Bad("file must be a name without a path");
  }
  const auto digest = HexDecode(info.sha256);
  if (!digest.ok() || digest->size() != crypto::kSha256Bytes)
    return Bad("sha256 must be 64 hexadecimal digits");
  return Status();
}

Status ParseEmbedder(const Json& object, ModelInfo& info) {
  CLOISTER_ASSIGN_OR_RETURN(info.dimension, CountField(object, "dimension"));
  CLOISTER_ASSIGN_OR_RETURN(info.question_prefix, StringField(object, "question_prefix"));
  CLOISTER_ASSIGN_OR_RETURN(const std::string pooling, StringField(object, "pooling"));
  if (pooling != "cls" && pooling != "mean") return Bad("pooling must be cls or mean");
  info.pooling = pooling == "cls" ? Pooling::kCls : Pooling::kMean;
  return Status();
}

StatusOr<ModelInfo> ParseModel(const Json& object) {
  if (!object.is_object()) return Bad("a model must be an object");
  ModelInfo info;
  CLOISTER_ASSIGN_OR_RETURN(const std::string role, StringField(object, "role"));
  if (role != "embedder" && role != "generator") return Bad("role must be embedder or generator");
  info.role = role == "embedder" ? ModelRole::kEmbedder : ModelRole::kGenerator;
  const bool known =
      info.role == ModelRole::kEmbedder
          ? OnlyKnownFields(object, {"name", "role", "file", "sha256", "licence", "source", "tokens_max",
                                     "dimension", "pooling", "question_prefix"})
          : OnlyKnownFields(object, {"name", "role", "file", "sha256", "licence", "source", "tokens_max"});
  if (!known) return Bad("a model has an unknown field");
  CLOISTER_ASSIGN_OR_RETURN(info.name, StringField(object, "name"));
  CLOISTER_ASSIGN_OR_RETURN(info.file, StringField(object, "file"));
  CLOISTER_ASSIGN_OR_RETURN(info.sha256, StringField(object, "sha256"));
  CLOISTER_ASSIGN_OR_RETURN(info.licence, StringField(object, "licence"));
  CLOISTER_ASSIGN_OR_RETURN(info.source, StringField(object, "source"));
  CLOISTER_ASSIGN_OR_RETURN(info.tokens_max, CountField(object, "tokens_max"));
  if (info.role == ModelRole::kEmbedder) CLOISTER_RETURN_IF_ERROR(ParseEmbedder(object, info));
  CLOISTER_RETURN_IF_ERROR(CheckNames(info));
  return info;
}

// Copies all of `from` into `to`; the digest of what was copied.
StatusOr<std::string> CopyAndHash(int from, int to) {
  crypto::Sha256Stream hash;
  std::string buffer(kCopyBytes, '\0');
  while (true) {
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return ErrnoStatus(errno, "reading the model");
    if (count == 0) return hash.Finish();
    const std::string_view bytes(buffer.data(), static_cast<size_t>(count));
    hash.Update(bytes);
    CLOISTER_RETURN_IF_ERROR(Annotate(WriteAll(to, bytes), "holding the model in memory"));
  }
}

}  // namespace

StatusOr<ModelInfo> ModelManifest::Find(ModelRole role) const {
  for (const ModelInfo& info : models) {
    if (info.role == role) return info;
  }
  return NotFound(role == ModelRole::kEmbedder ? "the model manifest names no embedder"
                                               : "the model manifest names no generator");
}

StatusOr<ModelManifest> ParseManifest(std::string_view json) {
  if (json.size() > kManifestBytesMax) return Bad("over 1 MiB");
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return Bad("not a JSON object");
  CLOISTER_ASSIGN_OR_RETURN(const uint32_t format, CountField(parsed, "format"));
  if (format != kManifestFormat)
    return Bad("format " + std::to_string(format) + " is not known to this version");
  const auto models = parsed.find("models");
  if (models == parsed.end() || !models->is_array()) return Bad("models must be a list");
  if (models->size() > kManifestModelsMax) return Bad("more than 256 models");
  if (!OnlyKnownFields(parsed, {"format", "models"})) return Bad("unknown field");
  ModelManifest manifest;
  std::set<std::string> names;
  for (const Json& object : *models) {
    CLOISTER_ASSIGN_OR_RETURN(ModelInfo info, ParseModel(object));
    if (!names.insert(info.name).second) return Bad("two models have one name");
    manifest.models.push_back(std::move(info));
  }
  return manifest;
}

StatusOr<std::string> SignManifest(std::string_view json, const crypto::Ed25519Signer& signer) {
  CLOISTER_RETURN_IF_ERROR(ParseManifest(json).status());
  const std::string message = std::string(kSignedFirstLine) + std::string(json);
  return std::string(kSignedFirstLine) + Base64Encode(signer.Sign(message)) + "\n" + std::string(json);
}

StatusOr<ModelManifest> OpenSignedManifest(std::string_view text, std::string_view public_key) {
  if (!text.starts_with(kSignedFirstLine))
    return DataLoss("the model manifest is not a signed one of a known version");
  text.remove_prefix(kSignedFirstLine.size());
  const size_t line_end = text.find('\n');
  if (line_end == std::string_view::npos) return DataLoss("the model manifest has no signature");
  const auto signature = Base64Decode(text.substr(0, line_end));
  const std::string_view json = text.substr(line_end + 1);
  if (!signature.ok() ||
      !crypto::Ed25519Verify(public_key, std::string(kSignedFirstLine) + std::string(json), *signature)) {
    return DataLoss("the model manifest is not signed by this appliance");
  }
  return ParseManifest(json);
}

StatusOr<VerifiedModel> VerifiedModel::Open(const std::filesystem::path& directory, const ModelInfo& info) {
  CLOISTER_RETURN_IF_ERROR(CheckNames(info));
  const FileDescriptor file(::open((directory / info.file).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "opening the model");
  FileDescriptor memory(::memfd_create("cloister-model", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return ResourceExhausted("no memory for the model");
  CLOISTER_ASSIGN_OR_RETURN(const std::string digest, CopyAndHash(file.get(), memory.get()));
  if (HexEncode(digest) != info.sha256) {
    return DataLoss("the file of a model is not the one its manifest names; it was not opened");
  }
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return ErrnoStatus(errno, "sealing the model's memory");
  }
  return VerifiedModel(info, std::move(memory));
}

std::filesystem::path SetUpModelDirectory() { return CLOISTER_SETUP_MODEL_DIRECTORY; }

}  // namespace cloister::inference
