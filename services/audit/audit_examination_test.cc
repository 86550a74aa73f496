// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <set>

#include "common/file.h"
#include "services/audit/audit_generation_fixture.h"
#include "services/audit/examination.h"
#include "storage/sealed_record.h"

namespace cloister::services {
namespace {

namespace fs = std::filesystem;
using storage::Examination;

constexpr size_t kFileBytesMax = 16 * 1024 * 1024;

uint64_t CheckedOf(const Examination& out, std::string_view part) {
  for (const auto& examined : out.parts()) {
    if (examined.name == part) return examined.checked;
  }
  return 0;
}

class AuditExaminationTest : public AuditGenerationTest {
 protected:
  Examination Examine() {
    Examination out;
    const Status status = service_->ExamineLog({}, out);
    EXPECT_TRUE(status.ok()) << status;
    return out;
  }
  // Of the stopped service, as `cloister doctor --offline` does.
  Examination ExamineClosed() {
    Examination out;
    const Status status = ExamineClosedLog(directory_.path(), *keys_in_use_,
                                           ClosedSections{*store_in_use_, database_}, {}, out);
    EXPECT_TRUE(status.ok()) << status;
    return out;
  }
  static std::set<std::string> WhereOf(const Examination& out) {
    std::set<std::string> where;
    for (const auto& finding : out.findings()) where.insert(finding.where);
    return where;
  }
  storage::ExaminedRows Rows(Examination& out) {
    const storage::StoreToExamine what = SectionsToExamine(*keys_in_use_);
    const auto rows =
        storage::ExamineRows(*store_in_use_->GetSnapshot(), database_, *keys_in_use_, what.rows, {}, out);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? *rows : storage::ExaminedRows();
  }
  // Waits until a checkpoint covers everything, so that sections are in the store and tiles on the disk.
  void Settle(uint64_t index) {
    v1::GetReceiptRequest request;
    request.set_index(index);
    v1::GetReceiptResponse response;
    const Status status = Call("gateway", &v1::Audit::Stub::GetReceipt, request, response);
    ASSERT_TRUE(status.ok()) << status;
  }
  static void Flip(const fs::path& file) {
    std::string bytes = *ReadFile(file, kFileBytesMax);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    std::ofstream(file, std::ios::binary) << bytes;
  }
  fs::path TileFile(const std::string& below) const {
    for (const auto& entry : fs::recursive_directory_iterator(log_directory_ / "tile" / below)) {
      if (entry.is_regular_file()) return entry.path();
    }
    return {};
  }
  std::string FirstKey(std::string_view family) const {
    std::string first;
    EXPECT_TRUE(store_in_use_->GetSnapshot()
                    ->Scan(family, "",
                           [&](std::string_view key, std::string_view) {
                             first = key;
                             return false;
                           })
                    .ok());
    return first;
  }
  void Write(std::string_view family, const std::string& key, std::optional<std::string> value) {
    storage::WriteBatch batch;
    if (value) batch.Put(family, key, *value);
    if (!value) batch.Delete(family, key);
    ASSERT_TRUE(store_in_use_->Write(batch).ok());
  }
};

TEST_F(AuditExaminationTest, AHealthyLogAndItsSectionsAreReadWhole) {
  uint64_t last = 0;
  for (int i = 0; i < 5; ++i) last = *Append("gateway", Ask("n.okafor"));
  Settle(last);
  const Examination out = Examine();
  EXPECT_EQ(out.findings_total(), 0u);
  EXPECT_GE(CheckedOf(out, "log"), 6u);
  EXPECT_EQ(CheckedOf(out, "sections"), 5u);
  Examination rows;
  EXPECT_TRUE(Rows(rows).bad.empty());
  EXPECT_EQ(CheckedOf(rows, "rows"), 11u) << "a person, and five sections with their keys";
}

TEST_F(AuditExaminationTest, AnAlteredTileIsFoundWhileTheLogGoesOn) {
  Settle(*Append("gateway", Ask("n.okafor")));
  const fs::path tile = TileFile("0");
  ASSERT_FALSE(tile.empty());
  Flip(tile);
  const Examination out = Examine();
  ASSERT_GE(out.findings_total(), 1u);
  EXPECT_EQ(out.findings()[0].part, "log");
  EXPECT_NE(out.findings()[0].problem.find("does not match the entries"), std::string::npos);
  EXPECT_NE(out.findings()[0].remedy.find("cloister backup restore"), std::string::npos);
  EXPECT_EQ(CheckedOf(out, "log"), 0u);
  EXPECT_EQ(CheckedOf(out, "sections"), 1u) << "it goes on behind";
}

TEST_F(AuditExaminationTest, ASectionThatIsNotWhatTheLogCommittedToIsFound) {
  Settle(*Append("gateway", Ask("n.okafor")));
  const std::string section = FirstKey(kSectionsFamily);
  std::string record = *store_in_use_->Get(kSectionsFamily, section);
  record.back() = static_cast<char>(record.back() ^ 1);
  Write(kSectionsFamily, section, record);
  const Examination out = Examine();
  ASSERT_EQ(out.findings_total(), 1u);
  EXPECT_EQ(out.findings()[0].part, "sections");
  EXPECT_NE(out.findings()[0].where.find(HexEncode(section)), std::string::npos);
  Write(kSectionsFamily, section, std::nullopt);
  EXPECT_EQ(Examine().findings_total(), 1u) << "one that is missing, too";
}

TEST_F(AuditExaminationTest, WhoWasForgottenIsNoDamage) {
  Settle(*Append("gateway", Ask("n.okafor")));
  v1::ForgetRequest request;
  v1::PersonReference* person = request.add_people();
  person->set_kind("user");
  person->set_name("n.okafor");
  v1::ForgetResponse response;
  const Status forgotten = Call("retrieval", &v1::Audit::Stub::Forget, request, response);
  ASSERT_TRUE(forgotten.ok()) << forgotten;
  EXPECT_EQ(Examine().findings_total(), 0u);
  Examination rows;
  EXPECT_TRUE(Rows(rows).bad.empty());
}

TEST_F(AuditExaminationTest, AKeyThatIsGoneWithoutAForgettingIsDamage) {
  Settle(*Append("gateway", Ask("n.okafor")));
  const std::string person = FirstKey(kPeopleFamily);
  const KeyId key = *storage::RecordKeyId(*store_in_use_->Get(kPeopleFamily, person));
  keys_.Lose(key);
  Examination out;
  std::set<std::string> families;
  for (const storage::BadRow& bad : Rows(out).bad) {
    families.insert(bad.column_family);
    EXPECT_EQ(bad.problem, storage::RowProblem::kKeyGone);
  }
  EXPECT_EQ(families, (std::set<std::string>{"people", "section_keys"}));
  // With the mark of a forgetting under way it is what was asked for.
  Write(kForgettingFamily, person, std::string(key.bytes()));
  EXPECT_TRUE(Rows(out).bad.empty());
  Write(kForgettingFamily, "no pseudonym", "no key at all");
  const storage::ExaminedRows marked = Rows(out);
  ASSERT_EQ(marked.bad.size(), 1u);
  EXPECT_EQ(marked.bad[0].column_family, "forgetting");
}

TEST_F(AuditExaminationTest, AClosedLogThoseOfBeforeAndTheirSectionsAreExamined) {
  ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  ASSERT_TRUE(Append("gateway", Ask("n.okafor")).ok());
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  Settle(*Append("gateway", Ask("n.okafor")));
  EXPECT_EQ(Examine().findings_total(), 0u);
  EXPECT_EQ(CheckedOf(Examine(), "sections"), 3u) << "while it runs, too";
  Stop();
  const Examination healthy = ExamineClosed();
  EXPECT_EQ(healthy.findings_total(), 0u);
  EXPECT_GE(CheckedOf(healthy, "log"), 2u);
  EXPECT_GE(CheckedOf(healthy, "former logs"), 5u);
  EXPECT_EQ(CheckedOf(healthy, "sections"), 3u);
  Flip(Former() / "1" / "checkpoint");
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"former/1"}));
  fs::remove_all(Former() / "1");
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"former/1"}));
  EXPECT_NE(ExamineClosed().findings()[0].problem.find("is not on this disk"), std::string::npos);
  fs::copy(Former() / "2", Former() / "3", fs::copy_options::recursive);
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"former/1", "former/3"}));
  Flip(TileFile("entries"));
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"former/1", "former/3", "log"}));
  std::ofstream(log_directory_ / "checkpoint") << "nothing";
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"former/1", "former/3", "log"}));
  fs::remove(log_directory_ / "checkpoint");
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"former/1", "former/3", "log/checkpoint"}));
}

