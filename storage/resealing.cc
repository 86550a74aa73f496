// SPDX-License-Identifier: Apache-2.0
#include "storage/resealing.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "storage/examination.h"
#include "storage/sealed_record.h"

namespace cloister::storage {
namespace {

using Replacements = std::map<KeyId, KeyId>;  // Of those that were replaced.

// What a damaged table hides is for an examination to tell.
Status ScanRows(const Snapshot& snapshot, const std::string& family,
                const std::function<bool(std::string_view, std::string_view)>& visit) {
  std::vector<std::string> lost;
  return ScanReadable(snapshot, family, visit, lost);
}

StatusOr<Replacements> FindReplacements(const ResealParts& parts, const Snapshot& snapshot,
                                        const std::string& family) {
  std::set<KeyId> named;
  CLOISTER_RETURN_IF_ERROR(ScanRows(snapshot, family, [&](std::string_view, std::string_view record) {
    if (const auto key = RecordKeyId(record); key.ok()) named.insert(*key);
    return true;
  }));
  Replacements replacements;
  std::vector<KeyId> asked;
  const auto ask = [&]() -> Status {
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<KeyId> current, parts.keys.CurrentKeys(asked));
    for (size_t i = 0; i < asked.size(); ++i) {
      if (current[i] != asked[i]) replacements.emplace(asked[i], current[i]);
    }
    asked.clear();
    return absl::OkStatus();
  };
  for (const KeyId& key : named) {
    asked.push_back(key);
    if (asked.size() == kKeysPerReplacementMax) CLOISTER_RETURN_IF_ERROR(ask());
  }
  if (!asked.empty()) CLOISTER_RETURN_IF_ERROR(ask());
  return replacements;
}

class FamilyResealer {
 public:
  FamilyResealer(const ResealParts& parts, const std::string& family, Replacements replacements, Resealed& out)
      : parts_(parts), family_(family), replacements_(std::move(replacements)), out_(out) {}

  Status Run(const Snapshot& snapshot) {
    Status failure;
    CLOISTER_RETURN_IF_ERROR(ScanRows(snapshot, family_, [&](std::string_view key, std::string_view record) {
      if (!IsFormer(record)) return true;
      rows_.emplace_back(key);
      bytes_ += record.size();
      if (rows_.size() >= kResealedRowsMax || bytes_ >= kResealedBytesMax) failure = Flush();
      return failure.ok();
    }));
    CLOISTER_RETURN_IF_ERROR(failure);
    return Flush();
  }

 private:
  bool IsFormer(std::string_view record) const {
    const auto key = RecordKeyId(record);
    return key.ok() && replacements_.contains(*key);
  }

  Status Flush() {
    if (rows_.empty()) return absl::OkStatus();
    if (parts_.go_on) CLOISTER_RETURN_IF_ERROR(parts_.go_on());
    uint64_t resealed = 0, unreadable = 0;
    CLOISTER_RETURN_IF_ERROR(parts_.change([&]() -> StatusOr<WriteBatch> {
      const auto now = parts_.store.GetSnapshot();
      WriteBatch batch;
      for (const std::string& row : rows_) {
        const Status added = Add(*now, row, batch, resealed);
        if (added.code() == StatusCode::kUnavailable) return added;
        if (!added.ok()) ++unreadable;
      }
      return batch;
    }));
    out_.rows += resealed;
    out_.unreadable += unreadable;
    rows_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

  Status Add(const Snapshot& now, const std::string& row, WriteBatch& batch, uint64_t& resealed) {
    const auto record = now.Get(family_, row);
    if (record.status().code() == StatusCode::kNotFound) return absl::OkStatus();
    CLOISTER_RETURN_IF_ERROR(record.status());
    if (!IsFormer(*record)) return absl::OkStatus();
    CLOISTER_ASSIGN_OR_RETURN(const KeyId id, RecordKeyId(*record));
    CLOISTER_ASSIGN_OR_RETURN(const DataKey former, parts_.keys.GetKey(id));
    CLOISTER_ASSIGN_OR_RETURN(const DataKey current, parts_.keys.GetKey(replacements_.at(id)));
    const RecordContext context{parts_.database, family_, row};
    CLOISTER_ASSIGN_OR_RETURN(std::string plaintext, OpenRecord(former.key->view(), context, *record));
    auto sealed = SealRecord(current.id, current.key->view(), context, plaintext);
    crypto::Wipe(plaintext.data(), plaintext.size());
    CLOISTER_RETURN_IF_ERROR(sealed.status());
    batch.Put(family_, row, *std::move(sealed));
    ++resealed;
    return absl::OkStatus();
  }

  const ResealParts& parts_;
  const std::string& family_;
  const Replacements replacements_;
  Resealed& out_;
  std::vector<std::string> rows_;
  size_t bytes_ = 0;
};

}  // namespace

StatusOr<Resealed> ResealRows(const ResealParts& parts) {
  Resealed out;
  for (const std::string& family : parts.families) {
    if (parts.go_on) CLOISTER_RETURN_IF_ERROR(parts.go_on());
    const auto snapshot = parts.store.GetSnapshot();
    CLOISTER_ASSIGN_OR_RETURN(Replacements replacements, FindReplacements(parts, *snapshot, family));
    if (replacements.empty()) continue;
    CLOISTER_RETURN_IF_ERROR(FamilyResealer(parts, family, std::move(replacements), out).Run(*snapshot));
  }
  return out;
}

}  // namespace cloister::storage
