// SPDX-License-Identifier: Apache-2.0
// Former versions: kept, found by nobody who searches, ended in time, and told from damage.
#include "retrieval/versions_fixture.h"

namespace cloister::retrieval {
namespace {

// Keeping.

TEST_F(VersionsTest, AKeptVersionIsThereAndNeverSearchedOrReleased) {
  const auto first = Put("morphine is given");
  const KeyId key = KeyOf(*first);
  const SearchResult before = test_.Search("a.weber", "morphine");
  ASSERT_EQ(before.hits.size(), 1u);
  const auto second = Put("insulin is given");
  EXPECT_EQ(second->document, first->document);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Hits("morphine"), 0u);
    EXPECT_EQ(Hits("insulin"), 1u);
    EXPECT_EQ(RowsOf(kTextFamily, *first), 1u);
    EXPECT_EQ(RowsOf(kOriginalsFamily, *first), 1u);
    EXPECT_EQ(RowsOf(kChunksFamily, *first), 1u);  // Where the passages stood that an answer rested on.
    EXPECT_EQ(RowsOf(kKeptVersionsFamily, *first), 1u);
    EXPECT_EQ(RowsOf(kDocumentsFamily, *first), 0u);
    EXPECT_EQ(RowsOf(kVectorsFamily, *first), 0u);
    EXPECT_EQ(RowsOf(kSentenceVectorsFamily, *first), 0u);
    EXPECT_EQ(test_.corpus->documents().Count(), 1u);
    const auto history = test_.corpus->documents().HistoryOf(first->document);
    ASSERT_TRUE(history);
    EXPECT_EQ(history->current->version, second->version);
    ASSERT_EQ(history->kept.size(), 1u);
    EXPECT_EQ(*history->kept[0].info, *first);
    EXPECT_FALSE(history->kept[0].deleted);
    EXPECT_EQ(history->kept[0].superseded_at_ns, kTestTime.time_since_epoch().count());
    // Its rows are at hand, and a handle from before gives nothing all the same.
    if (round == 0) {
      EXPECT_EQ(test_.Release("a.weber", before)->passages.size(), 0u);
    }
    EXPECT_EQ(EndDue(), 0u);
    Shred();
    EXPECT_TRUE(HasKey(key));
    Restart();
  }
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
}

// Its vectors and terms are in a segment until that is rewritten, though no key waits to be destroyed.
TEST_F(VersionsTest, SegmentsAreRewrittenWithoutAKeptVersion) {
  const auto first = Put("morphine is given");
  Put("another", {}, "b.md");
  Put("a third", {}, "c.md");
  EXPECT_FALSE(test_.corpus->SegmentsHoldDead());
  ASSERT_EQ(test_.corpus->SegmentsWith({first->document}), 1u);
  Delete();
  EXPECT_TRUE(test_.corpus->SegmentsHoldDead());
  EXPECT_EQ(test_.corpus->retired_keys().size(), 0u);
  Shred();
  EXPECT_FALSE(test_.corpus->SegmentsHoldDead());
  EXPECT_EQ(test_.corpus->SegmentsWith({first->document}), 0u);
  EXPECT_EQ(test_.corpus->retired_keys().size(), 0u);  // The former segment's key is destroyed.
}

TEST_F(VersionsTest, WithoutAKeepingClassNothingIsKept) {
  SetClass("shred");
  const auto first = Put("morphine");
  const KeyId key = KeyOf(*first);
  Put("insulin");
  EXPECT_EQ(RowsOf(kTextFamily, *first), 0u);
  EXPECT_TRUE(test_.corpus->documents().HistoryOf(first->document)->kept.empty());
  Shred();
  EXPECT_FALSE(HasKey(key));
}

TEST_F(VersionsTest, ADeletedDocumentIsKeptAndGoesOnUnderItsId) {
  const auto first = Put("morphine");
  ASSERT_TRUE(Delete());
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(test_.corpus->documents().Find(first->document));
    EXPECT_EQ(Hits("morphine"), 0u);
    const auto versions = List("officer");
    ASSERT_TRUE(versions.ok()) << versions.status();
    ASSERT_EQ(versions->size(), 1u);
    EXPECT_TRUE((*versions)[0].deleted);
    EXPECT_FALSE((*versions)[0].current);
    EXPECT_EQ(Read("officer", *first)->text, "morphine\n");
    Restart();
  }
  const auto again = Put("insulin");
  EXPECT_EQ(again->document, first->document);
  EXPECT_EQ(Hits("insulin"), 1u);
  EXPECT_EQ(List("officer")->size(), 2u);
  // The same content as a kept version is a new version, not that one.
  EXPECT_NE(Put("morphine")->version, first->version);
  EXPECT_EQ(List("officer")->size(), 3u);
}

