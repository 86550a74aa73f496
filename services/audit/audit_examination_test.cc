// SPDX-License-Identifier: Apache-2.0
#include <fstream>
#include <set>

#include "common/file.h"
#include "services/audit/audit_service_fixture.h"
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

class AuditExaminationTest : public AuditServiceFixture {
 protected:
  Examination Examine() {
    Examination out;
    const Status status = service_->ExamineLog({}, out);
    EXPECT_TRUE(status.ok()) << status;
    return out;
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

TEST_F(AuditExaminationTest, AClosedLogAndThoseOfBeforeAreVerifiedWithTheKeyAlone) {
  Settle(*Append("gateway", Ask("n.okafor")));
  Stop();
  Examination healthy;
  ASSERT_TRUE(ExamineClosedLog(directory_.path(), *keys_in_use_, healthy).ok());
  EXPECT_EQ(healthy.findings_total(), 0u);
  EXPECT_GE(CheckedOf(healthy, "log"), 2u);
  fs::create_directory(directory_.path() / "former");
  fs::copy(log_directory_, directory_.path() / "former" / "1", fs::copy_options::recursive);
  Flip(TileFile("entries"));
  fs::copy(log_directory_, directory_.path() / "former" / "2", fs::copy_options::recursive);
  Examination out;
  ASSERT_TRUE(ExamineClosedLog(directory_.path(), *keys_in_use_, out).ok());
  std::set<std::string> where;
  for (const auto& finding : out.findings()) where.insert(finding.where);
  EXPECT_EQ(where, (std::set<std::string>{"log", "former/2"}));
  EXPECT_GE(CheckedOf(out, "former logs"), 2u);
  std::ofstream(log_directory_ / "checkpoint") << "nothing";
  Examination lost;
  ASSERT_TRUE(ExamineClosedLog(directory_.path(), *keys_in_use_, lost).ok());
  EXPECT_GE(lost.findings_total(), 1u);
}

}  // namespace
}  // namespace cloister::services
