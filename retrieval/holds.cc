// SPDX-License-Identifier: Apache-2.0
#include "retrieval/holds.h"

#include <algorithm>
#include <utility>

#include "common/bytes.h"
#include "crypto/random.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kFormat = 1;

std::string Serialise(const Hold& hold) {
  ByteWriter out;
  out.U8(kFormat);
  out.U8(static_cast<uint8_t>(hold.kind));
  for (const std::string* s : {&hold.document.collection, &hold.document.origin, &hold.document.source, &hold.subject,
                               &hold.collection, &hold.basis, &hold.reason, &hold.placed_by}) {
    out.String(*s);
  }
  out.U64(static_cast<uint64_t>(hold.placed_at_ns));
  return out.Take();
}

StatusOr<Hold> Parse(const HoldId& id, std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("hold row has format version " + std::to_string(format));
  }
  Hold hold;
  hold.id = id;
  hold.kind = static_cast<TargetKind>(in.U8());
  for (std::string* s : {&hold.document.collection, &hold.document.origin, &hold.document.source, &hold.subject,
                         &hold.collection, &hold.basis, &hold.reason, &hold.placed_by}) {
    *s = in.String();
  }
  hold.placed_at_ns = static_cast<int64_t>(in.U64());
  CLOISTER_RETURN_IF_ERROR(in.Finish("hold row"));
  return hold;
}

Status CheckTarget(const Hold& hold) {
  const bool named = (hold.kind == TargetKind::kDocument && !hold.document.source.empty()) ||
                     (hold.kind == TargetKind::kSubject && !hold.subject.empty()) ||
                     (hold.kind == TargetKind::kCollection && !hold.collection.empty());
  return named ? absl::OkStatus() : InvalidArgument("a hold needs a document, a subject or a collection");
}

Event HoldEvent(std::string_view name, const Hold& hold, std::string_view by, std::string_view actor,
                std::string_view reason) {
  Event event;
  event.name = std::string(name);
  event.actor = std::string(actor);
  event.fields = {{"hold", hold.id.hex()}, {"target", std::string(NameOf(hold.kind))}, {"basis", hold.basis}};
  if (hold.kind == TargetKind::kSubject) event.subjects = {hold.subject};
  event.user = std::string(by);
  event.user_details = std::string(reason);
  return event;
}

}  // namespace

std::string_view NameOf(TargetKind kind) {
  switch (kind) {
    case TargetKind::kDocument:
      return "document";
    case TargetKind::kSubject:
      return "subject";
    case TargetKind::kCollection:
      return "collection";
  }
  return "unknown";
}

const std::vector<std::string_view>& HoldBases() {
  static const std::vector<std::string_view> bases = {"legal-claims", "legal-obligation", "public-health", "archiving",
                                                      "expression"};
  return bases;
}

Status CheckReason(std::string_view reason) {
  if (reason.size() >= kReasonBytesMin && reason.size() <= kReasonBytesMax && IsUtf8(reason)) return absl::OkStatus();
  return InvalidArgument("a reason of 8 to 1000 bytes is needed: it is what an auditor will read");
}

bool Covers(const Hold& hold, const DocumentInfo& info) {
  switch (hold.kind) {
    case TargetKind::kDocument:
      return hold.document == SourceName{info.collection, info.origin, info.source};
    case TargetKind::kSubject:
      return std::binary_search(info.subjects.begin(), info.subjects.end(), hold.subject);
    case TargetKind::kCollection:
      return hold.collection == info.collection;
  }
  return true;  // What is not understood keeps.
}

StatusOr<std::unique_ptr<Holds>> Holds::Open(Rows& rows, RetiredKeys& retired, const Clock& clock) {
  std::unique_ptr<Holds> holds(new Holds(rows, retired, clock));
  const auto snapshot = rows.GetSnapshot();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows.Keys(*snapshot, kHoldsFamily));
  for (const std::string& key : keys) {
    CLOISTER_ASSIGN_OR_RETURN(const HoldId id, HoldId::FromBytes(key));
    CLOISTER_ASSIGN_OR_RETURN(const std::string bytes, rows.Get(*snapshot, kHoldsFamily, key));
    CLOISTER_ASSIGN_OR_RETURN(Hold hold, Parse(id, bytes));
    holds->holds_.emplace(id, std::move(hold));
  }
  return holds;
}

