// SPDX-License-Identifier: Apache-2.0
// What stays reachable after a restore: releases, sections, entries and proofs of former generations; and
// that what is not is said.
#include "services/audit/former_logs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "audit/receipt.h"
#include "services/audit/audit_generation_fixture.h"

namespace cloister::services {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::string kDocument(kIdBytes, '\x11');
constexpr size_t kFileBytesMax = 16 * 1024 * 1024;

class FormerLogsTest : public AuditGenerationTest {
 protected:
  uint64_t Release(const std::string& user) {
    v1::AppendRequest request;
    request.set_event("ask.release");
    request.set_body_json(json{{"passages", {{{"document", HexEncode(kDocument)}}}}}.dump());
    request.set_actor_kind("user");
    request.set_actor(user);
    v1::SectionInput* section = request.add_sections();
    section->set_subject_kind("document");
    section->set_subject(HexEncode(kDocument));
    section->set_content_json(json{{"text", "words for " + user}}.dump());
    const auto index = Append("retrieval", request);
    EXPECT_TRUE(index.ok()) << index.status();
    return *index;
  }
  StatusOr<v1::FindReleasesResponse> Find() {
    v1::FindReleasesRequest request;
    request.add_documents(kDocument);
    request.set_requested_by("j.alba");
    v1::FindReleasesResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("gateway", &v1::Audit::Stub::FindReleases, request, response));
    return response;
  }
  // "generation/index user", newest first.
  std::vector<std::string> Found() {
    const auto response = Find();
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> out;
    if (!response.ok()) return out;
    for (const auto& release : response->releases()) {
      out.push_back(std::to_string(release.generation()) + "/" + std::to_string(release.index()) + " " +
                    release.user());
    }
    EXPECT_EQ(response->total(), out.size());
    return out;
  }
  // "generation problem" of those that were not read whole.
  std::vector<std::string> Problems() {
    const auto response = Find();
    EXPECT_TRUE(response.ok()) << response.status();
    std::vector<std::string> out;
    for (const auto& former : response->former_logs()) {
      if (!former.problem().empty())
        out.push_back(std::to_string(former.generation()) + " " + former.problem());
    }
    return out;
  }
  StatusOr<v1::UnsealResponse> UnsealIn(uint32_t generation, uint64_t index) {
    v1::UnsealRequest request;
    request.set_generation(generation);
    request.set_index(index);
    request.set_reason("complaint 17 of 3 May");
    request.set_requested_by("auditor");
    v1::UnsealResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("gateway", &v1::Audit::Stub::Unseal, request, response));
    return response;
  }
  StatusOr<v1::GetReceiptResponse> ReceiptIn(uint32_t generation, uint64_t index) {
    v1::GetReceiptRequest request;
    request.set_generation(generation);
    request.set_index(index);
    v1::GetReceiptResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("gateway", &v1::Audit::Stub::GetReceipt, request, response));
    return response;
  }
  StatusOr<v1::GetEntriesResponse> EntriesIn(uint32_t generation, uint64_t first, uint32_t count) {
    v1::GetEntriesRequest request;
    request.set_generation(generation);
    request.set_first(first);
    request.set_count(count);
    request.set_requested_by("auditor");
    v1::GetEntriesResponse response;
    CLOISTER_RETURN_IF_ERROR(Call("gateway", &v1::Audit::Stub::GetEntries, request, response));
    return response;
  }
  // The last record that the service made itself, which is how a reading is recorded.
  json LastBody() {
    const uint64_t size = LogStatusOf("gateway").size();
    return json::parse(Entries(size - 1, 1).at(0).body_json);
  }
  static void Flip(const std::filesystem::path& file, size_t at) {
    std::string bytes = *ReadFile(file, kFileBytesMax);
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    std::filesystem::remove(file);  // A copy may share it.
    std::ofstream(file, std::ios::binary) << bytes;
  }
};

TEST_F(FormerLogsTest, ReleasesOfEveryGenerationAreFoundAndNamedByIt) {
  const uint64_t first = Release("anna");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  EXPECT_EQ(Found(), (std::vector<std::string>{"1/" + std::to_string(first) + " anna"}));
  const uint64_t second = Release("berta");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  const uint64_t third = Release("anna");
  EXPECT_EQ(Found(), (std::vector<std::string>{"3/" + std::to_string(third) + " anna",
                                               "2/" + std::to_string(second) + " berta",
                                               "1/" + std::to_string(first) + " anna"}));
  EXPECT_EQ(LastBody()["generations"], (json{1, 2})) << "the record of the reading says where it went";
  const auto response = Find();
  ASSERT_TRUE(response.ok());
  EXPECT_EQ(response->recipients(), 2u) << "who was handed something in two generations is one person";
  EXPECT_EQ(response->generation(), 3u);
  ASSERT_EQ(response->former_logs_size(), 2);
  EXPECT_EQ(response->former_logs(0).generation(), 1u);
  EXPECT_EQ(response->former_logs(0).origin(), "clinic/main/1");
  EXPECT_EQ(response->former_logs(0).entries(), 2u);
  EXPECT_THAT(Problems(), IsEmpty());
}

