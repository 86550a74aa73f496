// SPDX-License-Identifier: Apache-2.0
#include "services/audit/audit_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "audit/receipt.h"
#include "audit/verifier.h"
#include "common/file.h"
#include "services/audit/audit_service_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

using AuditServiceTest = AuditServiceFixture;

TEST_F(AuditServiceTest, RecordsItsOwnStartAndStop) {
  EXPECT_EQ(Entries(0, 1)[0].event, "service.started");
  Stop();
  Start();
  const auto entries = Entries(0, 10);
  ASSERT_GE(entries.size(), 4u);
  EXPECT_EQ(entries[2].event, "service.stopped");
  EXPECT_EQ(entries[3].event, "service.started");
  EXPECT_EQ(entries[3].who.value, "audit");
}

TEST_F(AuditServiceTest, AnEnvelopeShowsPseudonymsAndCommitmentsOnly) {
  v1::AppendRequest request = Ask("anna.müller");
  request.add_subjects("patient 4711");
  request.add_subjects("patient 4711");
  const auto index = Append("gateway", request);
  ASSERT_TRUE(index.ok()) << index.status();
  const auto again = Append("gateway", request);
  const auto entries = Entries(*index, 2);
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].event, "ask.intent");
  EXPECT_EQ(entries[0].tenant, "main");
  EXPECT_EQ(entries[0].who.kind, audit::Actor::Kind::kUser);
  EXPECT_EQ(entries[0].subjects.size(), 1u);
  EXPECT_EQ(entries[0].sections.size(), 1u);
  EXPECT_EQ(entries[0].who.value, entries[1].who.value);  // The same person, the same pseudonym.
  EXPECT_EQ(entries[0].subjects, entries[1].subjects);
  EXPECT_EQ(*again, *index + 1);
}

TEST_F(AuditServiceTest, NoFileOfTheLogHoldsANameOrAQuestion) {
  v1::AppendRequest request = Ask("anna.canary");
  request.add_subjects("patient canary 4711");
  ASSERT_TRUE(Append("gateway", request).ok());
  Stop();  // The journal with the record stays until the log is opened again.
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(log_directory_)) {
    if (!entry.is_regular_file()) continue;
    const auto bytes = ReadFile(entry.path(), 1 << 26);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(bytes->find("canary"), std::string::npos) << entry.path();
    ++files;
  }
  EXPECT_GE(files, 4);
}

TEST_F(AuditServiceTest, RefusesWhatTheRulesForbid) {
  v1::AppendRequest release = Ask("anna");
  release.set_event("ask.release");
  EXPECT_EQ(Append("gateway", release).status().code(), StatusCode::kPermissionDenied);
  EXPECT_TRUE(Append("retrieval", release).ok());
  EXPECT_EQ(Append("parse", Ask("anna")).status().code(), StatusCode::kPermissionDenied);
  v1::AppendRequest queried = Ask("anna");
  queried.set_event("audit.queried");
  EXPECT_EQ(Append("gateway", queried).status().code(), StatusCode::kPermissionDenied);
}

// Every method against every identity: only those on the list get in.
TEST_F(AuditServiceTest, OnlyListedCallersReachAMethod) {
  const std::vector<std::string> identities = {"gateway",   "retrieval",  "ingest",     "keys", "audit",
                                               "embedding", "generation", "supervisor", "parse"};
  const auto allowed = [](const std::string& method, const std::string& identity) {
    for (const MethodRule& rule : AuditRules()) {
      if (rule.method != "/cloister.v1.Audit/" + method) continue;
      return std::find(rule.identities.begin(), rule.identities.end(), identity) != rule.identities.end();
    }
    return false;
  };
  for (const std::string& identity : identities) {
    const auto denied = [](const Status& status) {
      return status.code() == StatusCode::kPermissionDenied &&
             MessageOf(status).find("may not record") == std::string::npos;
    };
    v1::AppendResponse appended;
    v1::GetEntriesResponse entries;
    v1::GetReceiptResponse receipt;
    v1::UnsealResponse unsealed;
    v1::LogStatus status;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::Append, v1::AppendRequest(), appended)),
              !allowed("Append", identity))
        << identity;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::GetEntries, v1::GetEntriesRequest(), entries)),
              !allowed("GetEntries", identity))
        << identity;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::GetReceipt, v1::GetReceiptRequest(), receipt)),
              !allowed("GetReceipt", identity))
        << identity;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::Unseal, v1::UnsealRequest(), unsealed)),
              !allowed("Unseal", identity))
        << identity;
    v1::ForgetResponse forgotten;
    v1::FindReleasesResponse releases;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::Forget, v1::ForgetRequest(), forgotten)),
              !allowed("Forget", identity))
        << identity;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::FindReleases, v1::FindReleasesRequest(), releases)),
              !allowed("FindReleases", identity))
        << identity;
    EXPECT_EQ(denied(Call(identity, &v1::Audit::Stub::GetLogStatus, v1::GetLogStatusRequest(), status)),
              !allowed("GetLogStatus", identity))
        << identity;
    const auto stub = As(identity);
    grpc::ClientContext context;
    SetDeadline(context, kCallTimeout);
    const auto stream = stub->Export(&context, v1::ExportRequest());
    v1::ExportFile file;
    while (stream->Read(&file)) continue;
    EXPECT_EQ(denied(FromGrpc(stream->Finish())), !allowed("Export", identity)) << identity;
  }
}