// As far as the keys go that the passphrase opens: all that a start would use.
TEST_F(AuditExaminationTest, AClosedLogsSectionsAreHeldAgainstTheirCommitments) {
  const uint64_t former = *Append("gateway", Ask("n.okafor"));
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  const std::string of_former = FirstKey(kSectionsFamily);
  Settle(*Append("gateway", Ask("n.okafor")));
  Stop();
  const std::string record = *store_in_use_->Get(kSectionsFamily, of_former);
  const std::string key_record = *store_in_use_->Get(kSectionKeysFamily, of_former);
  std::string altered = record;
  altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 1);
  const std::string where =
      "section " + HexEncode(of_former) + " of entry " + std::to_string(former) + " of generation 1";
  for (const auto& damage : {std::optional<std::string>(altered), std::optional<std::string>()}) {
    Write(kSectionsFamily, of_former, damage);
    const Examination out = ExamineClosed();
    EXPECT_EQ(WhereOf(out), (std::set<std::string>{where}));
    EXPECT_EQ(CheckedOf(out, "sections"), 1u) << "the other one";
  }
  Write(kSectionsFamily, of_former, record);
  Write(kSectionKeysFamily, of_former, std::nullopt);
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{where}));
  Write(kSectionKeysFamily, of_former, std::string(kForgottenSection));
  EXPECT_EQ(ExamineClosed().findings_total(), 0u) << "somebody was forgotten";
  Write(kSectionKeysFamily, of_former, key_record);
  EXPECT_EQ(ExamineClosed().findings_total(), 0u);
  // Without a database that opens, the logs are examined all the same.
  Examination without;
  ASSERT_TRUE(ExamineClosedLog(directory_.path(), *keys_in_use_, std::nullopt, {}, without).ok());
  EXPECT_EQ(without.findings_total(), 0u);
  EXPECT_EQ(CheckedOf(without, "sections"), 0u);
}

