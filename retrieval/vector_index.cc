// SPDX-License-Identifier: Apache-2.0
#include "retrieval/vector_index.h"

#include <faiss/IndexFlat.h>
#include <faiss/impl/IDSelector.h>

#include <algorithm>
#include <exception>

#include "retrieval/dot_product.h"

namespace cloister::retrieval {
namespace {

bool Better(const Scored& a, const Scored& b) {
  return a.score != b.score ? a.score > b.score : a.chunk < b.chunk;
}

// Keeps the best k seen; the worst of them is on top of the heap.
class Best {
 public:
  explicit Best(size_t k) : k_(k) { heap_.reserve(k); }
  void Offer(Scored scored) {
    if (heap_.size() < k_) {
      heap_.push_back(scored);
      std::push_heap(heap_.begin(), heap_.end(), Better);
    } else if (k_ > 0 && Better(scored, heap_.front())) {
      std::pop_heap(heap_.begin(), heap_.end(), Better);
      heap_.back() = scored;
      std::push_heap(heap_.begin(), heap_.end(), Better);
    }
  }
  std::vector<Scored> Take() {
    std::sort_heap(heap_.begin(), heap_.end(), Better);
    return std::move(heap_);
  }

 private:
  const size_t k_;
  std::vector<Scored> heap_;
};

}  // namespace

// FAISS's storage with our own scan: Debian builds FAISS for SSE2 only, which costs several times the time.
struct FaissIndex::Flat final : faiss::IndexFlatIP {
  explicit Flat(idx_t dimension) : faiss::IndexFlatIP(dimension) {}

  void search(idx_t n, const float* x, idx_t k, float* distances, idx_t* labels,
              const faiss::SearchParameters* params = nullptr) const override {
    const faiss::IDSelector* selector = params != nullptr ? params->sel : nullptr;
    const size_t dimension = static_cast<size_t>(d);
    for (idx_t q = 0; q < n; ++q) {
      Best best(static_cast<size_t>(k));
      for (idx_t i = 0; i < ntotal; ++i) {
        if (selector != nullptr && !selector->is_member(i)) continue;
        const size_t at = static_cast<size_t>(i);
        best.Offer({static_cast<uint32_t>(i), DotProduct(x + static_cast<size_t>(q) * dimension,
                                                         get_xb() + at * dimension, dimension)});
      }
      const auto found = best.Take();
      for (idx_t i = 0; i < k; ++i) {
        const bool has = static_cast<size_t>(i) < found.size();
        labels[q * k + i] = has ? static_cast<idx_t>(found[static_cast<size_t>(i)].chunk) : -1;
        distances[q * k + i] = has ? found[static_cast<size_t>(i)].score : 0;
      }
    }
  }
};

FaissIndex::FaissIndex() = default;
FaissIndex::FaissIndex(FaissIndex&&) noexcept = default;
FaissIndex& FaissIndex::operator=(FaissIndex&&) noexcept = default;
FaissIndex::~FaissIndex() = default;

uint32_t FaissIndex::dimension() const { return flat_ == nullptr ? 0 : static_cast<uint32_t>(flat_->d); }

const float* FaissIndex::Vector(uint32_t chunk) const {
  return flat_ == nullptr ? nullptr : flat_->get_xb() + size_t{chunk} * dimension();
}

float FaissIndex::Score(const float* question, uint32_t chunk) const {
  return flat_ == nullptr ? 0 : DotProduct(question, Vector(chunk), dimension());
}

Status FaissIndex::Append(uint32_t count, uint32_t dimension, const float* vectors) {
  if (flat_ != nullptr && dimension != 0 && dimension != this->dimension()) {
    return FailedPrecondition("vectors of " + std::to_string(dimension) +
                              " dimensions do not go with those of " + std::to_string(this->dimension()));
  }
  try {
    if (flat_ == nullptr && dimension != 0) {
      auto flat = std::make_unique<Flat>(dimension);
      const std::vector<float> zeros(size_t{size_} * dimension);  // Chunks that came before without vectors.
      flat->add(size_, zeros.data());
      flat->add(count, vectors);
      flat_ = std::move(flat);
    } else if (flat_ != nullptr && dimension == 0) {
      const std::vector<float> zeros(size_t{count} * this->dimension());
      flat_->add(count, zeros.data());
    } else if (flat_ != nullptr) {
      flat_->add(count, vectors);
    }
  } catch (const std::exception&) {
    return ResourceExhausted("no memory for more vectors");
  }
  size_ += count;
  return absl::OkStatus();
}

void FaissIndex::Wipe(const ChunkSet& chunks) {
  if (flat_ == nullptr) return;
  for (const uint32_t chunk : chunks) {
    float* const vector = flat_->get_xb() + size_t{chunk} * dimension();
    std::fill(vector, vector + dimension(), 0.0f);
  }
}

StatusOr<std::vector<Scored>> FaissIndex::Search(const std::vector<float>& question,
                                                 const ChunkSet& permitted, size_t k) const {
  if (flat_ == nullptr || permitted.isEmpty() || k == 0) return std::vector<Scored>();
  if (question.size() != dimension()) {
    return InvalidArgument("the question's vector has " + std::to_string(question.size()) +
                           " dimensions; the index has " + std::to_string(dimension()));
  }
  const uint64_t allowed = permitted.cardinality();
  k = std::min<size_t>(k, allowed);
  if (static_cast<double>(allowed) < kScanListShare * size_) {
    Best best(k);
    for (const uint32_t chunk : permitted) best.Offer({chunk, Score(question.data(), chunk)});
    return best.Take();
  }
  std::vector<uint8_t> bits((size_t{size_} + 7) / 8);
  for (const uint32_t chunk : permitted) bits[chunk / 8] |= static_cast<uint8_t>(1u << (chunk % 8));
  std::vector<float> scores(k);
  std::vector<faiss::Index::idx_t> labels(k);
  try {
    faiss::IDSelectorBitmap selector(bits.size(), bits.data());
    faiss::SearchParameters parameters;
    parameters.sel = &selector;
    flat_->search(1, question.data(), static_cast<faiss::Index::idx_t>(k), scores.data(), labels.data(),
                  &parameters);
  } catch (const std::exception&) {
    return Internal("the vector search failed");
  }
  std::vector<Scored> found;
  for (size_t i = 0; i < k && labels[i] >= 0; ++i)
    found.push_back({static_cast<uint32_t>(labels[i]), scores[i]});
  return found;
}

}  // namespace cloister::retrieval