StatusOr<Hold> Holds::Place(Hold hold, std::string_view actor) {
  CLOISTER_RETURN_IF_ERROR(CheckTarget(hold));
  CLOISTER_RETURN_IF_ERROR(CheckReason(hold.reason));
  if (std::find(HoldBases().begin(), HoldBases().end(), hold.basis) == HoldBases().end()) {
    return InvalidArgument(
        "the basis of a hold is legal-claims, legal-obligation, public-health, archiving or expression");
  }
  std::lock_guard writing(rows_.write_mutex());
  {
    std::lock_guard lock(mutex_);
    if (holds_.size() >= kHoldsMax) return ResourceExhausted("there are too many holds; release some first");
  }
  hold.id = crypto::RandomId<HoldId>();
  hold.placed_at_ns = clock_.Now().time_since_epoch().count();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows_.keys().CreateKeys(storage::KeyKind::kStore, 1));
  storage::WriteBatch batch;
  CLOISTER_RETURN_IF_ERROR(rows_.Put(batch, kHoldsFamily, hold.id.bytes(), keys.front(), Serialise(hold)));
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(
      std::move(batch), {HoldEvent("hold.placed", hold, hold.placed_by, actor, hold.reason)}, &keys.front()));
  std::lock_guard lock(mutex_);
  holds_.emplace(hold.id, hold);
  return hold;
}

StatusOr<Hold> Holds::Release(const HoldId& id, std::string_view reason, std::string_view by, std::string_view actor) {
  CLOISTER_RETURN_IF_ERROR(CheckReason(reason));
  std::lock_guard writing(rows_.write_mutex());
  Hold hold;
  {
    std::lock_guard lock(mutex_);
    const auto found = holds_.find(id);
    if (found == holds_.end()) return NotFound("no such hold; `cloister hold list` shows those that stand");
    hold = found->second;
  }
  CLOISTER_ASSIGN_OR_RETURN(const std::string record, rows_.GetSnapshot()->Get(kHoldsFamily, id.bytes()));
  CLOISTER_ASSIGN_OR_RETURN(const KeyId key_id, storage::RecordKeyId(record));
  CLOISTER_ASSIGN_OR_RETURN(const storage::DataKey key, rows_.keys().GetKey(key_id));
  storage::WriteBatch batch;
  batch.Delete(kHoldsFamily, id.bytes());
  CLOISTER_RETURN_IF_ERROR(retired_.Retire(batch, {key_id}));
  CLOISTER_RETURN_IF_ERROR(
      rows_.Commit(std::move(batch), {HoldEvent("hold.released", hold, by, actor, reason)}, &key));
  retired_.Committed({key_id});
  std::lock_guard lock(mutex_);
  holds_.erase(id);
  return hold;
}

std::vector<Hold> Holds::List() const {
  std::vector<Hold> holds;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [id, hold] : holds_) holds.push_back(hold);
  }
  std::sort(holds.begin(), holds.end(), [](const Hold& a, const Hold& b) { return a.placed_at_ns < b.placed_at_ns; });
  return holds;
}

std::vector<Hold> Holds::Covering(const DocumentInfo& info) const {
  std::vector<Hold> covering;
  std::lock_guard lock(mutex_);
  for (const auto& [id, hold] : holds_) {
    if (Covers(hold, info)) covering.push_back(hold);
  }
  return covering;
}

std::vector<Hold> Holds::On(TargetKind kind, std::string_view name) const {
  std::vector<Hold> found;
  std::lock_guard lock(mutex_);
  for (const auto& [id, hold] : holds_) {
    if (hold.kind == kind && (kind == TargetKind::kSubject ? hold.subject : hold.collection) == name)
      found.push_back(hold);
  }
  return found;
}

}  // namespace cloister::retrieval
