// SPDX-License-Identifier: Apache-2.0
// What erasure asks of the log: that it forgets for good, says so, and keeps every proof.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "audit/receipt.h"
#include "crypto/random.h"
#include "services/audit/audit_service_fixture.h"
#include "services/audit/releases.h"
#include "storage/sealed_record.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using storage::WriteBatch;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr uint64_t kKeyringGeneration = 77;
const std::string kOne(16, '\x11'), kTwo(16, '\x22');

// The same keys; a destruction fails once, before it happens or after.
class FailingKeys final : public storage::KeySource {
 public:
  enum class Failure { kNone, kBefore, kAfter };
  explicit FailingKeys(storage::KeySource& inner) : inner_(inner) {}
  StatusOr<std::vector<storage::DataKey>> CreateKeys(storage::KeyKind kind, uint32_t count) override {
    return inner_.CreateKeys(kind, count);
  }
  StatusOr<storage::DataKey> GetKey(const KeyId& id) override {
    if (const auto now = std::exchange(before_next_get, nullptr)) now();
    return inner_.GetKey(id);
  }
  StatusOr<storage::DataKey> GetNamedKey(storage::KeyKind kind, std::string_view name) override {
    return inner_.GetNamedKey(kind, name);
  }
  StatusOr<storage::Destruction> DestroyKeys(const std::vector<KeyId>& ids, storage::DestroyFor why) override {
    ++calls;
    const Failure now = std::exchange(failure, Failure::kNone);
    if (now == Failure::kBefore) return Unavailable("the keys service does not answer");
    auto done = inner_.DestroyKeys(ids, why);
    if (now == Failure::kAfter) return Unavailable("the answer was lost");
    if (done.ok()) done->generation = kKeyringGeneration;
    return done;
  }
  Status NoteRenewed() override { return inner_.NoteRenewed(); }
  StatusOr<storage::Destruction> DestroyFormerKeys() override { return inner_.DestroyFormerKeys(); }
  StatusOr<std::vector<KeyId>> ReplaceKeys(const std::vector<KeyId>& ids) override { return inner_.ReplaceKeys(ids); }
  StatusOr<std::vector<KeyId>> CurrentKeys(const std::vector<KeyId>& ids) override { return inner_.CurrentKeys(ids); }
  Status ChangeMarks(const std::vector<std::string>& add, const std::vector<std::string>& remove) override {
    return inner_.ChangeMarks(add, remove);
  }
  StatusOr<std::vector<std::string>> Marks() override { return inner_.Marks(); }
  Failure failure = Failure::kNone;
  std::function<void()> before_next_get;
  int calls = 0;

 private:
  storage::KeySource& inner_;
};

// The same rows; refuses the batches with an operation that Refuse() picked.
class FailingStore final : public storage::KvStore {
 public:
  explicit FailingStore(storage::KvStore& inner) : inner_(inner) {}
  Status Write(const WriteBatch& batch) override {
    std::unique_lock lock(mutex_);
    for (const WriteBatch::Operation& operation : batch.operations()) {
      if (refuse_ && refuse_(operation)) return Unavailable("disk");
    }
    lock.unlock();
    return inner_.Write(batch);
  }
  std::unique_ptr<storage::Snapshot> GetSnapshot() const override { return inner_.GetSnapshot(); }
  uint64_t CommitSequence() const override { return inner_.CommitSequence(); }
  void Refuse(std::function<bool(const WriteBatch::Operation&)> refuse) {
    std::lock_guard lock(mutex_);
    refuse_ = std::move(refuse);
  }

 private:
  storage::KvStore& inner_;
  std::mutex mutex_;  // The log's own thread writes, too.
  std::function<bool(const WriteBatch::Operation&)> refuse_;
};