TEST_F(FormerLogsTest, AnAnswerOfBeforeARestoreIsShownProvenAndOpened) {
  const uint64_t index = Release("anna");
  const std::string receipt = ReceiptOf(index);
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  const auto entries = EntriesIn(1, index, 10);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->envelopes_size(), 1);
  EXPECT_EQ(entries->size(), index + 1);
  EXPECT_EQ(entries->generation(), 1u);
  EXPECT_EQ(audit::ParseEnvelope(entries->envelopes(0))->event, "ask.release");
  EXPECT_EQ(LastBody()["generation"], 1);
  const auto proven = ReceiptIn(1, index);
  ASSERT_TRUE(proven.ok()) << proven.status();
  EXPECT_EQ(proven->receipt(), receipt) << "the same proof as before";
  const auto verifier = audit::NoteVerifier::Parse(proven->verifier_key());
  ASSERT_TRUE(verifier.ok());
  EXPECT_EQ(verifier->name(), "clinic/main/1");
  EXPECT_TRUE(audit::VerifyReceipt(*audit::ParseReceipt(proven->receipt()), std::nullopt, *verifier).ok());
  const auto opened = UnsealIn(1, index);
  ASSERT_TRUE(opened.ok()) << opened.status();
  ASSERT_EQ(opened->sections_size(), 1);
  EXPECT_EQ(opened->sections(0).content_json(), R"({"text":"words for anna"})");
  const json recorded = json::parse(Entries(opened->audit_index(), 1).at(0).body_json);
  EXPECT_EQ(recorded["generation"], 1);
  EXPECT_EQ(recorded["index"], index);
  // By its own number the present log is meant as well as by none.
  EXPECT_EQ(audit::ParseEnvelope(EntriesIn(2, 0, 1)->envelopes(0))->event, "backup.restored");
  EXPECT_FALSE(
      json::parse(Entries(LogStatusOf("gateway").size() - 1, 1).at(0).body_json).contains("generation"));
}

// One database holds the sections of all generations.
TEST_F(FormerLogsTest, ForgettingClosesSectionsOfFormerGenerationsToo) {
  const uint64_t before = Release("anna");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  const uint64_t after = Release("berta");
  ASSERT_EQ(UnsealIn(1, before)->sections(0).error(), "");
  v1::ForgetRequest request;
  request.add_people()->set_kind("document");
  request.mutable_people(0)->set_name(HexEncode(kDocument));
  v1::ForgetResponse response;
  const Status forgotten = Call("retrieval", &v1::Audit::Stub::Forget, request, response);
  ASSERT_TRUE(forgotten.ok()) << forgotten;
  EXPECT_EQ(response.sections_closed(), 2u);
  EXPECT_EQ(UnsealIn(1, before)->sections(0).error(), "its key was destroyed");
  EXPECT_EQ(UnsealIn(2, after)->sections(0).error(), "its key was destroyed");
  EXPECT_TRUE(ReceiptIn(1, before).ok()) << "the proof stays";
  EXPECT_EQ(Found().size(), 2u) << "who was handed it is still to be told";
  // The person, too, whose name goes with the key.
  request.mutable_people(0)->set_kind("user");
  request.mutable_people(0)->set_name("anna");
  ASSERT_TRUE(Call("retrieval", &v1::Audit::Stub::Forget, request, response).ok());
  EXPECT_THAT(Found(), ::testing::Contains("1/" + std::to_string(before) + " "));
}

