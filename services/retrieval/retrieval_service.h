// SPDX-License-Identifier: Apache-2.0
// The RPC face of retrieval: limits, assertions, and the outbox after each change. Does not decide, search or
// store; see retrieval/. SPEC: proto/cloister/v1/retrieval.proto.
#pragma once

#include <grpcpp/grpcpp.h>

#include <vector>

#include "cloister/v1/retrieval.grpc.pb.h"
#include "retrieval/corpus.h"
#include "retrieval/releaser.h"
#include "retrieval/searcher.h"
#include "services/retrieval/assertion_verifier.h"
#include "services/server/audit_client.h"
#include "services/server/rpc_server.h"

namespace cloister::services {

std::vector<MethodRule> RetrievalRules();

// All three: thread-safe; what they are given must outlive them.
class RetrievalService final : public v1::Retrieval::Service {
 public:
  RetrievalService(retrieval::Searcher& searcher, retrieval::Releaser& releaser, AssertionVerifier& verifier)
      : searcher_(searcher), releaser_(releaser), verifier_(verifier) {}
  grpc::Status Search(grpc::ServerContext* context, const v1::SearchRequest* request,
                      v1::SearchResponse* response) override;
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override;

 private:
  retrieval::Searcher& searcher_;
  retrieval::Releaser& releaser_;
  AssertionVerifier& verifier_;
};

class DocumentsService final : public v1::Documents::Service {
 public:
  DocumentsService(retrieval::Corpus& corpus, const AuditClient& audit) : corpus_(corpus), audit_(audit) {}
  grpc::Status PutDocument(grpc::ServerContext* context, const v1::PutDocumentRequest* request,
                           v1::PutDocumentResponse* response) override;
  grpc::Status DeleteDocument(grpc::ServerContext* context, const v1::DeleteDocumentRequest* request,
                              v1::DeleteDocumentResponse* response) override;
  grpc::Status ListSources(grpc::ServerContext* context, const v1::ListSourcesRequest* request,
                           v1::ListSourcesResponse* response) override;
  grpc::Status GetIndexStatus(grpc::ServerContext* context, const v1::GetIndexStatusRequest* request,
                              v1::IndexStatus* response) override;

 private:
  retrieval::Corpus& corpus_;
  const AuditClient& audit_;
};

class DirectoryService final : public v1::Directory::Service {
 public:
  DirectoryService(retrieval::Corpus& corpus, const AuditClient& audit) : corpus_(corpus), audit_(audit) {}
  grpc::Status PutUser(grpc::ServerContext* context, const v1::PutUserRequest* request,
                       v1::PutUserResponse* response) override;
  grpc::Status DeleteUser(grpc::ServerContext* context, const v1::DeleteUserRequest* request,
                          v1::DeleteUserResponse* response) override;
  grpc::Status ListUsers(grpc::ServerContext* context, const v1::ListUsersRequest* request,
                         v1::ListUsersResponse* response) override;
  grpc::Status PutCollection(grpc::ServerContext* context, const v1::PutCollectionRequest* request,
                             v1::PutCollectionResponse* response) override;
  grpc::Status ListCollections(grpc::ServerContext* context, const v1::ListCollectionsRequest* request,
                               v1::ListCollectionsResponse* response) override;

 private:
  retrieval::Corpus& corpus_;
  const AuditClient& audit_;
};

}  // namespace cloister::services
