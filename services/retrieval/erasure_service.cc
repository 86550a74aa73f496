// SPDX-License-Identifier: Apache-2.0
#include "services/retrieval/erasure_service.h"

#include "services/retrieval/audit_records.h"
#include "services/server/rpc_server.h"
#include "services/server/rpc_status.h"

namespace cloister::services {
namespace {

using retrieval::ErasureRecord;
using retrieval::TargetKind;

retrieval::SourceName NameFrom(const v1::DocumentName& name) {
  return {name.collection(), name.origin(), name.source()};
}

StatusOr<retrieval::ErasureTarget> TargetFrom(const v1::ErasureTarget& from) {
  retrieval::ErasureTarget target;
  switch (from.target_case()) {
    case v1::ErasureTarget::kDocument:
      target.kind = TargetKind::kDocument;
      target.document = NameFrom(from.document());
      if (!from.document().document_id().empty()) {
        CLOISTER_ASSIGN_OR_RETURN(target.document_id, DocumentId::FromBytes(from.document().document_id()));
      }
      break;
    case v1::ErasureTarget::kSubject:
      target.kind = TargetKind::kSubject;
      target.subject = from.subject();
      break;
    case v1::ErasureTarget::kCollection:
      target.kind = TargetKind::kCollection;
      target.collection = from.collection();
      break;
    case v1::ErasureTarget::TARGET_NOT_SET:
      return InvalidArgument("an erasure needs a document, a subject or a collection");
  }
  using Shared = retrieval::ErasureTarget::Shared;
  if (from.shared() == v1::ErasureTarget::SHARED_ERASE) target.shared = Shared::kErase;
  if (from.shared() == v1::ErasureTarget::SHARED_KEEP) target.shared = Shared::kKeep;
  return target;
}

void ToMessage(const retrieval::Hold& hold, v1::Hold* out) {
  out->set_id(std::string(hold.id.bytes()));
  out->set_target(std::string(NameOf(hold.kind)));
  if (hold.kind == TargetKind::kDocument) {
    out->mutable_document()->set_collection(hold.document.collection);
    out->mutable_document()->set_origin(hold.document.origin);
    out->mutable_document()->set_source(hold.document.source);
  }
  out->set_subject(hold.subject);
  out->set_collection(hold.collection);
  out->set_basis(hold.basis);
  out->set_reason(hold.reason);
  out->set_placed_by(hold.placed_by);
  out->set_placed_at_ns(hold.placed_at_ns);
}

void ToMessage(const ErasureRecord& record, v1::ErasureState* out) {
  out->set_id(std::string(record.id.bytes()));
  out->set_state(std::string(NameOf(record.step)));
  out->set_target(std::string(NameOf(record.kind)));
  out->set_basis(record.basis);
  out->set_documents(record.documents.size());
  out->set_documents_kept(record.kept);
  out->set_requested_at_ns(record.requested_at_ns);
  out->set_unsearchable_at_ns(record.unsearchable_at_ns);
  out->set_completed_at_ns(record.completed_at_ns);
  out->set_anchor(record.anchor);
  out->set_for_good(record.for_good);
  out->set_escrow(record.escrow);
  for (const retrieval::ErasedClass& erased : record.classes) {
    v1::ErasedClass* wire = out->add_classes();
    wire->set_name(erased.name);
    wire->set_how(erased.how);
    wire->set_count(erased.count);
    wire->set_verified(erased.verified);
  }
  for (const std::string& sentence : record.outside) out->add_outside(sentence);
  out->set_audit_requested(record.audit_requested);
  out->set_audit_completed(record.audit_completed);
  out->set_releases(record.releases);
  out->set_recipients(record.recipients);
  out->set_recipients_notified(record.notified);
  for (const DocumentId& document : record.documents) {
    if (out->document_ids_size() < kPlannedDocumentsMax) out->add_document_ids(std::string(document.bytes()));
  }
}

void AddPlanned(const retrieval::PlannedDocument& planned, v1::ErasurePlan& plan) {
  if (plan.documents_size() >= kPlannedDocumentsMax) return;
  v1::PlannedDocument* out = plan.add_documents();
  out->set_document_id(std::string(planned.document.bytes()));
  out->set_shared(planned.shared);
  for (const retrieval::Hold& hold : planned.holds) out->add_holds(std::string(hold.id.bytes()));
  if (!planned.info) return;
  out->set_collection(planned.info->collection);
  out->set_origin(planned.info->origin);
  out->set_source(planned.info->source);
  out->set_chunks(planned.info->chunks);
  out->set_subjects(static_cast<uint32_t>(planned.info->subjects.size()));
}

grpc::Status BadId(const Status& status) { return ToGrpc(status, "BAD_ID", "id", kIdBytes); }

}  // namespace

grpc::Status ErasureService::PlanErasure(grpc::ServerContext*, const v1::ErasureTarget* request,
                                         v1::ErasurePlan* response) {
  const auto target = TargetFrom(*request);
  if (!target.ok()) return ToGrpc(target.status(), "BAD_TARGET", "target");
  const auto plan = eraser_.Plan(*target);
  if (!plan.ok()) return ToGrpc(plan.status());
  for (const auto& planned : plan->erased) {
    AddPlanned(planned, *response);
    if (planned.shared) response->set_documents_shared(response->documents_shared() + 1);
    if (!planned.holds.empty()) response->set_documents_held(response->documents_held() + 1);
  }
  response->set_documents_total(plan->erased.size());
  response->set_rows(plan->rows);
  response->set_chunks(plan->chunks);
  response->set_segments(plan->segments);
  response->set_keys(plan->keys);
  response->set_releases(plan->releases);
  response->set_recipients(plan->recipients);
  response->mutable_not_counted()->Assign(plan->not_counted.begin(), plan->not_counted.end());
  for (const retrieval::Hold& hold : plan->holds) ToMessage(hold, response->add_holds());
  return grpc::Status::OK;
}

grpc::Status ErasureService::Erase(grpc::ServerContext*, const v1::EraseRequest* request,
                                   v1::ErasureState* response) {
  const auto target = TargetFrom(request->target());
  if (!target.ok()) return ToGrpc(target.status(), "BAD_TARGET", "target");
  // What an earlier stop left comes first: two half-done erasures are harder to explain than one.
  if (const Status resumed = eraser_.Resume(); !resumed.ok()) return ToGrpc(resumed);
  const auto record = eraser_.Erase(*target, request->reason(), request->basis(), request->requested_by());
  if (!record.ok()) return ToGrpc(record.status());
  ToMessage(*record, response);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status ErasureService::GetErasure(grpc::ServerContext*, const v1::GetErasureRequest* request,
                                        v1::ErasureState* response) {
  const auto id = retrieval::ErasureId::FromBytes(request->id());
  if (!id.ok()) return BadId(id.status());
  const auto record = eraser_.Find(*id);
  if (!record.ok()) return ToGrpc(record.status());
  ToMessage(*record, response);
  return grpc::Status::OK;
}

grpc::Status ErasureService::ListErasures(grpc::ServerContext*, const v1::ListErasuresRequest*,
                                          v1::ListErasuresResponse* response) {
  for (const ErasureRecord& record : eraser_.List()) ToMessage(record, response->add_erasures());
  return grpc::Status::OK;
}

grpc::Status ErasureService::RecordNotice(grpc::ServerContext*, const v1::RecordNoticeRequest* request,
                                          v1::RecordNoticeResponse*) {
  const auto id = retrieval::ErasureId::FromBytes(request->erasure_id());
  if (!id.ok()) return BadId(id.status());
  return ToGrpc(eraser_.RecordNotice(*id, request->recipient(), request->how(), request->recorded_by()));
}

grpc::Status ErasureService::LiftSuppression(grpc::ServerContext* context, const v1::LiftSuppressionRequest* request,
                                             v1::LiftSuppressionResponse*) {
  if (const Status reason = retrieval::CheckReason(request->reason()); !reason.ok()) {
    return ToGrpc(reason, "BAD_REASON", "reason");
  }
  retrieval::Event event;
  event.name = "erasure.lifted";
  event.actor = CallerIdentity(*context);
  event.user = request->requested_by();
  event.user_details = request->reason();
  const Status lifted = corpus_.suppressions().Lift(NameFrom(request->document()), event);
  if (!lifted.ok()) return ToGrpc(lifted);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status ErasureService::PlaceHold(grpc::ServerContext* context, const v1::PlaceHoldRequest* request,
                                       v1::Hold* response) {
  const v1::Hold& from = request->hold();
  retrieval::Hold hold;
  if (from.target() != "document" && from.target() != "subject" && from.target() != "collection") {
    return ToGrpc(InvalidArgument("a hold covers a document, a subject or a collection"), "BAD_TARGET", "target");
  }
  hold.kind = from.target() == "document"  ? TargetKind::kDocument
              : from.target() == "subject" ? TargetKind::kSubject
                                           : TargetKind::kCollection;
  hold.document = NameFrom(from.document());
  hold.subject = from.subject();
  hold.collection = from.collection();
  hold.basis = from.basis();
  hold.reason = from.reason();
  hold.placed_by = from.placed_by();
  if (hold.kind == TargetKind::kDocument && hold.document.origin.empty()) {
    // The one document that fits, as for an erasure.
    retrieval::ErasureTarget target;
    target.document = hold.document;
    const auto plan = eraser_.Plan(target);
    if (!plan.ok()) return ToGrpc(plan.status());
    hold.document.origin = plan->erased.front().info->origin;
  }
  const auto placed = eraser_.holds().Place(std::move(hold), CallerIdentity(*context));
  if (!placed.ok()) return ToGrpc(placed.status());
  ToMessage(*placed, response);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status ErasureService::ReleaseHold(grpc::ServerContext* context, const v1::ReleaseHoldRequest* request,
                                         v1::Hold* response) {
  const auto id = retrieval::HoldId::FromBytes(request->id());
  if (!id.ok()) return BadId(id.status());
  const auto hold =
      eraser_.holds().Release(*id, request->reason(), request->requested_by(), CallerIdentity(*context));
  if (!hold.ok()) return ToGrpc(hold.status());
  ToMessage(*hold, response);
  return ToGrpc(DeliverOutbox(corpus_.rows(), audit_));
}

grpc::Status ErasureService::ListHolds(grpc::ServerContext*, const v1::ListHoldsRequest*,
                                       v1::ListHoldsResponse* response) {
  for (const retrieval::Hold& hold : eraser_.holds().List()) ToMessage(hold, response->add_holds());
  return grpc::Status::OK;
}

grpc::Status ErasureService::ShredRetired(grpc::ServerContext*, const v1::ShredRetiredRequest*,
                                          v1::ShredRetiredResponse* response) {
  if (const Status delivered = DeliverOutbox(corpus_.rows(), audit_); !delivered.ok()) return ToGrpc(delivered);
  // Somebody asks now, so a shorter retention class counts now.
  if (const auto ended = eraser_.EndDueVersions(); !ended.ok()) return ToGrpc(ended.status());
  const auto shredded = corpus_.Shred(storage::DestroyFor::kUpkeep);
  if (!shredded.ok()) return ToGrpc(shredded.status());
  response->set_keys(shredded->keys.size());
  response->set_segments(shredded->segments);
  response->set_epoch(shredded->destruction.epoch);
  return grpc::Status::OK;
}

}  // namespace cloister::services
