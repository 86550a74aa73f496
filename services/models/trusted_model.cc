// SPDX-License-Identifier: Apache-2.0
#include "services/models/trusted_model.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "cloister/v1/keys.grpc.pb.h"
#include "common/file.h"
#include "common/log.h"
#include "services/server/audit_client.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

constexpr std::chrono::seconds kKeysTimeout{10};

std::string_view RoleName(inference::ModelRole role) {
  return role == inference::ModelRole::kEmbedder ? "embedder" : "generator";
}

Status Record(const ServiceContext& context, std::string_view event, const nlohmann::json& body) {
  v1::AppendRequest request;
  request.set_event(std::string(event));
  request.set_body_json(body.dump());
  request.set_actor_kind("service");
  request.set_actor(context.credentials().identity);
  return AuditClient(context.ChannelTo("audit")).Append(request).status();
}

// A model or manifest that is not what it should be, in contrast to a service or disk that does not answer.
bool IsRefusal(const Status& status) {
  return status.code() == StatusCode::kDataLoss || status.code() == StatusCode::kInvalidArgument ||
         status.code() == StatusCode::kNotFound;
}

StatusOr<std::string> SignerPublicKey(const ServiceContext& context) {
  const auto stub = v1::Keys::NewStub(context.ChannelTo("keys"));
  grpc::ClientContext call;
  SetDeadline(call, kKeysTimeout);
  v1::GetPublicKeyRequest request;
  request.set_owner(std::string(kModelSigner));
  request.set_name(std::string(kModelSigningKey));
  v1::PublicKeyResponse response;
  CLOISTER_RETURN_IF_ERROR(
      Annotate(FromGrpc(stub->GetPublicKey(&call, request, &response)), "signer of models"));
  return response.public_key();
}

std::filesystem::path ModelDirectory(const Config& config) {
  const std::string& configured = config.String("models.directory");
  return configured.empty() ? inference::SetUpModelDirectory() : std::filesystem::path(configured);
}

StatusOr<inference::ModelInfo> TrustedInfo(const ServiceContext& context, inference::ModelRole role) {
  CLOISTER_ASSIGN_OR_RETURN(const std::string public_key, SignerPublicKey(context));
  const auto text = ReadFile(SignedManifestPath(context.data_directory()), inference::kManifestBytesMax * 2);
  if (!text.ok()) return Annotate(text.status(), "signed model manifest");
  CLOISTER_ASSIGN_OR_RETURN(const auto manifest, inference::OpenSignedManifest(*text, public_key));
  return manifest.Find(role);
}

}  // namespace

std::filesystem::path SignedManifestPath(const std::filesystem::path& data_directory) {
  return data_directory / "models" / "manifest";
}

StatusOr<inference::VerifiedModel> OpenTrustedModel(const ServiceContext& context,
                                                    inference::ModelRole role) {
  const auto info = TrustedInfo(context, role);
  if (!info.ok()) return RejectModel(context, role, info.status());
  auto model = inference::VerifiedModel::Open(ModelDirectory(context.config()), *info);
  if (!model.ok()) return RejectModel(context, role, Annotate(model.status(), "model " + info->name));
  return model;
}

Status RecordModelLoaded(const ServiceContext& context, const inference::ModelInfo& info) {
  Log(LogLevel::kInfo, "model.loaded", {{"model", info.name}});
  return Record(context, "model.loaded",
                {{"licence", info.licence},
                 {"name", info.name},
                 {"role", RoleName(info.role)},
                 {"sha256", info.sha256},
                 {"source", info.source}});
}

Status RejectModel(const ServiceContext& context, inference::ModelRole role, const Status& why) {
  if (!IsRefusal(why)) return why;
  LogStatus(LogLevel::kError, "model.rejected", why);
  const Status recorded =
      Record(context, "model.rejected", {{"reason", CodeName(why.code())}, {"role", RoleName(role)}});
  // The service does not start either way; the log then says that the record is missing.
  if (!recorded.ok()) LogStatus(LogLevel::kError, "model.rejection_not_recorded", recorded);
  return why;
}

}  // namespace cloister::services
