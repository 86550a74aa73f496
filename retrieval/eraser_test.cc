// SPDX-License-Identifier: Apache-2.0
#include "retrieval/eraser.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "retrieval/test_support.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {
namespace {

constexpr const char* kReason = "request of the patient, by letter";
constexpr const char* kBasis = "gdpr-17-1-b";

// Keeps what it was told; fails on request.
class FakeErasureAudit final : public ErasureAudit {
 public:
  StatusOr<uint64_t> RecordRequested(const ErasureRecord& record, std::string_view) override {
    return Note("requested", record);
  }
  StatusOr<uint64_t> RecordCompleted(const ErasureRecord& record) override { return Note("completed", record); }
  StatusOr<uint64_t> RecordNotice(const ErasureRecord& record, std::string_view recipient, std::string_view,
                                  std::string_view) override {
    recipients.push_back(std::string(recipient));
    return Note("notice", record);
  }
  Status DeliverEvents() override {
    if (!failure.ok()) return failure;
    steps.push_back("deliver");
    return rows()->DeliverEvents([](const Event&) { return absl::OkStatus(); });
  }
  StatusOr<Forgotten> Forget(const std::vector<DocumentId>& documents, const std::string& subject) override {
    if (!failure.ok()) return failure;
    forgotten.insert(documents.begin(), documents.end());
    steps.push_back("forget " + subject + " and " + std::to_string(documents.size()));
    return Forgotten{subject == "patient-7" || subject == "log-only" ? 1u : 0u, documents.size()};
  }
  StatusOr<Releases> CountReleases(const std::vector<DocumentId>& documents) override {
    return Releases{3 * documents.size(), documents.empty() ? 0u : 2u, not_counted};
  }
  StatusOr<uint64_t> Note(const std::string& what, const ErasureRecord& record) {
    if (!failure.ok()) return failure;
    names.push_back(what);
    steps.push_back(what);
    records.push_back(record);
    return names.size();
  }
  std::function<Rows*()> rows;
  std::vector<std::string> names, recipients, steps, not_counted;
  std::vector<ErasureRecord> records;
  std::set<DocumentId> forgotten;
  Status failure;
};

struct Stopped {};

class EraserTest : public testing::Test {
 protected:
  EraserTest() : test_(2) {
    audit_.rows = [this] { return &test_.corpus->rows(); };
    test_.AddCollection("ward", {"nurses"});
    test_.AddUser("a.weber", {"nurses"});
    OpenEraser();
  }
  void OpenEraser() {
    auto eraser = Eraser::Open(*test_.corpus, audit_, test_.clock);
    ASSERT_TRUE(eraser.ok()) << eraser.status();
    eraser_ = *std::move(eraser);
  }
  void Restart() {
    eraser_.reset();
    test_.Reopen();
    OpenEraser();
  }
  std::shared_ptr<const DocumentInfo> PutAbout(const std::string& source, const std::string& text,
                                               std::vector<std::string> subjects = {}) {
    NewDocument document = DocumentOf("ward", source, {text});
    document.origin = "/srv";
    document.subjects = std::move(subjects);
    return test_.Put(document).info;
  }
  static ErasureTarget Document(const std::string& source, const std::string& origin = "") {
    ErasureTarget target;
    target.document = {"ward", origin, source};
    return target;
  }
  static ErasureTarget Subject(const std::string& subject,
                               ErasureTarget::Shared shared = ErasureTarget::Shared::kUndecided) {
    ErasureTarget target;
    target.kind = TargetKind::kSubject;
    target.subject = subject;
    target.shared = shared;
    return target;
  }
  StatusOr<ErasureRecord> Erase(const ErasureTarget& target) {
    return eraser_->Erase(target, kReason, kBasis, "officer");
  }
  size_t Hits(const std::string& question) { return test_.Search("a.weber", question).hits.size(); }
  KeyId KeyOfDocument(const DocumentInfo& info) {
    const auto row = test_.store->Get(kDocumentsFamily, VersionKey(info.document, info.version));
    return *storage::RecordKeyId(*row);
  }

