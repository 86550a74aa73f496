// SPDX-License-Identifier: Apache-2.0
#include "retrieval/set_aside.h"

#include "common/bytes.h"
#include "common/log.h"

namespace cloister::retrieval {
namespace {

constexpr uint8_t kFormat = 1;

StatusOr<VersionId> Parse(std::string_view bytes) {
  ByteReader in(bytes);
  if (const uint8_t format = in.U8(); !in.failed() && format != kFormat) {
    return FailedPrecondition("row of a document set aside has format version " + std::to_string(format));
  }
  const auto version = VersionId::FromBytes(in.Raw(kIdBytes));
  CLOISTER_RETURN_IF_ERROR(in.Finish("row of a document set aside"));
  return version;
}

}  // namespace

StatusOr<std::unique_ptr<SetAside>> SetAside::Open(Rows& rows) {
  std::unique_ptr<SetAside> out(new SetAside(rows));
  const auto snapshot = rows.GetSnapshot();
  CLOISTER_ASSIGN_OR_RETURN(const auto keys, rows.Keys(*snapshot, kSetAsideFamily));
  for (const std::string& key : keys) {
    const auto document = DocumentId::FromBytes(key);
    const auto bytes = rows.Get(*snapshot, kSetAsideFamily, key);
    const auto version = bytes.ok() ? Parse(*bytes) : StatusOr<VersionId>(bytes.status());
    if (!version.ok() && !IsUnreadable(version.status())) return version.status();
    if (document.ok() && version.ok()) {
      out->documents_.emplace(*document, *version);
    } else {
      LogStatus(LogLevel::kWarning, "retrieval.set_aside_row_unreadable", version.status());
    }
  }
  return out;
}

Status SetAside::Add(const DocumentId& document, const VersionId& version) {
  ByteWriter value;
  value.U8(kFormat);
  value.Raw(version.bytes());
  Event event;
  event.name = "document.quarantined";
  event.actor = "retrieval";
  event.fields = {{"document", document.hex()}, {"version", version.hex()}, {"reason", "damaged"}};
  std::lock_guard writing(rows_.write_mutex());
  storage::WriteBatch batch;
  CLOISTER_RETURN_IF_ERROR(rows_.PutOwn(batch, kSetAsideFamily, document.bytes(), value.bytes()));
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch), {event}));
  std::lock_guard lock(mutex_);
  documents_.insert_or_assign(document, version);
  return absl::OkStatus();
}

Status SetAside::Remove(const std::vector<DocumentId>& documents) {
  if (documents.empty()) return absl::OkStatus();
  std::lock_guard writing(rows_.write_mutex());
  storage::WriteBatch batch;
  for (const DocumentId& document : documents) batch.Delete(kSetAsideFamily, document.bytes());
  CLOISTER_RETURN_IF_ERROR(rows_.Commit(std::move(batch)));
  std::lock_guard lock(mutex_);
  for (const DocumentId& document : documents) documents_.erase(document);
  return absl::OkStatus();
}

bool SetAside::Contains(const DocumentId& document, const VersionId& version) const {
  std::lock_guard lock(mutex_);
  const auto found = documents_.find(document);
  return found != documents_.end() && found->second == version;
}

std::vector<std::pair<DocumentId, VersionId>> SetAside::List() const {
  std::lock_guard lock(mutex_);
  return {documents_.begin(), documents_.end()};
}

}  // namespace cloister::retrieval
