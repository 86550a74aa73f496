// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/retrieval_service.h"

#include <string>
#include <utility>

#include "services/retrieval/audit_records.h"
#include "services/retrieval/messages.h"
#include "services/server/maintenance.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

grpc::Status BadAssertion(const Status& status) {
  return status.code() == StatusCode::kUnauthenticated ? ToGrpc(status, "BAD_ASSERTION", "assertion")
                                                       : ToGrpc(status);
}

grpc::Status TooLarge(std::string_view reason, std::string_view field, uint64_t limit,
                      std::string_view unit) {
  return ToGrpc(
      InvalidArgument(std::string(field) + " has at most " + std::to_string(limit) + " " + std::string(unit)),
      reason, field, limit);
}

// The reasons callers act upon; everything else carries its code and message alone.
grpc::Status DocumentError(const Status& status) {
  switch (status.code()) {
    case StatusCode::kNotFound:
      return ToGrpc(status, "NO_SUCH_COLLECTION", "collection", 0, "Make the collection first.");
    case StatusCode::kFailedPrecondition:
      return ToGrpc(status, "EMBEDDER_MISMATCH", "embedder_sha256", 0,
                    "Ingest with the embedder of the documents that are there, or delete those first.");
    case StatusCode::kInvalidArgument:
      return ToGrpc(status, "BAD_DOCUMENT");
    case StatusCode::kPermissionDenied:
      return ToGrpc(status, "ERASED", "source");
    case StatusCode::kAborted:
      return ToGrpc(status, "VERSION_CHANGED", "source");
    default:
      return ToGrpc(status);
  }
}

StatusOr<retrieval::SearchMode> ModeFrom(v1::SearchMode mode) {
  switch (mode) {
    case v1::SEARCH_MODE_UNSPECIFIED:
    case v1::SEARCH_MODE_HYBRID:
      return retrieval::SearchMode::kHybrid;
    case v1::SEARCH_MODE_LEXICAL:
      return retrieval::SearchMode::kLexical;
    case v1::SEARCH_MODE_DENSE:
      return retrieval::SearchMode::kDense;
    default:
      return InvalidArgument("the search mode is not known");
  }
}

}  // namespace

std::vector<MethodRule> RetrievalRules() {
  const std::vector<std::string> gateway = {"gateway"}, ingest = {"ingest"};
  std::vector<MethodRule> rules = MaintenanceRules();
  rules.insert(rules.end(), {
                                {"/cloister.v1.Erasure/PlanErasure", gateway},
                                {"/cloister.v1.Erasure/Erase", gateway},
                                {"/cloister.v1.Erasure/GetErasure", gateway},
                                {"/cloister.v1.Erasure/ListErasures", gateway},
                                {"/cloister.v1.Erasure/RecordNotice", gateway},
                                {"/cloister.v1.Erasure/LiftSuppression", gateway},
                                {"/cloister.v1.Erasure/PlaceHold", gateway},
                                {"/cloister.v1.Erasure/ReleaseHold", gateway},
                                {"/cloister.v1.Erasure/ListHolds", gateway},
                                {"/cloister.v1.Erasure/ShredRetired", gateway},
                                {"/cloister.v1.Versions/ListVersions", gateway},
                                {"/cloister.v1.Versions/ReadVersion", gateway},
                                {"/cloister.v1.Retrieval/Search", gateway},
                                {"/cloister.v1.Retrieval/Release", gateway},
                                {"/cloister.v1.Documents/PutDocument", ingest},
                                {"/cloister.v1.Documents/DeleteDocument", ingest},
                                {"/cloister.v1.Documents/ListSources", ingest},
                                {"/cloister.v1.Documents/GetIndexStatus", {"gateway", "supervisor"}},
                                {"/cloister.v1.Directory/PutUser", gateway},
                                {"/cloister.v1.Directory/DeleteUser", gateway},
                                {"/cloister.v1.Directory/ListUsers", gateway},
                                {"/cloister.v1.Directory/PutCollection", gateway},
                                {"/cloister.v1.Directory/ListCollections", {"gateway", "ingest"}},
                            });
  return rules;
}