  TestCorpus test_;
  FakeErasureAudit audit_;
  std::unique_ptr<Eraser> eraser_;
};

// A part of the log that cannot be read does not keep anything from being erased; plan and receipt say it.
TEST_F(EraserTest, WhatCouldNotBeCountedIsSaidInPlanAndReceipt) {
  PutAbout("gone.md", "morphine is gone");
  EXPECT_TRUE(eraser_->Plan(Document("gone.md"))->not_counted.empty());
  audit_.not_counted = {"The audit log of generation 1 could not be read whole."};
  EXPECT_EQ(eraser_->Plan(Document("gone.md"))->not_counted, audit_.not_counted);
  const auto record = Erase(Document("gone.md"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->step, ErasureStep::kCompleted);
  EXPECT_EQ(record->outside.back(), audit_.not_counted.front());
  EXPECT_EQ(audit_.records.back().outside.back(), audit_.not_counted.front()) << "it is in the signed record, too";
}

TEST_F(EraserTest, ADocumentGoesWithItsRowsKeysAndSegments) {
  const auto kept = PutAbout("kept.md", "insulin is kept");
  const auto gone = PutAbout("gone.md", "morphine is gone");
  PutAbout("more.md", "more text that makes a segment");
  const KeyId key = KeyOfDocument(*gone);
  std::set<std::string> segments_before;
  for (const auto& entry : std::filesystem::directory_iterator(test_.SegmentDirectory()))
    segments_before.insert(entry.path().filename());
  ASSERT_GE(segments_before.size(), 2u);
  const auto record = Erase(Document("gone.md"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->step, ErasureStep::kCompleted);
  EXPECT_EQ(record->documents, std::vector<DocumentId>{gone->document});
  EXPECT_EQ(record->rows, 6u);
  EXPECT_EQ(record->segments, 1u);
  EXPECT_GE(record->keys, 1u);
  EXPECT_EQ(record->releases, 3u);
  EXPECT_EQ(record->audit_completed, 2u);
  EXPECT_EQ(audit_.names, (std::vector<std::string>{"requested", "completed"}));
  EXPECT_TRUE(audit_.forgotten.contains(gone->document));
  EXPECT_EQ(test_.keys->GetKey(key).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(test_.corpus->retired_keys().size(), 0u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Hits("morphine"), 0u);
    EXPECT_EQ(Hits("insulin"), 1u);
    EXPECT_EQ(*test_.corpus->documents().CountRows(*test_.store->GetSnapshot(), gone->document), 0u);
    EXPECT_FALSE(test_.corpus->documents().Find(gone->document));
    EXPECT_TRUE(test_.corpus->documents().Find(kept->document));
    Restart();
  }
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
}

// The index keeps nothing of what was erased, not even behind a mark that it is dead.
TEST_F(EraserTest, MemoryHoldsNeitherVectorNorPostings) {
  const auto gone = PutAbout("gone.md", "morphine");
  PutAbout("kept.md", "insulin");
  const auto chunk = *test_.corpus->Read().index().ChunksOfDocument(gone->document).begin();
  ASSERT_TRUE(Erase(Document("gone.md")).ok());
  const auto reading = test_.corpus->Read();
  std::set<std::string> terms;
  reading.index().lexical().ForEachTerm([&](const std::string& term, const auto&) { terms.insert(term); });
  EXPECT_FALSE(terms.contains("morphin")) << "stem";
  EXPECT_TRUE(terms.contains("insulin"));
  EXPECT_EQ(reading.index().lexical().Length(chunk), 0u);
}

TEST_F(EraserTest, WhatIsErasedDoesNotComeBack) {
  PutAbout("gone.md", "morphine");
  ASSERT_TRUE(Erase(Document("gone.md")).ok());
  for (int round = 0; round < 2; ++round) {
    NewDocument again = DocumentOf("ward", "gone.md", {"another text"});
    again.origin = "/srv";
    const Status by_name = test_.corpus->Put(again, "ingest").status();
    EXPECT_EQ(by_name.code(), StatusCode::kPermissionDenied);
    EXPECT_NE(MessageOf(by_name).find("erase lift"), std::string::npos);
    NewDocument renamed = DocumentOf("ward", "renamed.md", {"morphine"});
    renamed.origin = "/srv";
    EXPECT_EQ(test_.corpus->Put(renamed, "ingest").status().code(), StatusCode::kPermissionDenied);
    // Another text under another name is nobody's business.
    PutAbout("fresh.md", "a fresh text");
    Restart();
  }
  Event event;
  event.name = "erasure.lifted";
  EXPECT_TRUE(test_.corpus->suppressions().Lift({"ward", "/srv", "gone.md"}, event).ok());
  EXPECT_EQ(test_.corpus->suppressions().Lift({"ward", "/srv", "gone.md"}, event).code(), StatusCode::kNotFound);
  PutAbout("gone.md", "morphine");
  EXPECT_EQ(Hits("morphine"), 1u);
}

// As after the restore of a backup from before the erasure, with the keyring of now.
TEST_F(EraserTest, WhatIsErasedStaysSuppressedWhereTheRowsDoNotKnow) {
  PutAbout("gone.md", "morphine");
  ASSERT_TRUE(Erase(Document("gone.md")).ok());
  const auto snapshot = test_.corpus->rows().GetSnapshot();
  const auto rows = test_.corpus->rows().Keys(*snapshot, kSuppressionsFamily);
  ASSERT_TRUE(rows.ok());
  ASSERT_EQ(rows->size(), 2u);
  storage::WriteBatch batch;
  for (const std::string& row : *rows) batch.Delete(kSuppressionsFamily, row);
  ASSERT_TRUE(test_.corpus->rows().Commit(std::move(batch), {}).ok());
  Restart();
  EXPECT_EQ(test_.corpus->suppressions().size(), 1u);
  NewDocument again = DocumentOf("ward", "gone.md", {"another text"});
  again.origin = "/srv";
  EXPECT_EQ(test_.corpus->Put(again, "ingest").status().code(), StatusCode::kPermissionDenied);
  NewDocument renamed = DocumentOf("ward", "renamed.md", {"morphine"});
  renamed.origin = "/srv";
  EXPECT_EQ(test_.corpus->Put(renamed, "ingest").status().code(), StatusCode::kPermissionDenied);
  Event event;
  event.name = "erasure.lifted";
  EXPECT_TRUE(test_.corpus->suppressions().Lift({"ward", "/srv", "gone.md"}, event).ok());
  Restart();
  EXPECT_EQ(test_.corpus->suppressions().size(), 0u);
  PutAbout("gone.md", "morphine");
  EXPECT_EQ(Hits("morphine"), 1u);
}

TEST_F(EraserTest, AHoldStandsAgainstIt) {
  const auto info = PutAbout("a.md", "morphine", {"patient-7"});
  Hold hold;
  hold.reason = "court case 4711";
  hold.basis = "legal-claims";
  hold.placed_by = "officer";
  for (const TargetKind kind : {TargetKind::kDocument, TargetKind::kSubject, TargetKind::kCollection}) {
    hold.kind = kind;
    hold.document = {"ward", "/srv", "a.md"};
    hold.subject = "patient-7";
    hold.collection = "ward";
    const auto placed = eraser_->holds().Place(hold, "gateway");
    ASSERT_TRUE(placed.ok()) << placed.status();
    for (int round = 0; round < 2; ++round) {
      ErasureTarget collection;
      collection.kind = TargetKind::kCollection;
      collection.collection = "ward";
      for (const ErasureTarget& target : {Document("a.md"), Subject("patient-7"), collection}) {
        const auto refused = Erase(target);
        EXPECT_EQ(refused.status().code(), StatusCode::kFailedPrecondition);
        EXPECT_NE(MessageOf(refused.status()).find(placed->id.hex()), std::string::npos);
      }
      Restart();
    }
    EXPECT_EQ(Hits("morphine"), 1u);
    EXPECT_EQ(eraser_->holds().Release(placed->id, "short", "officer", "gateway").status().code(),
              StatusCode::kInvalidArgument);
    ASSERT_TRUE(eraser_->holds().Release(placed->id, "case is closed", "officer", "gateway").ok());
  }
  EXPECT_TRUE(audit_.names.empty());
  EXPECT_TRUE(Erase(Document("a.md")).ok());
  EXPECT_EQ(Hits("morphine"), 0u);
}

TEST_F(EraserTest, ASubjectGoesWithItsDocumentsAndSharedOnesNeedADecision) {
  PutAbout("own.md", "morphine for one", {"patient-7"});
  PutAbout("shared.md", "morphine for two", {"patient-7", "patient-8"});
  PutAbout("other.md", "morphine for another", {"patient-8"});
  const auto undecided = Erase(Subject("patient-7"));
  EXPECT_EQ(undecided.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Hits("morphine"), 3u);
  const auto kept = Erase(Subject("patient-7", ErasureTarget::Shared::kKeep));
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_EQ(kept->documents.size(), 1u);
  EXPECT_EQ(kept->kept, 1u);
  EXPECT_TRUE(kept->subject.empty());
  EXPECT_EQ(Hits("morphine"), 2u);
  const auto all = Erase(Subject("patient-7", ErasureTarget::Shared::kErase));
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->documents.size(), 1u);
  EXPECT_EQ(Hits("morphine"), 1u);
}

// An event or a release that names the subject would make the log know it again.
TEST_F(EraserTest, ASubjectIsForgottenBeforeAnythingIsWrittenAndAgainWhenNothingCanNameIt) {
  PutAbout("own.md", "morphine", {"patient-7"});
  ASSERT_GT(test_.corpus->rows().PendingEvents(), 0u);
  std::vector<size_t> pending;
  eraser_->OnStep([&](ErasureStep) { pending.push_back(test_.corpus->rows().PendingEvents()); });
  ASSERT_TRUE(Erase(Subject("patient-7")).ok());
  EXPECT_EQ(audit_.steps, (std::vector<std::string>{"requested", "deliver", "forget patient-7 and 0",
                                                    "forget patient-7 and 1", "deliver", "completed"}));
  EXPECT_EQ(pending, std::vector<size_t>(5, 0));
}

// What was released before is recorded before the erasure goes on; what comes after gives nothing.
TEST_F(EraserTest, AReleaseUnderWayIsRecordedBeforeTheErasureGoesOn) {
  PutAbout("a.md", "morphine");
  const SearchResult search = test_.Search("a.weber", "morphine");
  ASSERT_EQ(search.hits.size(), 1u);
  std::atomic<bool> recorded = false, went_on_early = false;
  eraser_->OnStep([&](ErasureStep) {
    if (!recorded) went_on_early = true;
  });
  std::thread erasing;
  test_.recorder.before = [&] {
    erasing = std::thread([&] { EXPECT_TRUE(Erase(Document("a.md")).ok()); });
    while (test_.corpus->documents().Count() > 0) std::this_thread::yield();
    // Long enough to see an erasure that does not wait; one that does is not hurried.
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    recorded = true;
  };
  const auto released = test_.Release("a.weber", search);
  erasing.join();
  ASSERT_TRUE(released.ok()) << released.status();
  EXPECT_EQ(released->passages.size(), 1u);
  EXPECT_FALSE(went_on_early);
  test_.recorder.before = nullptr;
  EXPECT_EQ(test_.Release("a.weber", search)->passages.size(), 0u);
}

TEST_F(EraserTest, ASubjectThatOnlyTheLogKnowsCanBeForgotten) {
  EXPECT_EQ(Erase(Subject("nobody")).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(audit_.names.empty());
  const auto record = Erase(Subject("log-only"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_GE(record->people, 1u);
}

TEST_F(EraserTest, ACollectionGoesWithItsDefinition) {
  test_.AddCollection("other", {"nurses"});
  PutAbout("a.md", "morphine");
  PutAbout("b.md", "insulin");
  test_.Put(DocumentOf("other", "c.md", {"morphine elsewhere"}));
  ErasureTarget target;
  target.kind = TargetKind::kCollection;
  target.collection = "ward";
  const auto record = Erase(target);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->documents.size(), 2u);
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(test_.corpus->directory().FindCollection("ward"));
    EXPECT_EQ(Hits("morphine"), 1u);
    Restart();
  }
  // Whoever makes it again wants it again.
  test_.AddCollection("ward", {"nurses"});
  PutAbout("a.md", "morphine");
  EXPECT_EQ(Hits("morphine"), 2u);
}

TEST_F(EraserTest, UnknownTargetsAndBadRequestsChangeNothing) {
  PutAbout("a.md", "morphine");
  NewDocument twin = DocumentOf("ward", "a.md", {"the same name in another folder"});
  twin.origin = "/mnt";
  test_.Put(twin);
  EXPECT_EQ(Erase(Document("none.md")).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(Erase(Document("a.md")).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(eraser_->Erase(Document("a.md", "/srv"), "short", kBasis, "o").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(eraser_->Erase(Document("a.md", "/srv"), kReason, "because", "o").status().code(),
            StatusCode::kInvalidArgument);
  EXPECT_TRUE(audit_.names.empty());
  EXPECT_EQ(test_.corpus->documents().Count(), 2u);
  EXPECT_TRUE(Erase(Document("a.md", "/mnt")).ok());
  EXPECT_EQ(Hits("morphine"), 1u);
}

TEST_F(EraserTest, APlanChangesNothingAndSaysWhatWouldGo) {
  PutAbout("a.md", "morphine");
  PutAbout("b.md", "insulin");
  const uint64_t sequence = test_.store->CommitSequence();
  const auto plan = eraser_->Plan(Document("a.md"));
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->erased.size(), 1u);
  EXPECT_EQ(plan->rows, 6u);
  EXPECT_EQ(plan->chunks, 1u);
  EXPECT_EQ(plan->keys, 1u);
  EXPECT_EQ(plan->segments, 1u);
  EXPECT_EQ(plan->recipients, 2u);
  EXPECT_EQ(test_.store->CommitSequence(), sequence);
}

TEST_F(EraserTest, ADocumentThatCannotBeReadCanBeErasedByItsId) {
  const auto info = PutAbout("a.md", "morphine");
  storage::WriteBatch batch;
  batch.Put(kDocumentsFamily, VersionKey(info->document, info->version), "damaged");
  ASSERT_TRUE(test_.store->Write(batch).ok());
  Restart();
  EXPECT_EQ(test_.corpus->GetStatus().unreadable_documents, 1u);
  ErasureTarget target;
  target.document_id = info->document;
  const auto record = Erase(target);
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->keys, 1u);  // Named by the rows that are not damaged.
  EXPECT_EQ(test_.corpus->GetStatus().unreadable_documents, 0u);
}

// A stop after each step, then a restart: it is unsearchable at once, and Resume() completes it.
TEST_F(EraserTest, AStopAtAnyStepIsFinishedAfterARestart) {
  for (const ErasureStep step : {ErasureStep::kRequested, ErasureStep::kDeleted, ErasureStep::kForgotten,
                                 ErasureStep::kShredded, ErasureStep::kCompleted}) {
    const std::string source = "gone-" + std::to_string(static_cast<int>(step)) + ".md";
    const auto info = PutAbout(source, "morphine " + source);
    const KeyId key = KeyOfDocument(*info);
    PutAbout("kept-" + source, "insulin");
    eraser_->OnStep([step](ErasureStep reached) {
      if (reached == step) throw Stopped();
    });
    EXPECT_THROW(Erase(Document(source)).IgnoreError(), Stopped);
    eraser_->OnStep(nullptr);
    EXPECT_EQ(Hits("morphine"), 0u) << NameOf(step);
    Restart();
    EXPECT_EQ(Hits("morphine"), 0u) << NameOf(step);
    EXPECT_EQ(eraser_->HasUnfinished(), step != ErasureStep::kCompleted);
    ASSERT_TRUE(eraser_->Resume().ok());
    EXPECT_FALSE(eraser_->HasUnfinished());
    EXPECT_EQ(test_.keys->GetKey(key).status().code(), StatusCode::kNotFound);
    EXPECT_EQ(eraser_->List().front().step, ErasureStep::kCompleted);
    EXPECT_EQ(audit_.names.back(), "completed");
  }
}

TEST_F(EraserTest, WithoutAuditNothingBeginsAndNothingIsCompleted) {
  PutAbout("a.md", "morphine");
  audit_.failure = Unavailable("audit is down");
  EXPECT_EQ(Erase(Document("a.md")).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(Hits("morphine"), 1u);
  EXPECT_FALSE(eraser_->HasUnfinished());
  audit_.failure = absl::OkStatus();
  eraser_->OnStep([&](ErasureStep step) {
    if (step == ErasureStep::kShredded) audit_.failure = Unavailable("audit went down");
  });
  EXPECT_EQ(Erase(Document("a.md")).status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(eraser_->HasUnfinished());
  EXPECT_EQ(Hits("morphine"), 0u);
  eraser_->OnStep(nullptr);
  audit_.failure = absl::OkStatus();
  EXPECT_TRUE(eraser_->Resume().ok());
  EXPECT_EQ(audit_.names, (std::vector<std::string>{"requested", "completed"}));
}

TEST_F(EraserTest, NoticesAreCountedAndRecorded) {
  PutAbout("a.md", "morphine");
  const auto record = Erase(Document("a.md"));
  ASSERT_TRUE(record.ok());
  ASSERT_TRUE(eraser_->RecordNotice(record->id, "Dr. Kim", "by letter", "officer").ok());
  EXPECT_EQ(eraser_->RecordNotice(record->id, "", "by letter", "officer").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(audit_.recipients, std::vector<std::string>{"Dr. Kim"});
  Restart();
  EXPECT_EQ(eraser_->Find(record->id)->notified, 1u);
  EXPECT_EQ(eraser_->Find(ErasureId()).status().code(), StatusCode::kNotFound);
}

// Superseded and deleted versions wait for the next shredding, which leaves everything that lives.
TEST_F(EraserTest, RetiredVersionsAreShreddedTogether) {
  const auto first = PutAbout("a.md", "alpha");
  const KeyId old_key = KeyOfDocument(*first);
  const auto second = PutAbout("a.md", "beta");
  const KeyId new_key = KeyOfDocument(*second);
  EXPECT_NE(old_key, new_key);
  PutAbout("b.md", "gamma");
  ASSERT_TRUE(*test_.corpus->Delete({"ward", "/srv", "b.md"}, "ingest"));
  EXPECT_GE(test_.corpus->retired_keys().size(), 2u);
  Restart();
  EXPECT_GE(test_.corpus->retired_keys().size(), 2u);
  EXPECT_TRUE(test_.keys->GetKey(old_key).ok());
  // An event that audit has yet to take is sealed under the document's key.
  EXPECT_EQ(test_.corpus->Shred(storage::DestroyFor::kUpkeep).status().code(), StatusCode::kUnavailable);
  ASSERT_TRUE(audit_.DeliverEvents().ok());
  const auto shredded = test_.corpus->Shred(storage::DestroyFor::kUpkeep);
  ASSERT_TRUE(shredded.ok()) << shredded.status();
  EXPECT_EQ(test_.keys->GetKey(old_key).status().code(), StatusCode::kNotFound);
  EXPECT_TRUE(test_.keys->GetKey(new_key).ok());
  EXPECT_EQ(test_.corpus->retired_keys().size(), 0u);
  Restart();
  EXPECT_EQ(Hits("beta"), 1u);
  EXPECT_EQ(Hits("alpha"), 0u);
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
}

TEST(ErasureRecordTest, SurvivesTheRoundTripAndRefusesEveryTruncation) {
  ErasureRecord record;
  record.id = crypto::RandomId<ErasureId>();
  record.step = ErasureStep::kShredded;
  record.kind = TargetKind::kSubject;
  record.subject = "patient-7";
  record.basis = kBasis;
  record.documents = {crypto::RandomId<DocumentId>(), crypto::RandomId<DocumentId>()};
  record.rows = 12;
  record.for_good = true;
  record.classes = {{"rows", "deleted", "looked", 12}};
  record.outside = {"copies elsewhere"};
  const std::string bytes = Serialise(record);
  const auto again = ParseErasureRecord(bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Serialise(*again), bytes);
  EXPECT_EQ(bytes.find("patient-7"), std::string::npos) << "a row that the service's own key seals may not name a subject";
  EXPECT_EQ(again->documents, record.documents);
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_EQ(ParseErasureRecord(bytes.substr(0, length)).status().code(), StatusCode::kDataLoss) << length;
  }
  std::string other = bytes;
  other[0] = 9;
  EXPECT_EQ(ParseErasureRecord(other).status().code(), StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cloister::retrieval