TEST_F(AuditServiceTest, ARefusedRecordLeavesNothingBehind) {
  const uint64_t size = LogStatusOf("gateway").size();
  v1::AppendRequest request = Ask("nobody yet");
  request.set_body_json("{\"score\":0.5}");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  request = Ask("nobody yet");
  request.set_event("ask.unheard");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  request = Ask("");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  request = Ask("nobody yet");
  request.set_actor_kind("robot");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  request.set_actor_kind("service");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  request = Ask("nobody yet");
  request.mutable_sections(0)->set_subject_kind("pet");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  for (int i = 0; i < 300; ++i) request.add_subjects("s");
  EXPECT_EQ(Append("gateway", request).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(LogStatusOf("gateway").size(), size);
  EXPECT_EQ(keys_.created(), 0u);
}

TEST_F(AuditServiceTest, ReadingIsRecordedFirst) {
  const uint64_t before = LogStatusOf("gateway").size();
  const auto entries = Entries(before, 5);
  ASSERT_EQ(entries.size(), 1u);  // The record of this very reading.
  EXPECT_EQ(entries[0].event, "audit.queried");
  EXPECT_EQ(entries[0].who.kind, audit::Actor::Kind::kUser);
  EXPECT_EQ(json::parse(entries[0].body_json)["first"], std::to_string(before));
  v1::GetEntriesRequest request;
  request.set_count(5);
  v1::GetEntriesResponse response;
  EXPECT_EQ(Call("gateway", &v1::Audit::Stub::GetEntries, request, response).code(),
            StatusCode::kInvalidArgument);
  request.set_requested_by("auditor");
  request.set_count(kEntriesPerCallMax + 1);
  EXPECT_EQ(Call("gateway", &v1::Audit::Stub::GetEntries, request, response).code(),
            StatusCode::kInvalidArgument);
  request.set_count(0);
  EXPECT_EQ(Call("gateway", &v1::Audit::Stub::GetEntries, request, response).code(),
            StatusCode::kInvalidArgument);
}

TEST_F(AuditServiceTest, UnsealsWithAReasonThatIsRecordedInASection) {
  const auto index = Append("gateway", Ask("anna"));
  ASSERT_TRUE(index.ok());
  const auto response = Unseal(*index);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->sections_size(), 1);
  EXPECT_EQ(response->sections(0).subject_kind(), "user");
  EXPECT_EQ(response->sections(0).subject(), "anna");
  EXPECT_EQ(response->sections(0).content_json(), "{\"question\":\"does the canary sing\"}");
  EXPECT_EQ(response->sections(0).error(), "");
  const auto record = Entries(response->audit_index(), 1)[0];
  EXPECT_EQ(record.event, "audit.unsealed");
  EXPECT_EQ(json::parse(record.body_json)["index"], *index);
  ASSERT_EQ(record.sections.size(), 1u);
  const auto reason = Unseal(response->audit_index());
  EXPECT_THAT(reason->sections(0).content_json(), HasSubstr("complaint 17"));
  EXPECT_EQ(reason->sections(0).subject(), "auditor");
}

TEST_F(AuditServiceTest, UnsealingNeedsAReasonAnEntryAndAPerson) {
  const uint64_t size = LogStatusOf("gateway").size();
  EXPECT_EQ(Unseal(0, "why not").status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Unseal(0, std::string(kReasonBytesMax + 1, 'x')).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Unseal(1000).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(LogStatusOf("gateway").size(), size);
}

TEST_F(AuditServiceTest, ADestroyedKeyClosesSectionsAndLeavesProofs) {
  const auto index = Append("gateway", Ask("anna"));
  ASSERT_TRUE(Unseal(*index).ok());
  keys_.LoseAll();
  Stop();
  Start();
  const auto closed = Unseal(*index);
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->sections(0).error(), "its key was destroyed");
  EXPECT_EQ(closed->sections(0).subject(), "");
  v1::GetReceiptRequest request;
  request.set_index(*index);
  v1::GetReceiptResponse receipt;
  EXPECT_TRUE(Call("gateway", &v1::Audit::Stub::GetReceipt, request, receipt).ok());
}

