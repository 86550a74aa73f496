// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/version_service.h"

#include <utility>

#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

grpc::Status BadAssertion(const Status& status) {
  return status.code() == StatusCode::kUnauthenticated ? ToGrpc(status, "BAD_ASSERTION", "assertion")
                                                       : ToGrpc(status);
}

// The reasons callers act upon; everything else carries its code and message alone.
grpc::Status VersionError(const Status& status) {
  switch (status.code()) {
    case StatusCode::kPermissionDenied:
      return ToGrpc(status, "NEEDS_ROLE", "assertion");
    case StatusCode::kUnauthenticated:
      return BadAssertion(status);
    default:
      return ToGrpc(status);
  }
}

void ToMessage(const retrieval::ListedVersion& version, v1::Version* out) {
  out->set_version_id(std::string(version.info->version.bytes()));
  out->set_stored_at_ns(version.info->put_at_ns);
  out->set_superseded_at_ns(version.superseded_at_ns);
  if (version.kept_until_ns) out->set_kept_until_ns(*version.kept_until_ns);
  out->set_text_bytes(version.info->text_bytes);
  out->set_deleted(version.deleted);
}

}  // namespace

grpc::Status VersionsService::ListVersions(grpc::ServerContext*, const v1::ListVersionsRequest* request,
                                           v1::ListVersionsResponse* response) {
  const auto assertion = verifier_.Verify(request->assertion());
  if (!assertion.ok()) return BadAssertion(assertion.status());
  retrieval::VersionQuery query;
  query.name = {request->document().collection(), request->document().origin(), request->document().source()};
  if (!request->document().document_id().empty()) {
    const auto id = DocumentId::FromBytes(request->document().document_id());
    if (!id.ok()) return ToGrpc(id.status(), "BAD_ID", "document_id", kIdBytes);
    query.document = *id;
  }
  const auto versions = releaser_.ListVersions(assertion->principal, query);
  if (!versions.ok()) return VersionError(versions.status());
  const retrieval::DocumentInfo& newest = *versions->front().info;
  response->mutable_document()->set_collection(newest.collection);
  response->mutable_document()->set_origin(newest.origin);
  response->mutable_document()->set_source(newest.source);
  response->mutable_document()->set_document_id(std::string(newest.document.bytes()));
  for (const retrieval::ListedVersion& version : *versions) ToMessage(version, response->add_versions());
  return grpc::Status::OK;
}

grpc::Status VersionsService::ReadVersion(grpc::ServerContext*, const v1::ReadVersionRequest* request,
                                          v1::VersionText* response) {
  const auto assertion = verifier_.Verify(request->assertion());
  if (!assertion.ok()) return BadAssertion(assertion.status());
  const auto document = DocumentId::FromBytes(request->document_id());
  if (!document.ok()) return ToGrpc(document.status(), "BAD_ID", "document_id", kIdBytes);
  const auto version = VersionId::FromBytes(request->version_id());
  if (!version.ok()) return ToGrpc(version.status(), "BAD_ID", "version_id", kIdBytes);
  auto read = releaser_.ReadText(assertion->principal, *document, *version, request->reason());
  if (read.status().code() == StatusCode::kInvalidArgument)
    return ToGrpc(read.status(), "BAD_REASON", "reason");
  if (!read.ok()) return VersionError(read.status());
  response->set_title(std::move(read->title));
  response->set_text(std::move(read->text));
  response->set_audit_index(read->audit_index);
  return grpc::Status::OK;
}

}  // namespace cloister::services