grpc::Status RetrievalService::Search(grpc::ServerContext*, const v1::SearchRequest* request,
                                      v1::SearchResponse* response) {
  if (request->question().size() > retrieval::kQuestionBytesMax) {
    return TooLarge("QUESTION_TOO_LONG", "question", retrieval::kQuestionBytesMax, "bytes");
  }
  if (request->hits_max() > retrieval::kHitsMax)
    return TooLarge("TOO_MANY_HITS", "hits_max", retrieval::kHitsMax, "hits");
  auto assertion = verifier_.Verify(request->assertion());
  if (!assertion.ok()) return BadAssertion(assertion.status());
  auto vector = FloatsFrom(request->question_vector());
  if (!vector.ok()) return ToGrpc(vector.status(), "BAD_VECTOR", "question_vector");
  const auto mode = ModeFrom(request->mode());
  if (!mode.ok()) return ToGrpc(mode.status(), "BAD_MODE", "mode");
  retrieval::SearchRequest search;
  search.principal = std::move(assertion->principal);
  search.assertion_digest = std::move(assertion->digest);
  search.question = request->question();
  search.question_vector = *std::move(vector);
  search.hits_max = request->hits_max();
  search.mode = *mode;
  search.collection = request->collection();
  search.include_not_in_force = request->include_not_in_force();
  const auto result = searcher_.Search(search);
  if (!result.ok()) return ToGrpc(result.status());
  ToMessage(*result, response);
  return grpc::Status::OK;
}

grpc::Status RetrievalService::Release(grpc::ServerContext*, const v1::ReleaseRequest* request,
                                       v1::ReleaseResponse* response) {
  if (static_cast<size_t>(request->handles_size()) > retrieval::kHandlesMax) {
    return TooLarge("TOO_MANY_HANDLES", "handles", retrieval::kHandlesMax, "handles");
  }
  if (!request->ask_id().empty() && request->ask_id().size() != kIdBytes) {
    return ToGrpc(InvalidArgument("ask_id has 16 bytes or none"), "BAD_ID", "ask_id");
  }
  auto assertion = verifier_.Verify(request->assertion());
  if (!assertion.ok()) return BadAssertion(assertion.status());
  const auto search = retrieval::SearchId::FromBytes(request->search_id());
  if (!search.ok()) return ToGrpc(search.status(), "BAD_ID", "search_id");
  retrieval::ReleaseRequest release;
  release.principal = std::move(assertion->principal);
  release.search = *search;
  release.ask_id = request->ask_id();
  for (const std::string& bytes : request->handles()) {
    const auto handle = Handle::FromBytes(bytes);
    if (!handle.ok()) return ToGrpc(handle.status(), "BAD_ID", "handles");
    release.handles.push_back(*handle);
  }
  const auto result = releaser_.Release(release);
  if (!result.ok()) return ToGrpc(result.status());
  ToMessage(*result, response);
  return grpc::Status::OK;
}

