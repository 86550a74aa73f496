// SPDX-License-Identifier: Apache-2.0
// Shares one embedder between callers: questions go before passages, and a large request of passages is done
// in slices, so that a question waits for one slice at most. Does not embed by itself and keeps no text once
// a request has ended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "inference/embedder.h"

namespace cloister::inference {

struct EmbeddingQueueOptions {
  size_t texts_queued_max = 4096;  // Of all waiting requests together.
  size_t slice_bytes_max =
      2 * 1024;  // Of text embedded before the queue is looked at again: about 500 tokens.
};

// Thread-safe.
class EmbeddingQueue {
 public:
  // `embedder` must outlive the queue. Starts the one worker thread.
  explicit EmbeddingQueue(Embedder& embedder, EmbeddingQueueOptions options = {});
  // Waiting calls fail with kUnavailable; the slice under way is finished.
  ~EmbeddingQueue();
  EmbeddingQueue(const EmbeddingQueue&) = delete;
  EmbeddingQueue& operator=(const EmbeddingQueue&) = delete;

  // Blocks until done. A request whose deadline passes is dropped before its next slice. An error in one text
  // fails that request alone. Errors: kResourceExhausted (queue full; the request is not queued),
  // kDeadlineExceeded, kUnavailable (stopping), and the embedder's own.
  StatusOr<Embeddings> Embed(EmbedKind kind, const std::vector<std::string>& texts,
                             std::chrono::steady_clock::time_point deadline);
  // Texts of requests that are under way or wait.
  size_t texts_queued() const;
  // Fails what waits and what comes with kUnavailable. May be called more than once.
  void Stop();

 private:
  struct Request;
  void Work();
  Request* NextRequest();  // With mutex_ held; null when there is none.
  // Embeds the next slice of `request`, unlocked.
  Status EmbedSlice(Request& request);
  void Finish(Request& request, Status status);  // With mutex_ held.

  Embedder& embedder_;
  const EmbeddingQueueOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable work_;
  std::condition_variable done_;
  std::deque<Request*> questions_;  // Owned by the waiting callers.
  std::deque<Request*> passages_;
  size_t texts_queued_ = 0;
  bool stopping_ = false;
  std::thread worker_;
};

}  // namespace cloister::inference
