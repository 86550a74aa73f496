// SPDX-License-Identifier: Apache-2.0
// The keys of people and sections replaced while records go on: nothing becomes unreadable, and forgetting reaches what
// former keys sealed.
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "services/audit/audit_service_fixture.h"
#include "storage/sealed_record.h"

namespace cloister::services {
namespace {

using nlohmann::json;

class AuditKeysTest : public AuditServiceFixture {
 protected:
  uint64_t AskOf(const std::string& user) {
    const auto index = Append("gateway", Ask(user));
    EXPECT_TRUE(index.ok()) << index.status();
    return index.ok() ? *index : 0;
  }
  void Replace() {
    auto keys = service_->SubjectKeys();
    ASSERT_TRUE(keys.ok());
    const auto rows = service_->RowKeys();
    ASSERT_TRUE(rows.ok());
    keys->insert(keys->end(), rows->begin(), rows->end());
    ASSERT_TRUE(keys_.ReplaceKeys(*keys).ok());
  }
  uint64_t Renew() {
    const auto renewed = service_->Renew([] { return absl::OkStatus(); });
    EXPECT_TRUE(renewed.ok()) << renewed.status();
    return renewed.ok() ? *renewed : 0;
  }
  void ExpectReadable(uint64_t index, const std::string& user) {
    const auto opened = Unseal(index);
    ASSERT_TRUE(opened.ok()) << opened.status();
    ASSERT_EQ(opened->sections_size(), 1);
    EXPECT_EQ(opened->sections(0).error(), "");
    EXPECT_EQ(opened->sections(0).subject(), user);
    EXPECT_EQ(opened->sections(0).content_json(), "{\"question\":\"does the canary sing\"}");
  }
  std::string ErrorOf(uint64_t index) {
    const auto opened = Unseal(index);
    EXPECT_TRUE(opened.ok()) << opened.status();
    return opened.ok() && opened->sections_size() == 1 ? opened->sections(0).error() : "no section";
  }
  std::set<KeyId> KeysOf(std::string_view family) {
    std::set<KeyId> keys;
    EXPECT_TRUE(store_.GetSnapshot()
                    ->Scan(family, "",
                           [&](std::string_view, std::string_view record) {
                             if (const auto key = storage::RecordKeyId(record); key.ok()) keys.insert(*key);
                             return true;
                           })
                    .ok());
    return keys;
  }
  StatusOr<v1::ForgetResponse> Forget(const std::string& user) {
    v1::ForgetRequest request;
    request.add_people()->set_kind("user");
    request.mutable_people(0)->set_name(user);
    v1::ForgetResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("retrieval", &v1::Audit::Stub::Forget, request, response));
    return response;
  }
};

TEST_F(AuditKeysTest, SectionsStayReadableOnceTheFormerKeysAreGone) {
  const uint64_t first = AskOf("a.weber"), second = AskOf("b.maier");
  const std::set<KeyId> former = KeysOf(kPeopleFamily);
  Replace();
  EXPECT_EQ(Renew(), 4u);  // Two people, two sections.
  EXPECT_EQ(Renew(), 0u);
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  for (const KeyId& key : former) EXPECT_FALSE(KeysOf(kSectionKeysFamily).contains(key));
  ExpectReadable(first, "a.weber");
  ExpectReadable(second, "b.maier");
  // What comes now is under the new keys, and the person is who it was.
  const uint64_t third = AskOf("a.weber");
  ExpectReadable(third, "a.weber");
  const auto entries = Entries(first, static_cast<uint32_t>(third - first + 1));
  EXPECT_EQ(entries.front().who.value, entries.back().who.value);
  Stop();
  Start();
  for (const uint64_t index : {first, third}) ExpectReadable(index, "a.weber");
}

TEST_F(AuditKeysTest, RecordsGoOnMeanwhileAndNoneIsLost) {
  std::atomic<bool> stop = false;
  std::vector<std::vector<uint64_t>> written(2);
  std::vector<std::thread> writers;
  for (size_t writer = 0; writer < written.size(); ++writer) {
    writers.emplace_back([&, writer] {
      while (!stop) written[writer].push_back(AskOf("user" + std::to_string(writer)));
    });
  }
  for (int round = 0; round < 5; ++round) {
    AskOf("another" + std::to_string(round));
    Replace();
    while (Renew() > 0) {
    }
    ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  for (size_t writer = 0; writer < written.size(); ++writer) {
    ASSERT_GT(written[writer].size(), 0u);
    for (const uint64_t index : written[writer]) ExpectReadable(index, "user" + std::to_string(writer));
  }
}

TEST_F(AuditKeysTest, ForgettingDuringARotationReachesBothKeys) {
  const uint64_t first = AskOf("a.weber"), other = AskOf("b.maier");
  const std::set<KeyId> former = KeysOf(kPeopleFamily);
  Replace();
  // The rows of people are through, those of sections are not: what a kill in between leaves.
  int asked = 0;
  EXPECT_FALSE(service_->Renew([&] { return ++asked > 2 ? Unavailable("stopped") : absl::OkStatus(); }).ok());
  const uint64_t second = AskOf("a.weber");
  ASSERT_FALSE(KeysOf(kSectionKeysFamily).empty());
  const auto forgotten = Forget("a.weber");
  ASSERT_TRUE(forgotten.ok()) << forgotten.status();
  EXPECT_EQ(forgotten->sections_closed(), 2u);
  EXPECT_EQ(ErrorOf(first), "its key was destroyed");
  EXPECT_EQ(ErrorOf(second), "its key was destroyed");
  uint64_t gone = 0;
  for (const KeyId& key : former) gone += keys_.GetKey(key).ok() ? 0 : 1;
  EXPECT_EQ(gone, 1u);  // The other person's is a former one and stays.
  ExpectReadable(other, "b.maier");
  Renew();
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  ExpectReadable(other, "b.maier");
  EXPECT_EQ(ErrorOf(first), "its key was destroyed");
}

TEST_F(AuditKeysTest, ForgottenDocumentsStayForgottenUnderANewKey) {
  v1::ForgetRequest request;
  request.add_people()->set_kind("document");
  request.mutable_people(0)->set_name(std::string(32, 'd'));
  v1::ForgetResponse response;
  ASSERT_TRUE(Call("retrieval", &v1::Audit::Stub::Forget, request, response).ok());
  Replace();
  EXPECT_EQ(Renew(), 1u);
  ASSERT_TRUE(keys_.DestroyFormerKeys().ok());
  Stop();
  Start();
  EXPECT_EQ(KeysOf(kGoneDocumentsFamily).size(), 1u);
  v1::AppendRequest outcome = Ask("a.weber");
  outcome.mutable_sections(0)->set_subject_kind("document");
  outcome.mutable_sections(0)->set_subject(std::string(32, 'd'));
  const auto index = Append("gateway", outcome);
  ASSERT_TRUE(index.ok()) << index.status();
  EXPECT_EQ(ErrorOf(*index), "its key was destroyed");
}

}  // namespace
}  // namespace cloister::services