grpc::Status DocumentsService::PutDocument(grpc::ServerContext* context,
                                           const v1::PutDocumentRequest* request,
                                           v1::PutDocumentResponse* response) {
  if (request->original().size() > retrieval::kOriginalBytesMax) {
    return TooLarge("ORIGINAL_TOO_LARGE", "original", retrieval::kOriginalBytesMax, "bytes");
  }
  if (request->text().size() > retrieval::kTextBytesMax) {
    return TooLarge("TEXT_TOO_LARGE", "text", retrieval::kTextBytesMax, "bytes");
  }
  // gRPC hands out the request as const; a copy is made of it once, and its large fields are moved from
  // there.
  v1::PutDocumentRequest own(*request);
  auto document = DocumentFrom(own);
  if (!document.ok()) return DocumentError(document.status());
  const auto result = corpus_.Put(*document, CallerIdentity(*context));
  if (!result.ok()) return DocumentError(result.status());
  response->set_document_id(std::string(result->info->document.bytes()));
  response->set_version_id(std::string(result->info->version.bytes()));
  response->set_unchanged(result->unchanged);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status DocumentsService::DeleteDocument(grpc::ServerContext* context,
                                              const v1::DeleteDocumentRequest* request,
                                              v1::DeleteDocumentResponse* response) {
  std::optional<VersionId> version;
  if (request->has_version_id()) {
    const auto parsed = VersionFrom(request->version_id());
    if (!parsed.ok()) return ToGrpc(parsed.status(), "BAD_ID", "version_id");
    version = *parsed;
  }
  const auto existed = corpus_.Delete({request->collection(), request->origin(), request->source()},
                                      CallerIdentity(*context), version);
  if (!existed.ok()) {
    return ToGrpc(existed.status(), existed.status().code() == StatusCode::kAborted ? "VERSION_CHANGED" : "", "source");
  }
  response->set_existed(*existed);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status DocumentsService::ListSources(grpc::ServerContext*, const v1::ListSourcesRequest* request,
                                           v1::ListSourcesResponse* response) {
  if (!corpus_.directory().FindCollection(request->collection())) {
    return DocumentError(NotFound("no such collection; make it first"));
  }
  for (const auto& info : corpus_.documents().List(request->collection())) {
    if (info->origin != request->origin()) continue;
    v1::SourceState* state = response->add_sources();
    state->set_source(info->source);
    if (!corpus_.set_aside().Contains(info->document, info->version)) state->set_input_sha256(info->input_sha256);
    state->set_version_id(std::string(info->version.bytes()));
    state->set_chunks(info->chunks);
  }
  return grpc::Status::OK;
}

grpc::Status DocumentsService::GetIndexStatus(grpc::ServerContext*, const v1::GetIndexStatusRequest*,
                                              v1::IndexStatus* response) {
  const retrieval::CorpusStatus status = corpus_.GetStatus();
  response->set_documents(status.documents);
  response->set_chunks(status.chunks);
  response->set_classes(status.classes);
  response->set_commit_sequence(status.commit_sequence);
  response->set_segments(status.segments);
  response->set_quarantined(status.quarantined);
  response->set_unreadable_documents(status.unreadable_documents);
  return grpc::Status::OK;
}

grpc::Status DirectoryService::PutUser(grpc::ServerContext* context, const v1::PutUserRequest* request,
                                       v1::PutUserResponse*) {
  const v1::User& from = request->user();
  retrieval::User user{
      from.name(), {from.groups().begin(), from.groups().end()}, {from.roles().begin(), from.roles().end()}};
  const Status status = corpus_.directory().PutUser(std::move(user), CallerIdentity(*context));
  if (!status.ok())
    return ToGrpc(status, status.code() == StatusCode::kInvalidArgument ? "BAD_NAME" : "", "user");
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status DirectoryService::DeleteUser(grpc::ServerContext* context, const v1::DeleteUserRequest* request,
                                          v1::DeleteUserResponse* response) {
  const auto existed = corpus_.directory().DeleteUser(request->name(), CallerIdentity(*context));
  if (!existed.ok()) return ToGrpc(existed.status());
  response->set_existed(*existed);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status DirectoryService::ListUsers(grpc::ServerContext*, const v1::ListUsersRequest*,
                                         v1::ListUsersResponse* response) {
  for (const retrieval::User& from : corpus_.directory().ListUsers()) {
    v1::User* user = response->add_users();
    user->set_name(from.name);
    for (const std::string& group : from.groups) user->add_groups(group);
    for (const std::string& role : from.roles) user->add_roles(role);
  }
  return grpc::Status::OK;
}

grpc::Status DirectoryService::PutCollection(grpc::ServerContext* context,
                                             const v1::PutCollectionRequest* request,
                                             v1::PutCollectionResponse* response) {
  const v1::Collection& from = request->collection();
  retrieval::Collection collection;
  collection.name = from.name();
  collection.reader_groups.assign(from.reader_groups().begin(), from.reader_groups().end());
  collection.reader_users.assign(from.reader_users().begin(), from.reader_users().end());
  collection.classification = from.classification();
  collection.no_sentence_vectors = from.no_sentence_vectors();
  const auto retention = retrieval::ParseRetention(from.retention());
  if (!retention.ok()) return ToGrpc(retention.status(), "BAD_RETENTION", "retention");
  collection.retention = *retention;
  const auto created = corpus_.directory().PutCollection(std::move(collection), CallerIdentity(*context));
  if (!created.ok()) {
    return ToGrpc(created.status(), created.status().code() == StatusCode::kInvalidArgument ? "BAD_NAME" : "",
                  "collection");
  }
  response->set_created(*created);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status DirectoryService::ListCollections(grpc::ServerContext*, const v1::ListCollectionsRequest*,
                                               v1::ListCollectionsResponse* response) {
  for (const retrieval::Collection& from : corpus_.directory().ListCollections()) {
    v1::Collection* collection = response->add_collections();
    collection->set_name(from.name);
    for (const std::string& group : from.reader_groups) collection->add_reader_groups(group);
    for (const std::string& user : from.reader_users) collection->add_reader_users(user);
    collection->set_classification(from.classification);
    collection->set_no_sentence_vectors(from.no_sentence_vectors);
    collection->set_retention(NameOf(from.retention));
  }
  return grpc::Status::OK;
}

}  // namespace cloister::services