TEST_F(FormerLogsTest, AMissingFormerLogIsSaidAndThePresentOneIsSearched) {
  Release("anna");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  const uint64_t present = Release("berta");
  std::filesystem::remove_all(Former() / "2");
  EXPECT_THAT(Found(), ::testing::Contains("3/" + std::to_string(present) + " berta"));
  EXPECT_EQ(Found().size(), 2u) << "the one before the missing one is there";
  EXPECT_EQ(Problems(), (std::vector<std::string>{"2 is not on this disk"}));
  EXPECT_EQ(UnsealIn(2, 0).status().code(), StatusCode::kNotFound);
  EXPECT_THAT(MessageOf(UnsealIn(2, 0).status()), HasSubstr("is not on this disk"));
  EXPECT_EQ(ReceiptIn(7, 0).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(EntriesIn(7, 0, 1).status().code(), StatusCode::kNotFound);
}

TEST_F(FormerLogsTest, ADamagedFormerLogIsSaidAndWhatReadsOfItIsFound) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  const uint64_t late = Release("anna");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  const uint64_t present = Release("berta");
  Flip(Former() / "1" / "tile" / "entries" / "000", 100);
  EXPECT_EQ(Found(), (std::vector<std::string>{"2/" + std::to_string(present) + " berta",
                                               "1/" + std::to_string(late) + " anna"}));
  ASSERT_EQ(Problems().size(), 1u);
  EXPECT_THAT(Problems()[0], HasSubstr("1 256 of its entries cannot be read"));
  EXPECT_EQ(EntriesIn(1, 0, 1).status().code(), StatusCode::kDataLoss);
  EXPECT_TRUE(UnsealIn(1, late).ok());
  Flip(Former() / "1" / "checkpoint", 20);
  EXPECT_EQ(Found(), (std::vector<std::string>{"2/" + std::to_string(present) + " berta"}));
  ASSERT_EQ(Problems().size(), 1u);
  EXPECT_THAT(Problems()[0], HasSubstr("1 cannot be read"));
  EXPECT_EQ(UnsealIn(1, late).status().code(), StatusCode::kDataLoss);
}

// Its signature is right and it verifies by itself: only what the log after it cites shows that there was
// more.
TEST_F(FormerLogsTest, AFormerLogThatWasPutBackToAnEarlierCheckpointIsSaid) {
  Release("anna");
  const std::filesystem::path earlier = directory_.path() / "earlier";
  ASSERT_TRUE(service_->CopyLog(earlier).ok());
  Release("berta");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  EXPECT_EQ(Found().size(), 2u);
  std::filesystem::remove_all(Former() / "1");
  std::filesystem::rename(earlier / "log", Former() / "1");
  EXPECT_EQ(Found().size(), 1u);
  ASSERT_EQ(Problems().size(), 1u);
  EXPECT_THAT(Problems()[0], HasSubstr("not the one that the log after it cites: 2 entries instead of 3"));
}

// A log that is no former generation's is not read for one.
TEST_F(FormerLogsTest, AFolderThatHoldsAnotherGenerationOrAnothersLogIsSaid) {
  Release("anna");
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  std::filesystem::remove_all(Former() / "2");
  std::filesystem::copy(Former() / "1", Former() / "2", std::filesystem::copy_options::recursive);
  EXPECT_EQ(Found().size(), 1u) << "found once";
  ASSERT_EQ(Problems().size(), 1u);
  EXPECT_THAT(Problems()[0], HasSubstr("2 cannot be read: holds a log of another generation"));
  std::ofstream(Former() / "notes.txt") << "no log";
  std::filesystem::create_directory(Former() / "0001");
  EXPECT_EQ(Problems().size(), 1u) << "what has no number as name is nobody's";
}

TEST(CitationTest, IsReadFromTheFirstRecordOfAGenerationAlone) {
  audit::Event event;
  event.name = "backup.restored";
  event.body_json = json{{"former", {{"origin", "clinic/main/4"}, {"verified", 0}}}}.dump();
  event.who = {audit::Actor::Kind::kService, "audit"};
  audit::Stamp stamp;
  stamp.boot = std::string(32, 'b');
  const auto entry = [&] { return audit::PreparedRecord::New(event, "main")->Entries(0, stamp).at(0); };
  auto citation = CitationIn(entry());
  ASSERT_TRUE(citation);
  EXPECT_EQ(citation->generation, 4u);
  EXPECT_FALSE(citation->checkpoint) << "what could not be verified is held against nothing";
  event.body_json = json{{"former",
                          {{"origin", "clinic/main/4"},
                           {"size", "12"},
                           {"root", Base64Encode(audit::EmptyRoot().bytes())},
                           {"verified", 1}}}}
                        .dump();
  citation = CitationIn(entry());
  ASSERT_TRUE(citation && citation->checkpoint);
  EXPECT_EQ(citation->checkpoint->size, 12u);
  EXPECT_EQ(citation->checkpoint->root, audit::EmptyRoot());
  event.body_json = json{{"former", {{"origin", "nonsense"}}}}.dump();
  EXPECT_FALSE(CitationIn(entry()));
  event.name = "backup.created";
  EXPECT_FALSE(CitationIn(entry()));
  EXPECT_FALSE(CitationIn("nonsense"));
}

}  // namespace
}  // namespace cloister::services