TEST_F(VersionsTest, TheLogSaysWhatBecameOfTheFormerVersion) {
  Put("one");
  Put("two");
  SetClass("shred");
  Delete();
  ASSERT_TRUE(audit_.DeliverEvents().ok());
  std::vector<std::string> former;
  for (const Event& event : audit_.events) {
    for (const auto& [name, value] : event.fields) {
      if (name == "former") former.push_back(event.name + " " + value);
    }
  }
  EXPECT_EQ(former, (std::vector<std::string>{"document.updated kept", "document.deleted given-up"}));
}

TEST_F(VersionsTest, TooManyVersionsOfOneDocumentAreRefusedAndNothingChanges) {
  SetClass("keep");
  for (size_t i = 0; i <= kKeptVersionsPerDocumentMax; ++i) {
    Put("text " + std::to_string(i));
    if (i % 1'000 == 0) {
      ASSERT_TRUE(audit_.DeliverEvents().ok());
    }
  }
  NewDocument document = DocumentOf("ward", "a.md", {"one too many"});
  document.origin = "/srv";
  EXPECT_EQ(test_.corpus->Put(document, "ingest").status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(test_.corpus->Delete({"ward", "/srv", "a.md"}, "ingest").status().code(),
            StatusCode::kResourceExhausted);
  EXPECT_EQ(Hits("many"), 0u);
  EXPECT_EQ(test_.corpus->documents().Count(), 1u);
  SetClass("shred");
  EXPECT_TRUE(test_.corpus->Put(document, "ingest").ok());
}

// Ending.

TEST_F(VersionsTest, AVersionEndsWhenItsTimeIsUp) {
  SetClass("keep-30-days");
  const auto first = Put("morphine", {"patient-7"});
  const auto key = KeyOf(*first);
  test_.clock.Advance(std::chrono::hours(24 * 100));  // Time as the current version does not count.
  const auto second = Put("insulin");
  test_.clock.Advance(std::chrono::hours(24 * 30) - std::chrono::seconds(1));
  EXPECT_EQ(EndDue(), 0u);
  EXPECT_TRUE(Read("officer", *first).ok());
  Restart();
  test_.clock.Advance(std::chrono::seconds(1));
  EXPECT_EQ(EndDue(), 1u);
  EXPECT_EQ(EndDue(), 0u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kNotFound);
    EXPECT_EQ(List("officer")->size(), 1u);
    EXPECT_EQ(RowsOf(kTextFamily, *first), 0u);
    EXPECT_EQ(RowsOf(kKeptVersionsFamily, *first), 0u);
    EXPECT_EQ(RowsOf(kTextFamily, *second), 1u);
    Restart();
  }
  EXPECT_TRUE(HasKey(key));  // Until the next shredding.
  Shred();
  EXPECT_FALSE(HasKey(key));
  EXPECT_TRUE(Read("officer", *second).ok());
  size_t recorded = 0;
  for (const Event& event : audit_.events) {
    if (event.name != "version.ended") continue;
    EXPECT_TRUE(event.subjects.empty());  // It may be delivered after the subject was forgotten.
    ++recorded;
  }
  EXPECT_GE(recorded, 1u);
}

