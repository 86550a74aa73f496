// SPDX-License-Identifier: Apache-2.0
// Freshness and marks over the wire.
#include "services/keys/keys_service.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

StatusOr<std::map<std::string, FreshStore>> StoresIn(const v1::NoteFreshnessRequest& request) {
  std::map<std::string, FreshStore> out;
  for (const v1::StoreFreshness& wire : request.stores()) {
    FreshStore store;
    CLOISTER_ASSIGN_OR_RETURN(store.database, DatabaseId::FromBytes(wire.database_id()));
    store.sequence = wire.commit_sequence();
    if (!out.emplace(wire.name(), store).second) return InvalidArgument("a database is named twice");
  }
  return out;
}

}  // namespace

grpc::Status KeysService::GetFreshness(grpc::ServerContext* context, const v1::GetFreshnessRequest*,
                                       v1::Freshness* response) {
  const std::string caller = CallerIdentity(*context);
  for (const auto& [name, store] : parts_.freshness.StoresOf(caller)) {
    v1::StoreFreshness& wire = *response->add_stores();
    wire.set_name(name);
    wire.set_database_id(std::string(store.database.bytes()));
    wire.set_commit_sequence(store.sequence);
  }
  const std::optional<FreshLog> log = parts_.freshness.StatedLog();
  if (caller != kLogOwner || !log) return grpc::Status::OK;
  response->mutable_log()->set_origin(log->origin);
  response->mutable_log()->set_size(log->size);
  response->mutable_log()->set_root(log->root);
  return grpc::Status::OK;
}

grpc::Status KeysService::NoteFreshness(grpc::ServerContext* context, const v1::NoteFreshnessRequest* request,
                                        v1::NoteFreshnessResponse*) {
  const std::string caller = CallerIdentity(*context);
  const auto stores = StoresIn(*request);
  if (!stores.ok()) return ToGrpc(stores.status());
  std::optional<FreshLog> log;
  if (request->has_log()) {
    if (caller != kLogOwner) return ToGrpc(PermissionDenied("only audit has a log"));
    log = FreshLog{request->log().origin(), request->log().size(), request->log().root()};
  }
  return ToGrpc(parts_.freshness.Note(caller, *stores, log));
}

grpc::Status KeysService::ChangeMarks(grpc::ServerContext*, const v1::ChangeMarksRequest* request,
                                      v1::ChangeMarksResponse*) {
  return ToGrpc(parts_.keyring.ChangeMarks({request->add().begin(), request->add().end()},
                                           {request->remove().begin(), request->remove().end()}));
}

grpc::Status KeysService::ListMarks(grpc::ServerContext*, const v1::ListMarksRequest*,
                                    v1::ListMarksResponse* response) {
  for (const std::string& mark : parts_.keyring.Marks()) response->add_marks(mark);
  return grpc::Status::OK;
}

}  // namespace cloister::services
