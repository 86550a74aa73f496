// SPDX-License-Identifier: Apache-2.0
#include "storage/examination.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <algorithm>
#include <fstream>

#include "common/file.h"
#include "crypto/hash.h"
#include "storage/encrypted_env.h"
#include "storage/memory_key_source.h"
#include "storage/rocksdb_store.h"
#include "storage/sealed_record.h"
#include "storage/sealed_store.h"
#include "storage/temporary_directory.h"

namespace cloister::storage {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kRows = 2'000;
constexpr size_t kTableBytesMax = 64 * 1024 * 1024;

class ExaminationTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    auto store = RocksDbStore::Open({.directory = directory_, .column_families = {"a", "b"}, .keys = &keys_});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void Reopen() {
    store_.reset();
    Open();
  }
  // Row keys are spread as random ids are, and the same in every run.
  static std::string RowKey(uint32_t number) {
    return crypto::Sha256("row " + std::to_string(number)).substr(0, 16);
  }
  std::string Record(const std::string& family, const std::string& row, const DataKey& key,
                     const std::string& text) {
    return *SealRecord(key.id, key.key->view(), {store_->database_id(), family, row}, text);
  }
  void Write(const std::string& family, const std::string& row, std::string value) {
    WriteBatch batch;
    batch.Put(family, row, std::move(value));
    ASSERT_TRUE(store_->Write(batch).ok());
  }
  void Fill(uint32_t rows = kRows) {
    const DataKey key = keys_.CreateKeys(KeyKind::kDocument, 1)->front();
    WriteBatch batch;
    for (uint32_t row = 0; row < rows; ++row) {
      batch.Put("a", RowKey(row), Record("a", RowKey(row), key, "value " + std::to_string(row)));
    }
    ASSERT_TRUE(store_->Write(batch).ok());
    Write("b", RowKey(0), Record("b", RowKey(0), key, "of b"));
    ASSERT_TRUE(store_->Flush().ok());
  }
  // The largest table, with one bit of its middle flipped while nobody has it open.
  std::string FlipTable() {
    store_.reset();
    fs::path largest;
    for (const auto& entry : fs::directory_iterator(directory_ / "rocksdb")) {
      if (entry.path().extension() != ".sst") continue;
      if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path();
    }
    std::string bytes = *ReadFile(largest, kTableBytesMax);
    bytes[bytes.size() / 2] ^= 4;
    std::ofstream(largest, std::ios::binary) << bytes;
    Open();
    return largest.filename().string();
  }
  StatusOr<ExaminedRows> Examine(Examination& out, RowsToExamine rows = {{"a", "b"}, {}, {}},
                                 const ExaminationOptions& options = {}) {
    return ExamineRows(*store_->GetSnapshot(), store_->database_id(), keys_, rows, options, out);
  }
  static StoreToExamine Whole(std::set<std::string> expendable = {"a"}) {
    return {"db", {{"a", "b"}, {}, {}}, std::move(expendable), "do something"};
  }
  size_t RowsOf(const std::string& family) {
    size_t rows = 0;
    const Status status = store_->GetSnapshot()->Scan(family, "", [&](auto, auto) { return ++rows > 0; });
    EXPECT_TRUE(status.ok()) << status;
    return rows;
  }

  MemoryKeySource keys_{"seed"};
  TemporaryDirectory temporary_;
  const fs::path directory_ = temporary_.path() / "db";
  std::unique_ptr<RocksDbStore> store_;
};

uint64_t CheckedOf(const Examination& out, std::string_view part) {
  for (const ExaminedPart& examined : out.parts()) {
    if (examined.name == part) return examined.checked;
  }
  return 0;
}

TEST_F(ExaminationTest, AHealthyDatabaseIsReadWholeAndHasNoFindings) {
  Fill();
  Examination out;
  ASSERT_TRUE(ExamineStore(*store_, keys_, Whole(), {}, out).ok());
  EXPECT_EQ(CheckedOf(out, "rows"), kRows + 1u);
  EXPECT_GE(CheckedOf(out, "tables"), 2u);
  EXPECT_EQ(out.findings_total(), 0u);
}

