// SPDX-License-Identifier: Apache-2.0
// A corpus whose collection keeps former versions, with an eraser and people of several roles. For tests only.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "retrieval/eraser.h"
#include "retrieval/test_support.h"
#include "storage/sealed_record.h"

namespace cloister::retrieval {

inline constexpr const char* kReason = "audit of the answers of May";

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

}  // namespace cloister::retrieval