// Rows and key go in one batch: when it fails, both stay.
TEST_F(VersionsTest, AnEndThatCannotBeWrittenChangesNothing) {
  const auto first = Put("morphine");
  Put("insulin");
  SetClass("shred");
  ASSERT_TRUE(audit_.DeliverEvents().ok());
  test_.store->FailWrites(ResourceExhausted("disk full"));
  EXPECT_EQ(eraser_->EndDueVersions().status().code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(test_.corpus->retired_keys().size(), 0u);
  EXPECT_TRUE(Read("officer", *first).ok());
}

TEST_F(VersionsTest, TheClassThatCountsIsTheOneOfTheMoment) {
  const auto first = Put("morphine");
  Put("insulin");
  test_.clock.Advance(std::chrono::hours(24 * 10));
  EXPECT_EQ(EndDue(), 0u);
  SetClass("keep-11-days");
  EXPECT_EQ(EndDue(), 0u);
  EXPECT_EQ(*List("officer")->back().kept_until_ns,
            (kTestTime + std::chrono::hours(24 * 11)).time_since_epoch().count());
  SetClass("keep");
  EXPECT_FALSE(List("officer")->back().kept_until_ns);
  SetClass("keep-10-days");
  EXPECT_EQ(EndDue(), 1u);
  const auto second = Put("aspirin");
  SetClass("shred");
  EXPECT_EQ(EndDue(), 1u);
  EXPECT_EQ(List("officer")->size(), 1u);
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(Read("officer", *second).ok());
}

TEST_F(VersionsTest, MoreThanOneBatchEnds) {
  for (size_t i = 0; i <= kVersionsPerEndingBatch + 3; ++i) Put("text " + std::to_string(i));
  SetClass("shred");
  EXPECT_EQ(EndDue(), kVersionsPerEndingBatch + 3);
  EXPECT_EQ(List("officer")->size(), 1u);
}

TEST_F(VersionsTest, AHoldKeepsWhatItCoversWhileItStands) {
  const auto held = Put("morphine", {"patient-7"});
  Put("insulin", {"patient-8"});
  Put("aspirin");
  Hold hold;
  hold.kind = TargetKind::kSubject;
  hold.subject = "patient-7";
  hold.basis = "legal-claims";
  hold.reason = "court case 4711";
  hold.placed_by = "officer";
  const auto placed = eraser_->holds().Place(hold, "gateway");
  ASSERT_TRUE(placed.ok());
  SetClass("shred");
  EXPECT_EQ(EndDue(), 1u);
  Restart();
  EXPECT_EQ(EndDue(), 0u);
  EXPECT_EQ(Read("officer", *held)->text, "morphine\n");
  // A kept version holds against the erasure of its document, too.
  EXPECT_EQ(Erase(Document("a.md")).status().code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(eraser_->holds().Release(placed->id, "case is closed", "officer", "gateway").ok());
  EXPECT_EQ(EndDue(), 1u);
}

// Damage.

TEST_F(VersionsTest, ADamagedFormerVersionNeverStopsTheStart) {
  const auto first = Put("morphine");
  const auto second = Put("insulin");
  const auto third = Put("aspirin");
  storage::WriteBatch batch;
  batch.Put(kKeptVersionsFamily, VersionKey(first->document, first->version), "damaged");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  Restart();
  EXPECT_EQ(test_.corpus->GetStatus().unreadable_documents, 1u);
  EXPECT_EQ(test_.corpus->documents().Find(third->document)->version, third->version);
  EXPECT_EQ(Hits("aspirin"), 1u);
  EXPECT_EQ(Hits("insulin"), 0u);
  EXPECT_EQ(List("officer")->size(), 2u);
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Read("officer", *second)->text, "insulin\n");
  // Which class counts and since when is not known, so nothing but an erasure ends it.
  SetClass("shred");
  EXPECT_EQ(EndDue(), 1u);
  EXPECT_EQ(RowsOf(kTextFamily, *first), 1u);
  EXPECT_EQ(Put("aspirin")->version,
            third->version);  // Unchanged content is still told by the current version.
  const auto record = Erase(Document("a.md"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(AllRowsOf(first->document), 0u);
  EXPECT_EQ(test_.corpus->GetStatus().unreadable_documents, 0u);
}

// Whatever happens to the row that says that it is kept, nothing serves it as the current one.
TEST_F(VersionsTest, AFormerVersionNeverBecomesTheCurrentOne) {
  const auto first = Put("morphine");
  Put("insulin");
  const std::string row_key = VersionKey(first->document, first->version);
  const std::string record = *test_.store->Get(kKeptVersionsFamily, row_key);
  for (const bool transplanted : {false, true}) {  // Otherwise lost.
    storage::WriteBatch batch;
    batch.Delete(kKeptVersionsFamily, row_key);
    if (transplanted) batch.Put(kDocumentsFamily, row_key, record);
    ASSERT_TRUE(test_.store->Write(batch).ok());
    Restart();
    EXPECT_EQ(Hits("morphine"), 0u);
    EXPECT_EQ(Hits("insulin"), 1u);
  }
}

TEST_F(VersionsTest, WithoutItsKeyNothingIsKept) {
  const auto first = Put("morphine");
  storage::WriteBatch batch;
  batch.Put(kDocumentsFamily, VersionKey(first->document, first->version), "damaged");
  batch.Put(kOriginalsFamily, VersionKey(first->document, first->version), "damaged");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  Put("insulin");
  EXPECT_EQ(RowsOf(kTextFamily, *first), 0u);
  EXPECT_EQ(List("officer")->size(), 1u);
}

TEST_F(VersionsTest, ADamagedTextIsNotShownAndCounted) {
  const auto first = Put("morphine");
  Put("insulin");
  storage::WriteBatch batch;
  batch.Put(kTextFamily, PartKey(first->document, first->version, 0), "damaged");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(test_.recorder.readings.empty());
  EXPECT_EQ(test_.corpus->GetStatus().unreadable_documents, 1u);
  EXPECT_EQ(Hits("insulin"), 1u);
}

// A document whose current version is damaged is not confused with one that was deleted.
TEST_F(VersionsTest, NextToADamagedCurrentVersionTheNameBeginsAnew) {
  Put("morphine");
  const auto second = Put("insulin");
  storage::WriteBatch batch;
  batch.Put(kDocumentsFamily, VersionKey(second->document, second->version), "damaged");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  Restart();
  EXPECT_EQ(List("officer")->size(), 1u);
  const auto anew = Put("aspirin");
  EXPECT_NE(anew->document, second->document);
  // The name stands for both when it is erased.
  const auto record = Erase(Document("a.md"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->documents.size(), 2u);
  EXPECT_EQ(AllRowsOf(second->document) + AllRowsOf(anew->document), 0u);
}

}  // namespace
}  // namespace cloister::retrieval
