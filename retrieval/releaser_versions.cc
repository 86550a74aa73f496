// SPDX-License-Identifier: Apache-2.0
// The half of the releaser that shows whole versions to who accounts for the past: a role instead of an
// access class, a reason, and a record before anything leaves.
#include <algorithm>

#include "common/log.h"
#include "retrieval/holds.h"
#include "retrieval/releaser.h"

namespace cloister::retrieval {
namespace {

Status NoSuchVersion() {
  return NotFound("no such version is here: it was never made, nothing keeps it any more, or it was erased");
}

}  // namespace

Status Releaser::CheckRole(const storage::Snapshot& snapshot, const policy::Principal& principal,
                           std::initializer_list<std::string_view> roles) const {
  if (clock_.Now().time_since_epoch().count() >= principal.not_after_ns) {
    return Unauthenticated("the assertion has ended");
  }
  const auto held = corpus_.directory().RolesAt(snapshot, principal.user);
  if (!held.ok() && !IsUnreadable(held.status())) return held.status();
  for (const std::string_view role : roles) {
    if (held.ok() && std::find(held->begin(), held->end(), role) != held->end()) return absl::OkStatus();
  }
  return PermissionDenied("former versions are for people with the role " + std::string(*roles.begin()) +
                          (roles.size() > 1 ? " or " + std::string(*(roles.begin() + 1)) : std::string()));
}

StatusOr<std::vector<ListedVersion>> Releaser::ListVersions(const policy::Principal& principal,
                                                            const VersionQuery& query) const {
  const auto snapshot = corpus_.rows().GetSnapshot();
  CLOISTER_RETURN_IF_ERROR(CheckRole(*snapshot, principal, {kVersionReaderRole, kVersionListerRole}));
  const DocumentStore& documents = corpus_.documents();
  std::optional<DocumentHistory> found;
  if (query.document) {
    found = documents.HistoryOf(*query.document);
  } else {
    for (DocumentHistory& history : documents.Histories(query.name.collection)) {
      const auto info = history.Versions().front();
      if (info->collection != query.name.collection || info->source != query.name.source) continue;
      if (!query.name.origin.empty() && info->origin != query.name.origin) continue;
      if (found && found->Versions().front()->origin != info->origin) {
        return InvalidArgument("documents of several origins have this name; say which with --origin");
      }
      if (!found || history.current) found = std::move(history);
    }
  }
  if (!found) return NotFound("no document of this name is here; it may be spelt differently or be erased");
  std::vector<ListedVersion> versions;
  if (found->current) versions.push_back({found->current, true, false, 0, std::nullopt});
  for (const KeptVersion& kept : found->kept) {
    versions.push_back({kept.info, false, kept.deleted, kept.superseded_at_ns, documents.EndOfVersion(kept)});
  }
  return versions;
}

StatusOr<ReadVersion> Releaser::ReadText(const policy::Principal& principal, const DocumentId& document,
                                         const VersionId& version, std::string_view reason) {
  CLOISTER_RETURN_IF_ERROR(CheckReason(reason));
  // An erasure that begins now waits until this reading is recorded; one that has begun leaves nothing to
  // find.
  const auto releasing = corpus_.Releasing();
  VersionReading reading;
  reading.commit_sequence = corpus_.rows().CommitSequence();
  const auto snapshot = corpus_.rows().GetSnapshot();
  CLOISTER_RETURN_IF_ERROR(CheckRole(*snapshot, principal, {kVersionReaderRole}));
  const auto found = corpus_.documents().FindVersion(document, version);
  if (!found) return NoSuchVersion();
  auto info = corpus_.documents().AnyInfoAt(*snapshot, document, version);
  auto text = info.ok() ? corpus_.documents().TextAt(*snapshot, *info, 0, info->text_bytes)
                        : StatusOr<std::string>(info.status());
  if (info.status().code() == StatusCode::kNotFound) return NoSuchVersion();  // Given up since.
  if (!text.ok() && IsUnreadable(text.status())) {
    LogStatus(LogLevel::kError, "retrieval.version_unreadable", text.status());
    if (found->current) {
      corpus_.Withdraw(document);
    } else {
      corpus_.documents().MarkFormerUnreadable(document);
    }
    return DataLoss(
        "this version's rows are damaged, and it is not shown; `cloister status` counts such documents");
  }
  CLOISTER_RETURN_IF_ERROR(text.status());
  reading.principal = principal;
  reading.principal.groups.clear();
  reading.reason = std::string(reason);
  reading.current = found->current;
  reading.node_region = node_region_;
  ReadVersion read{info->title, *std::move(text), 0};
  reading.info = *std::move(info);
  CLOISTER_ASSIGN_OR_RETURN(read.audit_index, recorder_.RecordReading(reading));
  return read;
}

}  // namespace cloister::retrieval