class AuditErasureTest : public AuditServiceFixture {
 protected:
  void SetUp() override {
    store_in_use_ = &failing_store_;
    keys_in_use_ = &failing_keys_;
    Start();
  }
  static void AddSection(const std::string& kind, const std::string& subject, const std::string& text,
                         v1::AppendRequest& request) {
    v1::SectionInput* section = request.add_sections();
    section->set_subject_kind(kind);
    section->set_subject(subject);
    section->set_content_json(json{{"text", text}}.dump());
  }
  // An outcome that quotes both documents.
  uint64_t Outcome(const std::string& user) {
    v1::AppendRequest request;
    request.set_event("ask.outcome");
    request.set_body_json("{\"outcome\":\"answer\"}");
    request.set_actor_kind("user");
    request.set_actor(user);
    AddSection("user", user, "canary of the person", request);
    AddSection("document", HexEncode(one_), "canary of one", request);
    AddSection("document", HexEncode(kTwo), "canary of two", request);
    const auto index = Append("gateway", request);
    EXPECT_TRUE(index.ok()) << index.status();
    return *index;
  }
  uint64_t Release(const std::string& user, const std::string& document) {
    v1::AppendRequest request;
    request.set_event("ask.release");
    request.set_body_json(json{{"ask", std::string(32, 'a')},
                               {"client_application", "web"},
                               {"purpose", {{"system", "HL7"}, {"code", "TREAT"}}},
                               {"passages", json::array({json{{"document", HexEncode(document)}}})}}
                              .dump());
    request.set_actor_kind("user");
    request.set_actor(user);
    const auto index = Append("retrieval", request);
    EXPECT_TRUE(index.ok()) << index.status();
    return *index;
  }
  StatusOr<v1::ForgetResponse> Forget(const std::vector<std::pair<std::string, std::string>>& people) {
    v1::ForgetRequest request;
    for (const auto& [kind, name] : people) {
      request.add_people()->set_kind(kind);
      request.mutable_people(request.people_size() - 1)->set_name(name);
    }
    v1::ForgetResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("retrieval", &v1::Audit::Stub::Forget, request, response));
    return response;
  }
  StatusOr<v1::ForgetResponse> ForgetOne() { return Forget({{"document", HexEncode(one_)}}); }
  // One that was never forgotten: a document that was stays so.
  void AnotherDocument() { one_ = crypto::RandomBytes(kIdBytes); }
  std::vector<std::string> ErrorsOf(uint64_t index) {
    const auto response = Unseal(index);
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> errors;
    for (const auto& section : response->sections()) errors.push_back(section.error());
    return errors;
  }
  bool ReceiptVerifies(uint64_t index) {
    v1::GetReceiptRequest request;
    request.set_index(index);
    v1::GetReceiptResponse response;
    const Status got = Call("gateway", &v1::Audit::Stub::GetReceipt, request, response);
    EXPECT_TRUE(got.ok()) << got;
    const auto verifier = audit::NoteVerifier::Parse(response.verifier_key());
    return audit::VerifyReceipt(*audit::ParseReceipt(response.receipt()), std::nullopt, *verifier).ok();
  }
  std::string one_ = kOne;
  using Rows = std::map<std::string, std::map<std::string, std::string>>;
  Rows AllRows() {
    Rows rows;
    for (const std::string& family : AuditColumnFamilies()) {
      const Status scanned = store_.GetSnapshot()->Scan(family, "", [&](auto key, auto value) {
        rows[family].emplace(key, value);
        return true;
      });
      EXPECT_TRUE(scanned.ok()) << scanned;
    }
    return rows;
  }
  // All that somebody reads from `rows` who has the keys that are left.
  std::string Recover(const Rows& rows) {
    std::string all;
    const auto open = [&](const std::string& family, const std::string& row_key, const std::string& record) {
      const auto id = storage::RecordKeyId(record);
      const auto key = id.ok() ? keys_.GetKey(*id) : NotFound("no record");
      const auto plain = key.ok()
                             ? storage::OpenRecord(key->key->view(), {database_, family, row_key}, record)
                             : StatusOr<std::string>(key.status());
      return plain.value_or("");
    };
    const std::string keys_family(kSectionKeysFamily), family(kSectionsFamily), people(kPeopleFamily);
    if (rows.contains(people)) {
      for (const auto& [row_key, record] : rows.at(people)) all += open(people, row_key, record);
    }
    for (const auto& [row_key, record] : rows.at(keys_family)) {
      const std::string plain = open(keys_family, row_key, record);
      if (plain.size() < 65 || !rows.at(family).contains(row_key)) continue;
      const std::string own_key = plain.substr(33, 32);  // format, salt, key
      const auto content =
          storage::OpenRecord(own_key, {database_, family, row_key}, rows.at(family).at(row_key));
      all += content.value_or("");
    }
    return all;
  }
  size_t RowsOf(std::string_view family) { return AllRows()[std::string(family)].size(); }

  FailingStore failing_store_{store_};
  FailingKeys failing_keys_{keys_};
};

