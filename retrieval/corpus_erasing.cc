// SPDX-License-Identifier: Apache-2.0
// The erasing half of the corpus: out of the index, out of the segments, and the keys of what is left destroyed.
#include <algorithm>
#include <set>

#include "retrieval/corpus.h"

namespace cloister::retrieval {

void Corpus::RemoveErased(const std::vector<DocumentId>& documents) {
  for (const DocumentId& document : documents) documents_->Erased(document);
  {
    std::unique_lock lock(index_mutex_);
    for (const DocumentId& document : documents) {
      index_.Remove(document);
      fresh_.erase(document);
      conditional_.erase(document);
    }
  }
  // A release that saw them before is recorded before this returns; one that begins now does not see them.
  const std::unique_lock barrier(releasing_);
}

void Corpus::WipeErased() {
  std::unique_lock lock(index_mutex_);
  index_.WipeDead();
}

uint32_t Corpus::SegmentsWith(const std::vector<DocumentId>& documents) const {
  const std::set<DocumentId> wanted(documents.begin(), documents.end());
  std::shared_lock lock(index_mutex_);
  return static_cast<uint32_t>(std::count_if(published_.begin(), published_.end(), [&](const Published& published) {
    return std::any_of(published.documents.begin(), published.documents.end(),
                       [&](const auto& entry) { return wanted.contains(entry.first); });
  }));
}

bool Corpus::IsLive(const std::pair<DocumentId, VersionId>& entry) const {
  return !fresh_.contains(entry.first) && index_.VersionOf(entry.first) == entry.second;
}

bool Corpus::SegmentsHoldDead() const {
  std::shared_lock lock(index_mutex_);
  return std::any_of(published_.begin(), published_.end(), [&](const Published& published) {
    return !std::all_of(published.documents.begin(), published.documents.end(),
                        [&](const auto& entry) { return IsLive(entry); });
  });
}

Corpus::Remains Corpus::FindRemains(const std::vector<DocumentId>& documents) const {
  Remains remains;
  {
    std::shared_lock lock(index_mutex_);
    for (const DocumentId& document : documents) remains.indexed += index_.VersionOf(document) ? 1 : 0;
  }
  remains.segments = SegmentsWith(documents);
  return remains;
}

StatusOr<Corpus::Shredded> Corpus::Shred(storage::DestroyFor why) {
  std::lock_guard shredding(shred_mutex_);
  Shredded shredded;
  std::set<KeyId> in_use;
  {
    std::lock_guard publishing(publish_mutex_);
    CLOISTER_RETURN_IF_ERROR(Publish(true, shredded.segments));
    for (const SegmentInfo& info : segments_->segments()) in_use.insert(info.key);
  }
  for (const KeyId& key : retired_->Waiting()) {
    if (!in_use.contains(key)) shredded.keys.push_back(key);
  }
  CLOISTER_RETURN_IF_ERROR(rows_->CheckDelivered(shredded.keys));
  // Also with nothing to destroy: a call that was interrupted half-way is finished by it.
  CLOISTER_ASSIGN_OR_RETURN(shredded.destruction, rows_->keys().DestroyKeys(shredded.keys, why));
  if (!shredded.keys.empty()) CLOISTER_RETURN_IF_ERROR(retired_->Destroyed(shredded.keys));
  return shredded;
}

}  // namespace cloister::retrieval
