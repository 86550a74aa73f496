// SPDX-License-Identifier: Apache-2.0
// Former versions: kept, found by nobody who searches, read by who may, ended in time, and erased with the
// rest.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "retrieval/eraser.h"
#include "retrieval/test_support.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

constexpr const char* kReason = "audit of the answers of May";

class QuietErasureAudit final : public ErasureAudit {
 public:
  StatusOr<uint64_t> RecordRequested(const ErasureRecord&, std::string_view) override { return Next(); }
  StatusOr<uint64_t> RecordCompleted(const ErasureRecord& record) override {
    completed.push_back(record);
    return Next();
  }
  StatusOr<uint64_t> RecordNotice(const ErasureRecord&, std::string_view, std::string_view,
                                  std::string_view) override {
    return Next();
  }
  Status DeliverEvents() override {
    return rows()->DeliverEvents([this](const Event& event) {
      events.push_back(event);
      return absl::OkStatus();
    });
  }
  StatusOr<Forgotten> Forget(const std::vector<DocumentId>& documents, const std::string&) override {
    return Forgotten{0, documents.size()};
  }
  StatusOr<Releases> CountReleases(const std::vector<DocumentId>&) override { return Releases{}; }
  StatusOr<uint64_t> Next() { return ++index; }
  std::function<Rows*()> rows;
  std::vector<ErasureRecord> completed;
  std::vector<Event> events;
  uint64_t index = 0;
};

class VersionsTest : public testing::Test {
 protected:
  explicit VersionsTest(uint32_t segment_documents = 2) : test_(segment_documents) {
    audit_.rows = [this] { return &test_.corpus->rows(); };
    SetClass("keep");
    test_.AddUser("a.weber", {"nurses"});
    test_.AddUser("officer", {}, {"compliance"});
    test_.AddUser("auditor", {}, {"auditor"});
    test_.AddUser("admin", {"nurses"}, {"administrator", "knowledge-manager"});
    Restart();
  }
  void SetClass(const std::string& retention) { test_.AddCollection("ward", {"nurses"}, {}, retention); }
  void Restart() {
    eraser_.reset();
    test_.Reopen();
    auto eraser = Eraser::Open(*test_.corpus, audit_, test_.clock);
    ASSERT_TRUE(eraser.ok()) << eraser.status();
    eraser_ = *std::move(eraser);
  }
  std::shared_ptr<const DocumentInfo> Put(const std::string& text, std::vector<std::string> subjects = {},
                                          const std::string& source = "a.md") {
    NewDocument document = DocumentOf("ward", source, {text});
    document.origin = "/srv";
    document.subjects = std::move(subjects);
    return test_.Put(document).info;
  }
  bool Delete() { return *test_.corpus->Delete({"ward", "/srv", "a.md"}, "ingest"); }
  KeyId KeyOf(const DocumentInfo& info) {
    return *storage::RecordKeyId(
        *test_.store->Get(kDocumentsFamily, VersionKey(info.document, info.version)));
  }
  bool HasKey(const KeyId& key) { return test_.keys->GetKey(key).ok(); }
  size_t RowsOf(std::string_view family, const DocumentInfo& info) {
    return test_.corpus->rows()
        .Keys(*test_.corpus->rows().GetSnapshot(), family, VersionKey(info.document, info.version))
        ->size();
  }
  uint64_t AllRowsOf(const DocumentId& document) {
    return *test_.corpus->documents().CountRows(*test_.corpus->rows().GetSnapshot(), document);
  }
  size_t Hits(const std::string& question) { return test_.Search("a.weber", question).hits.size(); }
  void Shred() {
    ASSERT_TRUE(audit_.DeliverEvents().ok());
    const auto shredded = test_.corpus->Shred(storage::DestroyFor::kUpkeep);
    ASSERT_TRUE(shredded.ok()) << shredded.status();
  }
  uint64_t EndDue() {
    const auto ended = eraser_->EndDueVersions();
    EXPECT_TRUE(ended.ok()) << ended.status();
    return ended.ok() ? *ended : 0;
  }
  StatusOr<std::vector<ListedVersion>> List(const std::string& user, const std::string& source = "a.md",
                                            const std::string& origin = "") {
    return test_.releaser->ListVersions(test_.PrincipalOf(user), {{"ward", origin, source}, std::nullopt});
  }
  StatusOr<ReadVersion> Read(const std::string& user, const DocumentInfo& info,
                             const std::string& reason = kReason) {
    return test_.releaser->ReadText(test_.PrincipalOf(user), info.document, info.version, reason);
  }
  StatusOr<ErasureRecord> Erase(const ErasureTarget& target) {
    return eraser_->Erase(target, "request by letter", "gdpr-17-1-b", "officer");
  }
  static ErasureTarget Document(const std::string& source) {
    ErasureTarget target;
    target.document = {"ward", "", source};
    return target;
  }
  static ErasureTarget Subject(const std::string& subject) {
    ErasureTarget target;
    target.kind = TargetKind::kSubject;
    target.subject = subject;
    return target;
  }

  TestCorpus test_;
  QuietErasureAudit audit_;
  std::unique_ptr<Eraser> eraser_;
};

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

// Erasing.

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
    EXPECT_EQ(test_.corpus->Put(again, "ingest").status().code(), StatusCode::kAborted);
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

