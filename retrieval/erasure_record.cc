// SPDX-License-Identifier: Apache-2.0
#include "retrieval/erasure_record.h"

#include "common/bytes.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kFormat = 1;

// Every number, in the order of the format.
template <class Record, class Visit>
void ForEachNumber(Record& record, const Visit& visit) {
  visit(record.kept);
  visit(record.rows);
  visit(record.chunks);
  visit(record.keys);
  visit(record.sections);
  visit(record.people);
  visit(record.releases);
  visit(record.recipients);
  visit(record.notified);
  visit(record.keyring_generation);
  visit(record.audit_requested);
  visit(record.audit_completed);
}

template <class Record, class Visit>
void ForEachTime(Record& record, const Visit& visit) {
  visit(record.requested_at_ns);
  visit(record.unsearchable_at_ns);
  visit(record.completed_at_ns);
}

template <class Record, class Visit>
void ForEachString(Record& record, const Visit& visit) {
  visit(record.collection);
  visit(record.basis);
  visit(record.requested_by);
  visit(record.anchor);
  visit(record.escrow);
}

template <class IdType>
StatusOr<std::vector<IdType>> ReadIds(ByteReader& in) {
  const uint32_t count = in.Count(kIdBytes);
  std::vector<IdType> ids;
  for (uint32_t i = 0; i < count; ++i) {
    CLOISTER_ASSIGN_OR_RETURN(const IdType id, IdType::FromBytes(in.Raw(kIdBytes)));
    ids.push_back(id);
  }
  return ids;
}

}  // namespace

std::string_view NameOf(ErasureStep step) {
  switch (step) {
    case ErasureStep::kRequested:
      return "requested";
    case ErasureStep::kDeleted:
      return "deleted";
    case ErasureStep::kForgotten:
      return "forgotten";
    case ErasureStep::kShredded:
      return "shredded";
    case ErasureStep::kCompleted:
      return "completed";
  }
  return "unknown";
}

std::string Serialise(const ErasureRecord& record) {
  ByteWriter out;
  out.U8(kFormat);
  out.Raw(record.id.bytes());
  out.U8(static_cast<uint8_t>(record.step));
  out.U8(static_cast<uint8_t>(record.kind));
  ForEachString(record, [&](const std::string& s) { out.String(s); });
  ForEachTime(record, [&](int64_t time) { out.U64(static_cast<uint64_t>(time)); });
  ForEachNumber(record, [&](uint64_t number) { out.U64(number); });
  out.U32(record.segments);
  out.U32(record.epoch);
  out.U8(record.for_good ? 1 : 0);
  out.U32(static_cast<uint32_t>(record.documents.size()));
  for (const DocumentId& document : record.documents) out.Raw(document.bytes());
  out.U32(static_cast<uint32_t>(record.key_ids.size()));
  for (const KeyId& key : record.key_ids) out.Raw(key.bytes());
  out.U32(static_cast<uint32_t>(record.classes.size()));
  for (const ErasedClass& erased : record.classes) {
    out.String(erased.name);
    out.String(erased.how);
    out.String(erased.verified);
    out.U64(erased.count);
  }
  out.U32(static_cast<uint32_t>(record.outside.size()));
  for (const std::string& sentence : record.outside) out.String(sentence);
  return out.Take();
}

StatusOr<ErasureRecord> ParseErasureRecord(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("erasure row has format version " + std::to_string(format) +
                              "; this build reads version " + std::to_string(kFormat));
  }
  ErasureRecord record;
  const std::string_view id = in.Raw(kIdBytes);
  record.step = static_cast<ErasureStep>(in.U8());
  record.kind = static_cast<TargetKind>(in.U8());
  ForEachString(record, [&](std::string& s) { s = in.String(); });
  ForEachTime(record, [&](int64_t& time) { time = static_cast<int64_t>(in.U64()); });
  ForEachNumber(record, [&](uint64_t& number) { number = in.U64(); });
  record.segments = in.U32();
  record.epoch = in.U32();
  record.for_good = in.U8() != 0;
  CLOISTER_ASSIGN_OR_RETURN(record.documents, ReadIds<DocumentId>(in));
  CLOISTER_ASSIGN_OR_RETURN(record.key_ids, ReadIds<KeyId>(in));
  record.classes.resize(in.Count(3 * 4 + 8));
  for (ErasedClass& erased : record.classes) {
    erased.name = in.String();
    erased.how = in.String();
    erased.verified = in.String();
    erased.count = in.U64();
  }
  record.outside.resize(in.Count(4));
  for (std::string& sentence : record.outside) sentence = in.String();
  CLOISTER_RETURN_IF_ERROR(in.Finish("erasure row"));
  CLOISTER_ASSIGN_OR_RETURN(record.id, ErasureId::FromBytes(id));
  if (record.step < ErasureStep::kRequested || record.step > ErasureStep::kCompleted) {
    return DataLoss("erasure row has a step that does not exist");
  }
  return record;
}

}  // namespace cloister::retrieval