TEST_F(AuditErasureTest, ForgettingClosesWhatIsTheirsForGoodAndNothingElse) {
  const uint64_t first = Outcome("anna"), second = Outcome("berta");
  EXPECT_EQ(ErrorsOf(first), (std::vector<std::string>{"", "", ""}));
  const Rows before = AllRows();
  EXPECT_THAT(Recover(before), HasSubstr("canary of one"));  // The attack works while there are keys.
  EXPECT_THAT(Recover(before), HasSubstr(HexEncode(kOne)));
  const auto forgotten = Forget({{"document", HexEncode(kOne)}, {"document", "unknown"}, {"user", "nobody"}});
  ASSERT_TRUE(forgotten.ok()) << forgotten.status();
  EXPECT_EQ(forgotten->forgotten(), 1u);
  EXPECT_EQ(forgotten->sections_closed(), 2u);
  EXPECT_GE(forgotten->epoch(), 2u);
  EXPECT_EQ(forgotten->keyring_generation(), kKeyringGeneration);
  for (const uint64_t index : {first, second}) {
    EXPECT_EQ(ErrorsOf(index), (std::vector<std::string>{"", "its key was destroyed", ""}));
    EXPECT_TRUE(ReceiptVerifies(index));
  }
  EXPECT_THAT(Unseal(first)->sections(2).content_json(), HasSubstr("canary of two"));
  for (const Rows& rows : {before, AllRows()}) {  // Old copies too, with the keys that are left.
    EXPECT_THAT(Recover(rows), Not(HasSubstr("canary of one")));
    EXPECT_THAT(Recover(rows), Not(HasSubstr(HexEncode(kOne))));
    EXPECT_THAT(Recover(rows), HasSubstr("canary of two"));
  }
  EXPECT_EQ(RowsOf(kForgettingFamily), 0u);
}

TEST_F(AuditErasureTest, ARepeatedCallIsOkAndWhoComesAgainIsSomebodyNew) {
  const uint64_t before = Outcome("anna");
  ASSERT_TRUE(Forget({{"document", HexEncode(kOne)}, {"user", "anna"}}).ok());
  const auto again = Forget({{"document", HexEncode(kOne)}, {"user", "anna"}});
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->forgotten(), 0u);
  EXPECT_EQ(again->sections_closed(), 0u);
  EXPECT_GE(again->epoch(), 2u);  // Said all the same: a receipt names it.
  const uint64_t after = Outcome("anna");
  EXPECT_EQ(ErrorsOf(after), (std::vector<std::string>{"", "its key was destroyed", ""}));
  EXPECT_EQ(ErrorsOf(before),
            (std::vector<std::string>{"its key was destroyed", "its key was destroyed", ""}));
  EXPECT_NE(Entries(before, 1)[0].who.value, Entries(after, 1)[0].who.value);
}

// An ask that began before the erasure may bring its outcome afterwards.
TEST_F(AuditErasureTest, AForgottenDocumentsWordsAreSealedForNobodyFromThenOn) {
  const uint64_t before = Outcome("anna");
  ASSERT_TRUE(ForgetOne().ok());
  for (int round = 0; round < 2; ++round) {
    const uint64_t after = Outcome("anna");
    EXPECT_EQ(ErrorsOf(after), (std::vector<std::string>{"", "its key was destroyed", ""}));
    EXPECT_TRUE(ReceiptVerifies(after));
    EXPECT_THAT(Recover(AllRows()), AllOf(HasSubstr("canary of two"), Not(HasSubstr("canary of one"))));
    Stop();
    Start();
  }
  EXPECT_TRUE(ReceiptVerifies(before));
}

TEST_F(AuditErasureTest, AllKeysGoInOneCall) {
  const uint64_t index = Outcome("anna");
  failing_keys_.calls = 0;
  const auto done = Forget({{"document", HexEncode(kOne)}, {"document", HexEncode(kTwo)}, {"user", "anna"}});
  ASSERT_TRUE(done.ok()) << done.status();
  EXPECT_EQ(done->forgotten(), 3u);
  EXPECT_EQ(done->sections_closed(), 3u);
  EXPECT_EQ(failing_keys_.calls, 1);
  EXPECT_TRUE(ReceiptVerifies(index));
}