TEST_F(ExaminationTest, EveryBadRowIsToldWithItsReasonAndTheOthersAreStillRead) {
  const auto made = *keys_.CreateKeys(KeyKind::kDocument, 2);
  MemoryKeySource others(keys_, "somebody else");
  const DataKey foreign = others.CreateKeys(KeyKind::kDocument, 1)->front();
  std::string flipped = Record("a", "flipped", made[0], "text");
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::string later = Record("a", "later", made[0], "text");
  later[4] = 9;
  Write("a", "flipped", flipped);
  Write("a", "later", later);
  Write("a", "moved", Record("b", "home", made[0], "text"));
  Write("b", "home", Record("b", "home", made[0], "text"));
  Write("a", "gone", Record("a", "gone", made[1], "text"));
  Write("a", "foreign", Record("a", "foreign", foreign, "text"));
  Write("a", "none", "no record at all");
  Write("b", "right", Record("b", "right", made[0], "text"));
  keys_.Lose(made[1].id);
  Examination out;
  const auto found = Examine(out);
  ASSERT_TRUE(found.ok()) << found.status();
  std::map<std::string, RowProblem> problems;
  for (const BadRow& bad : found->bad) {
    problems[bad.row_key] = bad.problem;
    EXPECT_EQ(bad.column_family, "a");
    if (bad.row_key == "moved") {
      EXPECT_EQ(Explain(bad), "does not authenticate here: it was moved from b 686f6d65");
    }
  }
  const std::map<std::string, RowProblem> expected = {
      {"flipped", RowProblem::kDamaged},    {"later", RowProblem::kUnknownFormat},
      {"moved", RowProblem::kMoved},        {"gone", RowProblem::kKeyGone},
      {"foreign", RowProblem::kForeignKey}, {"none", RowProblem::kDamaged}};
  EXPECT_EQ(problems, expected);
  EXPECT_EQ(CheckedOf(out, "rows"), 2u);
}

TEST_F(ExaminationTest, RowsThatAreNoRecordsAreJudgedByTheirOwner) {
  Write("a", "mark", "own format");
  Write("a", "bad mark", "broken");
  RowsToExamine rows{{"a"}, {}, {}};
  rows.judge = [](const Snapshot&, std::string_view, std::string_view,
                  std::string_view value) -> std::optional<Status> {
    return value == "own format" ? absl::OkStatus() : DataLoss("broken");
  };
  Examination out;
  const auto found = Examine(out, rows);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->bad.size(), 1u);
  EXPECT_EQ(found->bad[0].row_key, "bad mark");
  EXPECT_EQ(CheckedOf(out, "rows"), 1u);
}