// Reading.

TEST_F(VersionsTest, WhoMayListAndWhoMayReadIsDecidedByTheDirectory) {
  const auto first = Put("morphine");
  Put("insulin");
  EXPECT_TRUE(List("officer").ok());
  EXPECT_TRUE(List("auditor").ok());
  EXPECT_TRUE(Read("officer", *first).ok());
  for (const char* user : {"auditor", "admin", "a.weber", "nobody"}) {
    EXPECT_EQ(Read(user, *first).status().code(), StatusCode::kPermissionDenied) << user;
  }
  for (const char* user : {"admin", "a.weber", "nobody"}) {
    EXPECT_EQ(List(user).status().code(), StatusCode::kPermissionDenied) << user;
  }
  policy::Principal claims = test_.PrincipalOf("a.weber");
  claims.roles = {"compliance"};
  EXPECT_EQ(test_.releaser->ReadText(claims, first->document, first->version, kReason).status().code(),
            StatusCode::kPermissionDenied);
  test_.AddUser("officer", {}, {});
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kPermissionDenied);
  EXPECT_EQ(test_.recorder.readings.size(), 1u);
  policy::Principal late = test_.PrincipalOf("officer");
  late.not_after_ns = test_.clock.Now().time_since_epoch().count();
  EXPECT_EQ(test_.releaser->ListVersions(late, {}).status().code(), StatusCode::kUnauthenticated);
}

TEST_F(VersionsTest, AVersionIsReadWithAReasonAndARecord) {
  const auto first = Put("morphine", {"patient-7"});
  const auto second = Put("insulin");
  for (const std::string& reason :
       {std::string(), std::string("short"), std::string(1'001, 'x'), std::string("not UTF-8: \xC3")}) {
    EXPECT_EQ(Read("officer", *first, reason).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_TRUE(test_.recorder.readings.empty());
  const auto read = Read("officer", *first);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->text, "morphine\n");
  EXPECT_EQ(read->title, "Title");
  EXPECT_EQ(read->audit_index, 1u);
  ASSERT_EQ(test_.recorder.readings.size(), 1u);
  const VersionReading& reading = test_.recorder.readings[0];
  EXPECT_EQ(reading.principal.user, "officer");
  EXPECT_EQ(reading.reason, kReason);
  EXPECT_EQ(reading.info, *first);
  EXPECT_FALSE(reading.current);
  EXPECT_EQ(reading.commit_sequence, test_.corpus->rows().CommitSequence());
  EXPECT_EQ(Read("officer", *second)->text, "insulin\n");
  EXPECT_TRUE(test_.recorder.readings[1].current);
  test_.recorder.failure = Unavailable("audit is down");
  EXPECT_EQ(Read("officer", *first).status().code(), StatusCode::kUnavailable);
  test_.recorder.failure = absl::OkStatus();
  DocumentInfo unknown = *first;
  unknown.version = VersionId();
  EXPECT_EQ(Read("officer", unknown).status().code(), StatusCode::kNotFound);
  unknown.document = DocumentId();
  EXPECT_EQ(Read("officer", unknown).status().code(), StatusCode::kNotFound);
}

TEST_F(VersionsTest, ListsTheCurrentVersionAndThoseThatAreKeptNewestFirst) {
  SetClass("keep-30-days");
  const auto first = Put("morphine");
  test_.clock.Advance(std::chrono::seconds(10));
  const auto second = Put("insulin");
  test_.clock.Advance(std::chrono::seconds(10));
  const auto third = Put("aspirin");
  const auto at = [](int seconds) {
    return (kTestTime + std::chrono::seconds(seconds)).time_since_epoch().count();
  };
  for (int round = 0; round < 2; ++round) {
    const auto versions = List("auditor");
    ASSERT_TRUE(versions.ok()) << versions.status();
    ASSERT_EQ(versions->size(), 3u);
    EXPECT_EQ((*versions)[0].info->version, third->version);
    EXPECT_TRUE((*versions)[0].current);
    EXPECT_EQ((*versions)[0].superseded_at_ns, 0);
    EXPECT_EQ((*versions)[1].info->version, second->version);
    EXPECT_EQ((*versions)[1].superseded_at_ns, at(20));
    EXPECT_EQ((*versions)[2].info->version, first->version);
    EXPECT_EQ((*versions)[2].superseded_at_ns, at(10));
    EXPECT_EQ(*(*versions)[2].kept_until_ns, at(10 + 30 * 24 * 3600));
    Restart();
  }
  const auto by_id = test_.releaser->ListVersions(test_.PrincipalOf("auditor"), {{}, third->document});
  EXPECT_EQ(by_id->size(), 3u);
  EXPECT_EQ(List("auditor", "none.md").status().code(), StatusCode::kNotFound);
  EXPECT_EQ(List("auditor", "a.md", "/elsewhere").status().code(), StatusCode::kNotFound);
  NewDocument twin = DocumentOf("ward", "a.md", {"the same name in another folder"});
  twin.origin = "/mnt";
  test_.Put(twin);
  EXPECT_EQ(List("auditor").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(List("auditor", "a.md", "/mnt")->size(), 1u);
}

}  // namespace
}  // namespace cloister::retrieval
