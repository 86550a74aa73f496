// SPDX-License-Identifier: Apache-2.0
// Erasing takes former versions with the rest.
#include <atomic>
#include <thread>

#include "retrieval/versions_fixture.h"

namespace cloister::retrieval {
namespace {

TEST_F(VersionsTest, AnErasureTakesKeptVersionsWithTheirKeys) {
  const auto first = Put("morphine");
  const KeyId one = KeyOf(*first);
  const KeyId two = KeyOf(*Put("insulin"));
  const auto plan = eraser_->Plan(Document("a.md"));
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->keys, 2u);
  EXPECT_EQ(plan->rows, 6u + 4u);  // The kept one has no vectors.
  EXPECT_EQ(plan->chunks, 1u);
  const auto record = Erase(Document("a.md"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->rows, plan->rows);
  EXPECT_EQ(record->keys, 2u);
  EXPECT_FALSE(HasKey(one));
  EXPECT_FALSE(HasKey(two));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(AllRowsOf(first->document), 0u);
    EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kNotFound);
    EXPECT_EQ(List("officer").status().code(), StatusCode::kNotFound);
    Restart();
  }
}

TEST_F(VersionsTest, ADeletedDocumentIsErasedByNameOrByIdAndStaysAway) {
  for (const bool by_id : {false, true}) {
    const std::string source = by_id ? "id.md" : "name.md";
    const auto info = Put("morphine " + source, {"patient-7"}, source);
    const KeyId key = KeyOf(*info);
    ASSERT_TRUE(*test_.corpus->Delete({"ward", "/srv", source}, "ingest"));
    Restart();
    ErasureTarget target = Document(source);
    if (by_id) target.document_id = info->document;
    const auto plan = eraser_->Plan(target);
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_EQ(plan->erased.size(), 1u);
    EXPECT_EQ(plan->erased[0].info->source, source);
    EXPECT_EQ(plan->rows, 4u);
    EXPECT_EQ(plan->chunks, 0u);
    const auto record = Erase(target);
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_FALSE(HasKey(key));
    EXPECT_EQ(AllRowsOf(info->document), 0u);
    NewDocument again = DocumentOf("ward", source, {"another text"});
    again.origin = "/srv";
    EXPECT_EQ(test_.corpus->Put(again, "ingest").status().code(), StatusCode::kPermissionDenied);
  }
}

TEST_F(VersionsTest, ASubjectOfAKeptVersionAloneIsFound) {
  const auto old = Put("morphine", {"patient-7"});
  const auto current = Put("insulin");
  Put("own", {"patient-7"}, "b.md");
  ASSERT_TRUE(*test_.corpus->Delete({"ward", "/srv", "b.md"}, "ingest"));
  Restart();
  // The current version does not concern the subject, so somebody decides what becomes of it.
  const auto undecided = Erase(Subject("patient-7"));
  EXPECT_EQ(undecided.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(MessageOf(undecided.status()).find("--shared"), std::string::npos);
  ErasureTarget target = Subject("patient-7");
  target.shared = ErasureTarget::Shared::kKeep;
  const auto kept = Erase(target);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->documents.size(), 1u);  // The deleted one is the subject's alone.
  EXPECT_EQ(kept->kept, 1u);
  EXPECT_TRUE(Read("officer", *old).ok());
  target.shared = ErasureTarget::Shared::kErase;
  ASSERT_TRUE(Erase(target).ok());
  EXPECT_EQ(AllRowsOf(old->document), 0u);
  EXPECT_FALSE(test_.corpus->documents().Find(current->document));
}

TEST_F(VersionsTest, ACollectionGoesWithWhatWasDeletedFromIt) {
  const auto deleted = Put("morphine");
  const KeyId key = KeyOf(*deleted);
  Delete();
  Put("insulin", {}, "b.md");
  ErasureTarget target;
  target.kind = TargetKind::kCollection;
  target.collection = "ward";
  const auto record = Erase(target);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->documents.size(), 2u);
  EXPECT_EQ(AllRowsOf(deleted->document), 0u);
  EXPECT_FALSE(HasKey(key));
  EXPECT_FALSE(test_.corpus->directory().FindCollection("ward"));
}

// From the first moment of an erasure, though its rows are still there.
TEST_F(VersionsTest, NothingIsReadOnceItsErasureHasBegun) {
  const auto first = Put("morphine");
  Put("insulin");
  StatusCode read = StatusCode::kOk;
  uint64_t rows = 0;
  eraser_->OnStep([&](ErasureStep step) {
    if (step != ErasureStep::kRequested) return;
    read = Read("officer", *first).status().code();
    rows = AllRowsOf(first->document);
  });
  ASSERT_TRUE(Erase(Document("a.md")).ok());
  EXPECT_EQ(read, StatusCode::kNotFound);
  EXPECT_GT(rows, 0u);
  EXPECT_TRUE(test_.recorder.readings.empty());
}

TEST_F(VersionsTest, AReadingUnderWayIsRecordedBeforeTheErasureGoesOn) {
  const auto first = Put("morphine");
  Put("insulin");
  std::atomic<bool> recorded = false, went_on_early = false;
  eraser_->OnStep([&](ErasureStep) {
    if (!recorded) went_on_early = true;
  });
  std::thread erasing;
  test_.recorder.before = [&] {
    erasing = std::thread([&] { EXPECT_TRUE(Erase(Document("a.md")).ok()); });
    while (test_.corpus->documents().HistoryOf(first->document)) std::this_thread::yield();
    // Long enough to see an erasure that does not wait; one that does is not hurried.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    recorded = true;
  };
  const auto read = Read("officer", *first);
  erasing.join();
  EXPECT_TRUE(read.ok()) << read.status();
  EXPECT_FALSE(went_on_early);
}

}  // namespace
}  // namespace cloister::retrieval
