// SPDX-License-Identifier: Apache-2.0
#include "inference/embedding_queue.h"

#include <algorithm>
#include <numeric>

namespace cloister::inference {

// Lives on its caller's stack. Once queued, the worker alone touches it until `finished`.
struct EmbeddingQueue::Request {
  EmbedKind kind;
  const std::vector<std::string>& texts;
  std::chrono::steady_clock::time_point deadline;
  std::vector<size_t> order{};  // Indices of texts, the shortest first.
  size_t next = 0;              // In `order`.
  Embeddings result{};
  Status status{};
  bool finished = false;
};

EmbeddingQueue::EmbeddingQueue(Embedder& embedder, EmbeddingQueueOptions options)
    : embedder_(embedder), options_(options), worker_([this] { Work(); }) {}

EmbeddingQueue::~EmbeddingQueue() {
  Stop();
  worker_.join();
}

void EmbeddingQueue::Stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  work_.notify_all();
}

size_t EmbeddingQueue::texts_queued() const {
  const std::lock_guard lock(mutex_);
  return texts_queued_;
}

StatusOr<Embeddings> EmbeddingQueue::Embed(EmbedKind kind, const std::vector<std::string>& texts,
                                           std::chrono::steady_clock::time_point deadline) {
  if (texts.empty()) return Embeddings{};
  Request request{kind, texts, deadline};
  // Slices of one length fill the embedder's batches best.
  request.order.resize(texts.size());
  std::iota(request.order.begin(), request.order.end(), size_t{0});
  std::stable_sort(request.order.begin(), request.order.end(),
                   [&](size_t a, size_t b) { return texts[a].size() < texts[b].size(); });
  request.result.vectors.resize(texts.size() * embedder_.info().dimension);
  std::unique_lock lock(mutex_);
  if (stopping_) return Unavailable("embedding is stopping");
  if (texts_queued_ + texts.size() > options_.texts_queued_max) {
    return ResourceExhausted("too many texts wait to be embedded; try again later");
  }
  texts_queued_ += texts.size();
  (kind == EmbedKind::kQuestion ? questions_ : passages_).push_back(&request);
  work_.notify_one();
  done_.wait(lock, [&] { return request.finished; });
  if (!request.status.ok()) return request.status;
  return std::move(request.result);
}

EmbeddingQueue::Request* EmbeddingQueue::NextRequest() {
  if (!questions_.empty()) return questions_.front();
  return passages_.empty() ? nullptr : passages_.front();
}

void EmbeddingQueue::Finish(Request& request, Status status) {
  std::deque<Request*>& queue = request.kind == EmbedKind::kQuestion ? questions_ : passages_;
  queue.erase(std::find(queue.begin(), queue.end(), &request));
  texts_queued_ -= request.texts.size();
  request.status = std::move(status);
  request.finished = true;
  done_.notify_all();
}

void EmbeddingQueue::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || NextRequest() != nullptr; });
    Request* request = NextRequest();
    if (request == nullptr) return;  // Stopping, and nobody waits.
    if (stopping_) {
      Finish(*request, Unavailable("embedding is stopping"));
      continue;
    }
    if (std::chrono::steady_clock::now() >= request->deadline) {
      Finish(*request, Error(StatusCode::kDeadlineExceeded, "the time for embedding has passed"));
      continue;
    }
    lock.unlock();
    const Status status = EmbedSlice(*request);
    lock.lock();
    if (!status.ok() || request->next == request->order.size()) Finish(*request, status);
  }
}

Status EmbeddingQueue::EmbedSlice(Request& request) {
  std::vector<std::string> slice;
  size_t bytes = 0;
  const size_t first = request.next;
  while (request.next < request.order.size()) {
    const std::string& text = request.texts[request.order[request.next]];
    if (!slice.empty() && bytes + text.size() > options_.slice_bytes_max) break;
    bytes += text.size();
    slice.push_back(text);
    ++request.next;
  }
  CLOISTER_ASSIGN_OR_RETURN(const Embeddings part, embedder_.Embed(request.kind, slice));
  const size_t dimension = embedder_.info().dimension;
  for (size_t i = 0; i < slice.size(); ++i) {
    std::copy_n(
        part.vectors.begin() + static_cast<ptrdiff_t>(i * dimension), dimension,
        request.result.vectors.begin() + static_cast<ptrdiff_t>(request.order[first + i] * dimension));
  }
  request.result.truncated += part.truncated;
  request.result.tokens += part.tokens;
  return Status();
}

}  // namespace cloister::inference