TEST_F(AuditServiceTest, AReceiptVerifiesWithTheKeyAlone) {
  const auto index = Append("gateway", Ask("anna"));
  v1::GetReceiptRequest request;
  request.set_index(*index);
  v1::GetReceiptResponse response;
  ASSERT_TRUE(Call("gateway", &v1::Audit::Stub::GetReceipt, request, response).ok());
  const auto verifier = audit::NoteVerifier::Parse(response.verifier_key());
  ASSERT_TRUE(verifier.ok());
  EXPECT_EQ(verifier->name(), "clinic/main/1");
  const auto verified =
      audit::VerifyReceipt(*audit::ParseReceipt(response.receipt()), std::nullopt, *verifier);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_EQ(verified->entry, response.envelope());
  request.set_index(1'000'000);
  EXPECT_EQ(Call("gateway", &v1::Audit::Stub::GetReceipt, request, response).code(), StatusCode::kNotFound);
}

TEST_F(AuditServiceTest, AnExportVerifiesAndHoldsItsOwnRecord) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Append("gateway", Ask("anna")).ok());
  const auto stub = As("gateway");
  grpc::ClientContext context;
  SetDeadline(context, kCallTimeout);
  v1::ExportRequest request;
  request.set_requested_by("auditor");
  const auto stream = stub->Export(&context, request);
  std::map<std::string, std::string> files;
  v1::ExportFile file;
  while (stream->Read(&file)) {
    EXPECT_EQ(file.offset(), files[file.path()].size());
    files[file.path()] += file.content();
  }
  ASSERT_TRUE(stream->Finish().ok());
  const auto folder = directory_.path() / "export";
  for (const auto& [path, bytes] : files) {
    ASSERT_TRUE(MakePrivateDirectory((folder / path).parent_path()).ok());
    ASSERT_TRUE(WriteFileAtomic(folder / path, bytes, 0600).ok());
  }
  const auto verifier = audit::NoteVerifier::Parse(files.at("log.vkey"));
  const auto report = audit::VerifyFolder(folder, *verifier);
  EXPECT_TRUE(report.verified()) << ::testing::PrintToString(report.problems);
  EXPECT_GE(report.entries, 302u);
  EXPECT_THAT(files.at("tile/entries/001.p/" + std::to_string(report.entries % 256)),
              HasSubstr("export.created"));
}

TEST_F(AuditServiceTest, SaysWhatIsNotProtected) {
  const v1::LogStatus status = LogStatusOf("supervisor");
  EXPECT_EQ(status.origin(), "clinic/main/1");
  EXPECT_GE(status.size(), 1u);
  ASSERT_GE(status.not_protected_size(), 1);
  EXPECT_THAT(status.not_protected(0), HasSubstr("rollback would go undetected"));
}

TEST_F(AuditServiceTest, AFailedSyncFailsTheRecordAndEndsTheService) {
  ASSERT_TRUE(Append("gateway", Ask("anna")).ok());
  fault_ = EIO;
  EXPECT_EQ(Append("gateway", Ask("anna")).status().code(), StatusCode::kUnavailable);
  fault_ = 0;
  EXPECT_EQ(Append("gateway", Ask("anna")).status().code(), StatusCode::kUnavailable);
  Stop();
  EXPECT_EQ(failures_, 1);
  Start();  // A fresh process recovers.
  EXPECT_TRUE(Append("gateway", Ask("anna")).ok());
}

TEST_F(AuditServiceTest, AFailedStoreFailsTheRecordAndEndsTheService) {
  store_.FailWrites(Unavailable("disk"));
  EXPECT_EQ(Append("gateway", Ask("somebody new")).status().code(), StatusCode::kUnavailable);
  EXPECT_GE(failures_, 1);
}

TEST_F(AuditServiceTest, RecordsAClockThatRanBackwards) {
  ASSERT_TRUE(Append("gateway", Ask("anna")).ok());
  clock_.Advance(std::chrono::seconds(100));
  clock_.StepWall(-std::chrono::hours(1));
  const auto index = Append("gateway", Ask("anna"));
  ASSERT_TRUE(index.ok());
  EXPECT_EQ(Entries(*index - 1, 1)[0].event, "clock.stepped");
  Stop();
  clock_.StepWall(-std::chrono::hours(1));
  Start();
  const uint64_t size = LogStatusOf("gateway").size();
  const auto last = Entries(size - 1, 1)[0];
  EXPECT_EQ(last.event, "clock.stepped");
  EXPECT_EQ(json::parse(last.body_json)["since"], "last run");
}

TEST_F(AuditServiceTest, RefusesNamesThatCannotBeAnOriginAndAnOriginThatChanged) {
  Stop();
  AuditServiceOptions options = Options();
  options.appliance = "two words";
  EXPECT_THAT(MessageOf(Open(options).status()), HasSubstr("appliance.name"));
  options = Options();
  options.tenant = "a/b";
  EXPECT_EQ(Open(options).status().code(), StatusCode::kInvalidArgument);
  options = Options();
  options.appliance = "other";
  const Status changed = Open(options).status();
  EXPECT_EQ(changed.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(changed), HasSubstr("clinic/main/1"));
}

}  // namespace
}  // namespace cloister::services
