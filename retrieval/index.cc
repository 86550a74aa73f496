// SPDX-License-Identifier: Apache-2.0
#include "retrieval/index.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace cloister::retrieval {

Status Index::Append(const IndexSlice& slice, const std::vector<ClassId>& classes) {
  CLOISTER_CHECK(classes.size() == slice.documents.size());
  const uint32_t base = lexical_.size();
  const uint32_t count = static_cast<uint32_t>(slice.lengths.size());
  if (count > std::numeric_limits<uint32_t>::max() - base) return ResourceExhausted("the index is full");
  CLOISTER_RETURN_IF_ERROR(dense_.Append(count, slice.dimension, slice.vectors.data()));
  lexical_.Append(slice);
  uint32_t first = base;
  for (size_t i = 0; i < slice.documents.size(); ++i) {
    const SliceDocument& document = slice.documents[i];
    Remove(document.document);
    documents_[document.document] = {document.version, classes[i], document.sequence, first, document.chunks};
    if (document.chunks != 0) {
      by_first_[first] = document.document;
      classes_[classes[i]].addRange(first, uint64_t{first} + document.chunks);
    }
    first += document.chunks;
  }
  ++generation_;
  return absl::OkStatus();
}

void Index::Remove(const DocumentId& document) {
  const auto found = documents_.find(document);
  if (found == documents_.end()) return;
  const Place& place = found->second;
  if (place.count != 0) {
    ChunkSet gone;
    gone.addRange(place.first, uint64_t{place.first} + place.count);
    classes_[place.access_class] -= gone;
    by_first_.erase(place.first);
    dead_ += place.count;
  }
  documents_.erase(found);
  ++generation_;
}

void Index::WipeDead() {
  ChunkSet dead;
  dead.addRange(0, lexical_.size());
  for (const auto& [access_class, chunks] : classes_) dead -= chunks;
  dead -= wiped_;
  if (dead.isEmpty()) return;
  lexical_.Wipe(dead);
  dense_.Wipe(dead);
  wiped_ |= dead;
  ++generation_;
}

std::vector<DocumentId> Index::DocumentIds() const {
  std::vector<DocumentId> ids;
  ids.reserve(documents_.size());
  for (const auto& [id, place] : documents_) ids.push_back(id);
  return ids;
}

Status Index::Compact() {
  const std::vector<DocumentId> ids = DocumentIds();
  Index compacted(parameters_);
  std::vector<ClassId> classes;
  for (const DocumentId& id : ids) classes.push_back(documents_.at(id).access_class);
  CLOISTER_RETURN_IF_ERROR(compacted.Append(Extract(ids), classes));
  compacted.generation_ = generation_ + 1;
  *this = std::move(compacted);
  return absl::OkStatus();
}

IndexSlice Index::Extract(const std::vector<DocumentId>& ids) const {
  constexpr uint32_t kAbsent = std::numeric_limits<uint32_t>::max();
  IndexSlice slice;
  slice.dimension = dense_.dimension();
  std::vector<uint32_t> new_ordinal(lexical_.size(), kAbsent);
  uint32_t next = 0;
  for (const DocumentId& id : ids) {
    const auto found = documents_.find(id);
    if (found == documents_.end()) continue;
    const Place& place = found->second;
    slice.documents.push_back({id, place.version, place.sequence, place.count});
    for (uint32_t chunk = place.first; chunk < place.first + place.count; ++chunk) {
      new_ordinal[chunk] = next++;
      slice.lengths.push_back(lexical_.Length(chunk));
      slice.sentences.push_back(lexical_.Sentences(chunk));
      if (slice.dimension == 0) continue;
      const float* vector = dense_.Vector(chunk);
      slice.vectors.insert(slice.vectors.end(), vector, vector + slice.dimension);
    }
  }
  lexical_.ForEachTerm([&](const std::string& term, const std::vector<Posting>& list) {
    std::vector<Posting> kept;
    for (const Posting& posting : list) {
      if (new_ordinal[posting.chunk] != kAbsent)
        kept.push_back({new_ordinal[posting.chunk], posting.frequency});
    }
    if (kept.empty()) return;
    std::sort(kept.begin(), kept.end(), [](const Posting& a, const Posting& b) { return a.chunk < b.chunk; });
    slice.postings.emplace_back(term, std::move(kept));
  });
  std::sort(slice.postings.begin(), slice.postings.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  return slice;
}

ChunkSet Index::ChunksOfClass(const ClassId& access_class) const {
  const auto found = classes_.find(access_class);
  return found == classes_.end() ? ChunkSet() : found->second;
}

ChunkSet Index::ChunksOfDocument(const DocumentId& document) const {
  ChunkSet chunks;
  const auto found = documents_.find(document);
  if (found != documents_.end())
    chunks.addRange(found->second.first, uint64_t{found->second.first} + found->second.count);
  return chunks;
}

StatusOr<std::vector<FusedHit>> Index::Search(const Question& question, const ChunkSet& permitted,
                                              size_t k) const {
  const bool dense_wanted =
      question.mode != SearchMode::kLexical && !question.vector.empty() && dense_.dimension() != 0;
  if (dense_wanted && question.vector.size() != dense_.dimension()) {
    return InvalidArgument("the question's vector has another dimension than the documents'");
  }
  const size_t depth = std::max(k, kCandidatesPerSide);
  const Bm25Index::Question weighed = lexical_.Weigh(question.terms);
  const std::vector<float> lexical_scores = lexical_.Scores(weighed, permitted);
  std::vector<Scored> lexical, dense;
  if (question.mode != SearchMode::kDense) lexical = BestOf(lexical_scores, depth);
  if (dense_wanted) {
    CLOISTER_ASSIGN_OR_RETURN(dense, dense_.Search(question.vector, permitted, depth));
  }
  const auto lexical_of = [&](uint32_t chunk) { return lexical_scores[chunk]; };
  const auto dense_of = [&](uint32_t chunk) {
    return dense_wanted ? dense_.Score(question.vector.data(), chunk) : 0.0f;
  };
  const double bonus = question.mode == SearchMode::kDense ? 0 : kLexicalBonus;
  return Fuse(lexical, dense, lexical_of, dense_of, bonus, k);
}

ChunkRef Index::Locate(uint32_t chunk) const {
  auto after = by_first_.upper_bound(chunk);
  CLOISTER_CHECK(after != by_first_.begin());  // Searches return live chunks only.
  const auto& [first, document] = *std::prev(after);
  const Place& place = documents_.at(document);
  CLOISTER_CHECK(chunk - first < place.count);
  return {document, place.version, chunk - first};
}

std::optional<VersionId> Index::VersionOf(const DocumentId& document) const {
  const auto found = documents_.find(document);
  if (found == documents_.end()) return std::nullopt;
  return found->second.version;
}

}  // namespace cloister::retrieval