TEST_F(ExaminationTest, AKeyServiceThatIsDownEndsItAndBlamesNoRow) {
  Fill(10);
  keys_.failure = Unavailable("down");
  Examination out;
  EXPECT_EQ(Examine(out).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(out.findings_total(), 0u);
}

TEST_F(ExaminationTest, ItStopsWhenItIsToldTo) {
  Fill();
  ExaminationOptions options;
  options.cancelled = [] { return true; };
  Examination out;
  EXPECT_EQ(Examine(out, {{"a", "b"}, {}, {}}, options).status().code(), StatusCode::kCancelled);
  EXPECT_EQ(ExamineStore(*store_, keys_, Whole(), options, out).code(), StatusCode::kCancelled);
}

TEST_F(ExaminationTest, ItGoesOnBehindADamagedTableAndSaysWhichOne) {
  Fill();
  const std::string file = FlipTable();
  EXPECT_EQ(store_->GetSnapshot()->Scan("a", "", [](auto, auto) { return true; }).code(),
            StatusCode::kDataLoss)
      << "otherwise this shows nothing";
  std::vector<std::string> unreadable, keys;
  ASSERT_TRUE(ScanReadable(
                  *store_->GetSnapshot(), "a",
                  [&](std::string_view key, std::string_view) {
                    keys.emplace_back(key);
                    return true;
                  },
                  unreadable)
                  .ok());
  EXPECT_FALSE(unreadable.empty());
  EXPECT_GT(keys.size(), kRows * 9 / 10);
  EXPECT_LT(keys.size(), kRows);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
  EXPECT_EQ(std::adjacent_find(keys.begin(), keys.end()), keys.end()) << "a row was visited twice";
  Examination out;
  ASSERT_TRUE(ExamineStore(*store_, keys_, Whole(), {}, out).ok());
  ASSERT_EQ(out.findings_total(), 1u);
  EXPECT_EQ(out.findings()[0].where, "db/rocksdb/" + file + " (a)");
  EXPECT_EQ(out.findings()[0].done, "");
  EXPECT_EQ(CheckedOf(out, "rows"), keys.size() + 1);
  const auto tables = store_->VerifyTables([] { return absl::OkStatus(); });
  ASSERT_TRUE(tables.ok());
  ASSERT_EQ(tables->damaged.size(), 1u);
  EXPECT_EQ(tables->damaged[0].rows, kRows);
  // RocksDB needs the row before to tell one from behind.
  EXPECT_GE(tables->damaged[0].unreadable, kRows - keys.size());
  EXPECT_LE(tables->damaged[0].unreadable, kRows - keys.size() + 1);
}

TEST_F(ExaminationTest, AColumnFamilyWrittenAnewHoldsWhatCouldBeReadAndTakesWrites) {
  Fill();
  FlipTable();
  const uint64_t sequence = store_->CommitSequence();
  std::unique_ptr<Snapshot> before = store_->GetSnapshot();
  ExaminationOptions repair;
  repair.repair = true;
  Examination out;
  ASSERT_TRUE(ExamineStore(*store_, keys_, Whole(), repair, out).ok());
  ASSERT_EQ(out.findings_total(), 1u);
  EXPECT_NE(out.findings()[0].done, "");
  EXPECT_EQ(out.findings()[0].remedy, "") << "nothing is left to be done";
  const size_t rows = RowsOf("a");
  EXPECT_GT(rows, kRows * 9 / 10);
  EXPECT_LT(rows, kRows);
  EXPECT_EQ(store_->CommitSequence(), sequence);
  EXPECT_TRUE(before->Get("b", RowKey(0)).ok()) << "a snapshot of before goes on";
  for (int round = 0; round < 2; ++round) {
    Examination again;
    ASSERT_TRUE(ExamineStore(*store_, keys_, Whole(), {}, again).ok());
    EXPECT_EQ(again.findings_total(), 0u);
    EXPECT_EQ(RowsOf("a"), rows + static_cast<size_t>(round));
    const DataKey key = keys_.CreateKeys(KeyKind::kDocument, 1)->front();
    const std::string row = "added " + std::to_string(round);
    Write("a", row, Record("a", row, key, "text"));
    if (round == 0) {
      before.reset();
      Reopen();
    }
  }
  EXPECT_EQ(*store_->RewriteFamily("a"), rows + 2) << "as often as one likes";
  Reopen();
  EXPECT_EQ(RowsOf("a"), rows + 2);
  EXPECT_EQ(RowsOf("b"), 1u);
}

TEST_F(ExaminationTest, WhatMustNotGetLostIsReportedAndLeft) {
  Fill();
  Write("b", "bad", "no record at all");
  FlipTable();
  ExaminationOptions repair;
  repair.repair = true;
  Examination out;
  ASSERT_TRUE(ExamineStore(*store_, keys_, Whole({}), repair, out).ok());
  ASSERT_EQ(out.findings_total(), 2u);
  for (const Finding& finding : out.findings()) {
    EXPECT_EQ(finding.done, "");
    EXPECT_EQ(finding.remedy, "do something");
  }
  Examination again;
  ASSERT_TRUE(ExamineStore(*store_, keys_, Whole({"a", "b"}), repair, again).ok());
  EXPECT_EQ(again.findings_total(), 2u) << "nothing had been done";
  Examination healthy;
  ASSERT_TRUE(ExamineStore(*store_, keys_, Whole({}), {}, healthy).ok());
  EXPECT_EQ(healthy.findings_total(), 0u);
}

// A crash after the new column family was made and before the former one was dropped.
TEST_F(ExaminationTest, ARewritingThatACrashCutShortCountsForNothing) {
  Fill(10);
  store_.reset();
  {
    const std::string path = (directory_ / "rocksdb").string();
    auto env = EncryptedEnv::Open(
        {.database = path, .manifest_seal = directory_ / "manifest", .sealed = true}, keys_);
    ASSERT_TRUE(env.ok()) << env.status();
    rocksdb::Options options;
    options.env = (*env)->env();
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(options, path, &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const std::string& name : names) families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(options, path, families, &handles, &db).ok());
    rocksdb::ColumnFamilyHandle* half = nullptr;
    ASSERT_TRUE(db->CreateColumnFamily({}, "a~1", &half).ok());
    ASSERT_TRUE(db->Put({}, half, "half", "of it").ok());
    handles.push_back(half);
    for (auto* handle : handles) db->DestroyColumnFamilyHandle(handle);
    db->Close();
    delete db;
  }
  Open();
  EXPECT_EQ(RowsOf("a"), 10u);
  EXPECT_EQ(*store_->RewriteFamily("a"), 10u) << "the name of the other one is free again";
  Reopen();
  EXPECT_EQ(RowsOf("a"), 10u);
}

}  // namespace
}  // namespace cloister::storage
