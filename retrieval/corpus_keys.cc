// SPDX-License-Identifier: Apache-2.0
// What a rotation of data keys asks of the corpus: which keys seal something, and everything under replaced ones sealed
// anew.
#include <set>

#include "retrieval/corpus.h"
#include "storage/examination.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

// Those that the rows of a family name, once each. What a damaged table or row hides is for an examination to tell.
Status AddKeysOf(const storage::Snapshot& snapshot, std::string_view family, std::set<KeyId>& keys) {
  std::vector<std::string> lost;
  return storage::ScanReadable(
      snapshot, family,
      [&](std::string_view, std::string_view record) {
        if (const auto key = storage::RecordKeyId(record); key.ok()) keys.insert(*key);
        return true;
      },
      lost);
}

}  // namespace

StatusOr<std::vector<KeyId>> Corpus::RowKeys() const {
  std::set<KeyId> keys;
  CLOISTER_RETURN_IF_ERROR(AddKeysOf(*rows_->GetSnapshot(), kHoldsFamily, keys));
  CLOISTER_ASSIGN_OR_RETURN(const KeyId own, rows_->OwnKey());
  keys.insert(own);
  return std::vector<KeyId>(keys.begin(), keys.end());
}

StatusOr<std::vector<KeyId>> Corpus::DocumentKeys() {
  documents_->ForgetKeysAhead();
  std::set<KeyId> keys;
  const auto snapshot = rows_->GetSnapshot();
  for (const std::string_view family : {kDocumentsFamily, kKeptVersionsFamily})
    CLOISTER_RETURN_IF_ERROR(AddKeysOf(*snapshot, family, keys));
  return std::vector<KeyId>(keys.begin(), keys.end());
}

StatusOr<std::vector<KeyId>> Corpus::SegmentKeys() const {
  std::lock_guard publishing(publish_mutex_);
  return segments_->Keys();
}

StatusOr<uint64_t> Corpus::Renew(const std::function<Status()>& go_on) {
  CLOISTER_ASSIGN_OR_RETURN(const storage::Resealed rows, rows_->Reseal(go_on));
  CLOISTER_ASSIGN_OR_RETURN(const uint64_t segments, RenewSegments(go_on));
  return rows.rows + segments;
}

// One at a time, so that the index is in memory once and one segment of it twice. A segment's former key is given up with
// the file, and what replaced it goes with it: a new file has a new key.
StatusOr<uint64_t> Corpus::RenewSegments(const std::function<Status()>& go_on) {
  CLOISTER_ASSIGN_OR_RETURN(const std::vector<KeyId> named, SegmentKeys());
  uint64_t renewed = 0;
  for (size_t first = 0; first < named.size(); first += storage::kKeysPerReplacementMax) {
    const size_t count = std::min<size_t>(storage::kKeysPerReplacementMax, named.size() - first);
    const std::vector<KeyId> asked(named.begin() + static_cast<std::ptrdiff_t>(first),
                                   named.begin() + static_cast<std::ptrdiff_t>(first + count));
    CLOISTER_ASSIGN_OR_RETURN(const std::vector<KeyId> current, rows_->keys().CurrentKeys(asked));
    for (size_t i = 0; i < asked.size(); ++i) {
      if (current[i] == asked[i]) continue;
      CLOISTER_RETURN_IF_ERROR(go_on());
      std::lock_guard publishing(publish_mutex_);
      std::set<SegmentId> segment;  // None: the manifest alone, or one that was rewritten meanwhile.
      for (const SegmentInfo& info : segments_->segments()) {
        if (info.key == asked[i]) segment.insert(info.id);
      }
      CLOISTER_RETURN_IF_ERROR(RewriteSegments(segment));
      ++renewed;
    }
  }
  return renewed;
}

}  // namespace cloister::retrieval