// What would keep the service from starting is said before it is tried.
TEST_F(AuditExaminationTest, AMissingJournalOrAWrongGenerationIsToldOfAClosedLog) {
  Settle(*Append("gateway", Ask("n.okafor")));
  ASSERT_NO_FATAL_FAILURE(BackUpAndRestore());
  Stop();
  EXPECT_EQ(ExamineClosed().findings_total(), 0u);
  const std::string generation = *ReadFile(GenerationPath(), kFileBytesMax);
  fs::remove(GenerationPath());
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"generation"}));
  std::ofstream(GenerationPath(), std::ios::binary) << "nonsense";
  EXPECT_EQ(WhereOf(ExamineClosed()), (std::set<std::string>{"generation"}));
  std::ofstream(GenerationPath(), std::ios::binary) << generation;
  EXPECT_EQ(ExamineClosed().findings_total(), 0u);
  for (const auto& entry : fs::directory_iterator(log_directory_)) {
    if (entry.path().filename().string().starts_with("journal.")) fs::remove(entry.path());
  }
  const Examination out = ExamineClosed();
  ASSERT_EQ(WhereOf(out), (std::set<std::string>{"log"}));
  EXPECT_NE(out.findings()[0].problem.find("the journal is missing"), std::string::npos);
}

}  // namespace
}  // namespace cloister::services