TEST_F(AuditErasureTest, AKeySourceThatFailsLeavesTheCallToBeRepeated) {
  for (const auto failure : {FailingKeys::Failure::kBefore, FailingKeys::Failure::kAfter}) {
    AnotherDocument();
    const uint64_t index = Outcome("anna");
    failing_keys_.failure = failure;
    EXPECT_EQ(ForgetOne().status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(Outcome("anna"), index + 1);  // Meanwhile asks go on; what they bring of it is nobody's.
    const auto repeated = ForgetOne();
    ASSERT_TRUE(repeated.ok()) << repeated.status();
    EXPECT_EQ(repeated->forgotten(), 1u);
    EXPECT_EQ(repeated->sections_closed(), 1u);
    EXPECT_EQ(ErrorsOf(index + 1)[1], "its key was destroyed");
    EXPECT_EQ(ErrorsOf(index)[1], "its key was destroyed");
    EXPECT_EQ(RowsOf(kForgettingFamily), 0u);
  }
}

TEST_F(AuditErasureTest, ACallFinishesWhatAnotherLeftAndCountsItsOwn) {
  const uint64_t index = Outcome("anna");
  failing_keys_.failure = FailingKeys::Failure::kBefore;
  EXPECT_EQ(ForgetOne().status().code(), StatusCode::kUnavailable);
  const auto next = Forget({{"user", "anna"}});
  ASSERT_TRUE(next.ok()) << next.status();
  EXPECT_EQ(next->forgotten(), 1u);
  EXPECT_EQ(next->sections_closed(), 2u);
  EXPECT_EQ(ErrorsOf(index),
            (std::vector<std::string>{"its key was destroyed", "its key was destroyed", ""}));
  EXPECT_EQ(ForgetOne()->forgotten(), 0u);
}

// Sections wait in the journal for the next checkpoint; they count and are cleared all the same.
TEST_F(AuditErasureTest, SectionsThatNoCheckpointCoversYetAreForgottenToo) {
  Stop();
  checkpoint_interval_ = std::chrono::milliseconds(500);
  Start();
  const uint64_t first = Outcome("anna"), second = Outcome("anna");
  EXPECT_EQ(ForgetOne()->sections_closed(), 2u);
  EXPECT_EQ(ErrorsOf(first)[1], "its key was destroyed");
  EXPECT_EQ(ErrorsOf(second)[1], "its key was destroyed");
  int tombstones = 0;
  Rows rows = AllRows();
  for (const auto& [id, record] : rows[std::string(kSectionKeysFamily)]) {
    tombstones += record == kForgottenSection;
  }
  EXPECT_EQ(tombstones, 2);
}

// Forgotten after the record was given its pseudonyms and before its sections were sealed.
TEST_F(AuditErasureTest, ARecordThatMeetsAForgettingIsMadeAnew) {
  Outcome("anna");
  failing_keys_.before_next_get = [&] {
    v1::ForgetRequest request;
    request.add_people()->set_kind("document");
    request.mutable_people(0)->set_name(HexEncode(kOne));
    v1::ForgetResponse response;
    EXPECT_TRUE(service_->Forget(nullptr, &request, &response).ok());
    EXPECT_EQ(response.forgotten(), 1u);
  };
  const uint64_t index = Outcome("anna");
  EXPECT_EQ(ErrorsOf(index), (std::vector<std::string>{"", "its key was destroyed", ""}));
}

TEST_F(AuditErasureTest, AStopBetweenTheStepsIsFinishedAtTheNextStart) {
  const auto stop_at_keys = [&](FailingKeys::Failure failure) { failing_keys_.failure = failure; };
  const auto stop_at = [&](std::function<bool(const WriteBatch::Operation&)> refuse) {
    failing_store_.Refuse(std::move(refuse));
  };
  const std::vector<std::function<void()>> steps = {
      [&] { stop_at_keys(FailingKeys::Failure::kBefore); },
      [&] { stop_at_keys(FailingKeys::Failure::kAfter); },
      [&] { stop_at([](const auto& row) { return row.value == kForgottenSection; }); },
      [&] { stop_at([](const auto& row) { return row.column_family == kPeopleFamily && !row.value; }); },
  };
  for (size_t step = 0; step < steps.size(); ++step) {
    AnotherDocument();
    SCOPED_TRACE(step);
    const uint64_t index = Outcome("anna");
    const size_t people = RowsOf(kPeopleFamily);
    steps[step]();
    EXPECT_EQ(ForgetOne().status().code(), StatusCode::kUnavailable);
    EXPECT_EQ(RowsOf(kForgettingFamily), 1u);
    Stop();
    failing_store_.Refuse(nullptr);
    Start();
    EXPECT_EQ(RowsOf(kForgettingFamily), 0u);
    EXPECT_EQ(RowsOf(kPeopleFamily), people - 1);
    EXPECT_EQ(ErrorsOf(index), (std::vector<std::string>{"", "its key was destroyed", ""}));
    EXPECT_TRUE(ReceiptVerifies(index));
    EXPECT_THAT(Recover(AllRows()), Not(HasSubstr("canary of one")));
    EXPECT_TRUE(ForgetOne().ok());
  }
}

TEST_F(AuditErasureTest, AStopBeforeTheFirstStepChangesNothing) {
  const uint64_t index = Outcome("anna");
  ErrorsOf(index);
  failing_store_.Refuse([](const auto& row) { return row.column_family == kForgettingFamily; });
  EXPECT_EQ(ForgetOne().status().code(), StatusCode::kUnavailable);
  Stop();
  failing_store_.Refuse(nullptr);
  Start();
  EXPECT_EQ(ErrorsOf(index), (std::vector<std::string>{"", "", ""}));
  EXPECT_EQ(ForgetOne()->sections_closed(), 1u);
}

// An older keyring put in place by mistake lacks keys. Nobody asked to forget those people.
TEST_F(AuditErasureTest, RowsWhoseKeyIsGoneUnaskedStay) {
  const uint64_t index = Outcome("anna");
  ErrorsOf(index);
  const size_t people = RowsOf(kPeopleFamily), sections = RowsOf(kSectionsFamily);
  keys_.LoseAll();
  Stop();
  Start();
  ASSERT_TRUE(ForgetOne().ok());
  EXPECT_EQ(RowsOf(kPeopleFamily), people);
  EXPECT_GE(RowsOf(kSectionsFamily), sections);
}

TEST_F(AuditErasureTest, RecordsGoOnWhileTheirDocumentIsForgotten) {
  std::atomic<bool> stop{false};
  std::atomic<int> appended{0};
  std::thread asks([&] {
    while (!stop) {
      Outcome("anna");
      ++appended;
    }
  });
  while (appended < 1) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(ForgetOne().ok());
  stop = true;
  asks.join();
  EXPECT_EQ(ErrorsOf(Outcome("anna")), (std::vector<std::string>{"", "its key was destroyed", ""}));
  EXPECT_THAT(Recover(AllRows()), Not(HasSubstr("canary of one")));
}

TEST_F(AuditErasureTest, RefusesTooManyAndUnknownKinds) {
  EXPECT_EQ(Forget({{"pet", "rex"}}).status().code(), StatusCode::kInvalidArgument);
  std::vector<std::pair<std::string, std::string>> people(kForgottenPerCallMax + 1, {"document", "d"});
  const Status many = Forget(people).status();
  EXPECT_EQ(many.code(), StatusCode::kInvalidArgument);
  EXPECT_THAT(MessageOf(many), HasSubstr("100000"));
  people.pop_back();
  EXPECT_TRUE(Forget(people).ok());
}

TEST_F(AuditErasureTest, SaysWhoWasHandedADocument) {
  Release("anna", kTwo);
  const uint64_t first = Release("anna", kOne);
  for (int i = 0; i < 3; ++i) Outcome("anna");
  const uint64_t second = Release("berta", kOne);
  v1::FindReleasesRequest request;
  request.add_documents(kOne);
  v1::FindReleasesResponse response;
  EXPECT_EQ(Call("retrieval", &v1::Audit::Stub::FindReleases, request, response).code(),
            StatusCode::kInvalidArgument);
  request.set_requested_by("auditor");
  const uint64_t own = LogStatusOf("gateway").size();
  ASSERT_TRUE(Call("retrieval", &v1::Audit::Stub::FindReleases, request, response).ok());
  EXPECT_EQ(response.total(), 2u);
  EXPECT_EQ(response.recipients(), 2u);
  ASSERT_EQ(response.releases_size(), 2);
  EXPECT_EQ(response.releases(0).index(), second);
  EXPECT_EQ(response.releases(0).user(), "berta");
  EXPECT_EQ(response.releases(1).index(), first);
  EXPECT_EQ(response.releases(1).user(), "anna");
  EXPECT_EQ(response.releases(1).purpose(), "TREAT");
  EXPECT_EQ(response.releases(1).ask(), std::string(32, 'a'));
  EXPECT_EQ(response.releases(1).client_application(), "web");
  EXPECT_EQ(response.releases(1).pseudonym(), Entries(first, 1)[0].who.value);
  EXPECT_EQ(response.releases(1).time(), Entries(first, 1)[0].time);
  EXPECT_EQ(Entries(own, 1)[0].event, "audit.queried");
  EXPECT_EQ(json::parse(Entries(own, 1)[0].body_json)["documents"], 1);
  ASSERT_TRUE(Forget({{"user", "anna"}}).ok());
  ASSERT_TRUE(Call("gateway", &v1::Audit::Stub::FindReleases, request, response).ok());
  EXPECT_EQ(response.releases(0).user(), "berta");
  EXPECT_EQ(response.releases(1).user(), "");
  EXPECT_NE(response.releases(1).pseudonym(), "");
  EXPECT_EQ(response.recipients(), 2u);
}

}  // namespace
}  // namespace cloister::services
