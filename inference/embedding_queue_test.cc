// SPDX-License-Identifier: Apache-2.0
#include "inference/embedding_queue.h"

#include <gtest/gtest.h>

#include <future>

namespace cloister::inference {
namespace {

using Clock = std::chrono::steady_clock;

Clock::time_point Later() { return Clock::now() + std::chrono::minutes(5); }

// Holds every call until it is opened, and remembers what was embedded in which order.
class GatedEmbedder final : public Embedder {
 public:
  const ModelInfo& info() const override { return fake_->info(); }

  StatusOr<Embeddings> Embed(EmbedKind kind, const std::vector<std::string>& texts) override {
    std::unique_lock lock(mutex_);
    calls_.push_back(texts);
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
    return fake_->Embed(kind, texts);
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void AwaitCall(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return calls_.size() >= count; });
  }
  std::vector<std::vector<std::string>> calls() {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  const std::unique_ptr<Embedder> fake_ = NewFakeEmbedder();
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<std::string>> calls_;
  bool open_ = false;
};

auto Ask(EmbeddingQueue& queue, EmbedKind kind, std::vector<std::string> texts,
         Clock::time_point deadline = Later()) {
  return std::async(std::launch::async, [&queue, kind, texts = std::move(texts), deadline] {
    return queue.Embed(kind, texts, deadline);
  });
}

TEST(EmbeddingQueueTest, GivesTheEmbeddersVectorsInOrderWhateverTheSlices) {
  const auto embedder = NewFakeEmbedder();
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i)
    texts.push_back(std::string(static_cast<size_t>(1 + (i * 37) % 50), 'a' + i % 26));
  const auto direct = embedder->Embed(EmbedKind::kPassage, texts);
  ASSERT_TRUE(direct.ok());
  for (const size_t slice : {size_t{1}, size_t{64}, size_t{1 << 20}}) {
    EmbeddingQueue queue(*embedder, {.texts_queued_max = 100, .slice_bytes_max = slice});
    const auto queued = queue.Embed(EmbedKind::kPassage, texts, Later());
    ASSERT_TRUE(queued.ok());
    EXPECT_EQ(queued->vectors, direct->vectors);
    EXPECT_EQ(queued->tokens, direct->tokens);
  }
}

TEST(EmbeddingQueueTest, NoTextsNeedNoWork) {
  const auto embedder = NewFakeEmbedder();
  EmbeddingQueue queue(*embedder);
  const auto result = queue.Embed(EmbedKind::kPassage, {}, Later());
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->vectors.empty());
}

TEST(EmbeddingQueueTest, AQuestionOvertakesPassagesAfterTheSliceUnderWay) {
  GatedEmbedder embedder;
  EmbeddingQueue queue(embedder, {.texts_queued_max = 100, .slice_bytes_max = 8});
  auto passages = Ask(queue, EmbedKind::kPassage, {"passage1", "passage2", "passage3"});
  embedder.AwaitCall(1);
  auto question = Ask(queue, EmbedKind::kQuestion, {"question"});
  while (queue.texts_queued() < 4) std::this_thread::yield();
  embedder.Open();
  ASSERT_TRUE(question.get().ok());
  ASSERT_TRUE(passages.get().ok());
  std::vector<std::string> order;
  for (const auto& call : embedder.calls()) order.insert(order.end(), call.begin(), call.end());
  EXPECT_EQ(order, (std::vector<std::string>{"passage1", "question", "passage2", "passage3"}));
}

TEST(EmbeddingQueueTest, RefusesMoreTextsThanItHolds) {
  GatedEmbedder embedder;
  EmbeddingQueue queue(embedder, {.texts_queued_max = 3, .slice_bytes_max = 8});
  EXPECT_EQ(queue.Embed(EmbedKind::kPassage, std::vector<std::string>(4, "x"), Later()).status().code(),
            StatusCode::kResourceExhausted);
  auto first = Ask(queue, EmbedKind::kPassage, {"a", "b"});
  embedder.AwaitCall(1);
  EXPECT_EQ(queue.Embed(EmbedKind::kPassage, {"c", "d"}, Later()).status().code(),
            StatusCode::kResourceExhausted);
  embedder.Open();
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(queue.Embed(EmbedKind::kPassage, {"c", "d", "e"}, Later()).ok());
}

TEST(EmbeddingQueueTest, DropsARequestWhoseDeadlinePassesBetweenSlices) {
  GatedEmbedder embedder;
  EmbeddingQueue queue(embedder, {.texts_queued_max = 100, .slice_bytes_max = 1});
  EXPECT_EQ(queue.Embed(EmbedKind::kPassage, {"late"}, Clock::now()).status().code(),
            StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(embedder.calls().empty());
  const auto deadline = Clock::now() + std::chrono::milliseconds(20);
  auto request = Ask(queue, EmbedKind::kPassage, {"a", "b", "c"}, deadline);
  // With a deadline this short the first slice may not even begin; either way nothing is embedded after it.
  while (Clock::now() < deadline) std::this_thread::yield();
  embedder.Open();
  EXPECT_EQ(request.get().status().code(), StatusCode::kDeadlineExceeded);
  EXPECT_LE(embedder.calls().size(), 1u);
}

TEST(EmbeddingQueueTest, AnErrorFailsItsOwnRequestAlone) {
  const auto embedder = NewFakeEmbedder();
  EmbeddingQueue queue(*embedder);
  EXPECT_EQ(queue.Embed(EmbedKind::kPassage, {"fine", "\xff"}, Later()).status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(queue.Embed(EmbedKind::kPassage, {"fine"}, Later()).ok());
}

TEST(EmbeddingQueueTest, StoppingFailsWhatWaitsAndWhatComes) {
  GatedEmbedder embedder;
  EmbeddingQueue queue(embedder, {.texts_queued_max = 100, .slice_bytes_max = 1});
  auto first = Ask(queue, EmbedKind::kPassage, {"a", "b"});
  embedder.AwaitCall(1);
  queue.Stop();
  EXPECT_EQ(queue.Embed(EmbedKind::kQuestion, {"c"}, Later()).status().code(), StatusCode::kUnavailable);
  embedder.Open();
  EXPECT_EQ(first.get().status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(embedder.calls().size(), 1u);
}

}  // namespace
}  // namespace cloister::inference
