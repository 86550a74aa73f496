// SPDX-License-Identifier: Apache-2.0
#include "retrieval/examination.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/file.h"
#include "retrieval/test_support.h"
#include "storage/memory_key_source.h"

namespace cloister::retrieval {
namespace {

namespace fs = std::filesystem;
using storage::Examination;
using storage::Finding;

constexpr size_t kFileBytesMax = 16 * 1024 * 1024;

uint64_t CheckedOf(const Examination& out, std::string_view part) {
  for (const auto& examined : out.parts()) {
    if (examined.name == part) return examined.checked;
  }
  return 0;
}

void FlipByte(const fs::path& file) {
  std::string bytes = *ReadFile(file, kFileBytesMax);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(file, std::ios::binary) << bytes;
}

class ExaminationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    test_.AddCollection("ward", {"nurses"});
    test_.AddUser("anna", {"nurses"});
    for (const std::string& word : words_)
      infos_.push_back(test_.Put(DocumentOf("ward", word + ".md", {word, "rest"})).info);
  }
  Examination Examine(bool repair = false) {
    Examination out;
    storage::ExaminationOptions options;
    options.repair = repair;
    const Status status = ExamineCorpus(*test_.corpus, nullptr, options, out);
    EXPECT_TRUE(status.ok()) << status;
    return out;
  }
  // The one finding there must be.
  Finding Only(const Examination& out) {
    EXPECT_EQ(out.findings_total(), 1u);
    for (const Finding& finding : out.findings()) SCOPED_TRACE(finding.where + ": " + finding.problem);
    return out.findings().empty() ? Finding() : out.findings().front();
  }
  void Change(std::string_view family, const std::string& row, bool remove = false) {
    storage::WriteBatch batch;
    if (remove) {
      batch.Delete(family, row);
    } else {
      std::string record = *test_.store->Get(family, row);
      record.back() = static_cast<char>(record.back() ^ 1);
      batch.Put(family, row, record);
    }
    ASSERT_TRUE(test_.store->Write(batch).ok());
  }
  std::string FirstPart(size_t document) const {
    return PartKey(infos_[document]->document, infos_[document]->version, 0);
  }
  bool Finds(const std::string& word) { return !test_.Search("anna", word).hits.empty(); }
  std::vector<fs::path> SegmentFiles(const std::string& extension) const {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(test_.SegmentDirectory())) {
      if (entry.path().extension() == extension) out.push_back(entry.path());
    }
    return out;
  }

  TestCorpus test_{2};  // Two documents make a segment.
  const std::vector<std::string> words_ = {"alpha", "beta", "gamma", "delta"};
  std::vector<std::shared_ptr<const DocumentInfo>> infos_;
};

TEST_F(ExaminationTest, AHealthyCorpusIsReadWholeAndHasNoFindings) {
  const Examination out = Examine();
  EXPECT_EQ(out.findings_total(), 0u);
  EXPECT_EQ(CheckedOf(out, "documents"), words_.size());
  EXPECT_EQ(CheckedOf(out, "index"), words_.size());
  EXPECT_EQ(CheckedOf(out, "segments"), 2u);
  EXPECT_GT(CheckedOf(out, "rows"), 6 * words_.size());
}

TEST_F(ExaminationTest, ADamagedDocumentIsNamedAndLeftUntilItIsToBeSetAside) {
  Change(kTextFamily, FirstPart(1));
  const Finding found = Only(Examine());
  EXPECT_EQ(found.part, "documents");
  EXPECT_EQ(found.where, "ward / beta.md (document " + infos_[1]->document.hex() + ")");
  EXPECT_NE(found.problem.find("text " + HexEncode(FirstPart(1)) + " does not authenticate"),
            std::string::npos);
  EXPECT_NE(found.remedy.find("--collection ward"), std::string::npos);
  EXPECT_EQ(found.done, "");
  EXPECT_TRUE(Finds("beta")) << "looking changes nothing";
  EXPECT_EQ(Only(Examine(true)).done, "set aside");
  EXPECT_FALSE(Finds("beta"));
  EXPECT_TRUE(Finds("alpha"));
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(test_.corpus->set_aside().Contains(infos_[1]->document, infos_[1]->version));
    EXPECT_FALSE(Finds("beta")) << "also after a restart, and though a segment holds it";
    EXPECT_EQ(Only(Examine(true)).done, "set aside before");
    test_.Reopen();
  }
  std::vector<std::string> events;
  ASSERT_TRUE(test_.corpus->rows()
                  .DeliverEvents([&](const Event& event) {
                    events.push_back(event.name);
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_EQ(std::count(events.begin(), events.end(), "document.quarantined"), 1);
}

TEST_F(ExaminationTest, ADocumentThatWasSetAsideComesBackWithTheSameBytes) {
  Change(kOriginalsFamily, VersionKey(infos_[0]->document, infos_[0]->version));
  EXPECT_EQ(Only(Examine(true)).done, "set aside");
  const auto again = test_.Put(DocumentOf("ward", "alpha.md", {"alpha", "rest"}));
  EXPECT_FALSE(again.unchanged);
  EXPECT_EQ(again.info->document, infos_[0]->document);
  EXPECT_TRUE(Finds("alpha"));
  EXPECT_EQ(Examine().findings_total(), 0u) << "the damaged rows were replaced";
  test_.Reopen();
  EXPECT_TRUE(Finds("alpha"));
  EXPECT_TRUE(test_.corpus->set_aside().List().empty());
}

TEST_F(ExaminationTest, AMissingRowIsDamageToo) {
  Change(kSentenceVectorsFamily, FirstPart(2), true);
  const Finding found = Only(Examine());
  EXPECT_EQ(found.where, "ward / gamma.md (document " + infos_[2]->document.hex() + ")");
  EXPECT_EQ(found.problem, "1 of its 1 rows in sentence-vectors cannot be read");
}

TEST_F(ExaminationTest, AFormerVersionThatIsKeptIsWholeWithoutItsVectors) {
  test_.AddCollection("ward", {"nurses"}, {}, "keep");
  const auto next = test_.Put(DocumentOf("ward", "gamma.md", {"another text", "rest"}));
  ASSERT_TRUE(next.replaced.has_value());
  const Examination out = Examine();
  EXPECT_EQ(out.findings_total(), 0u);
  EXPECT_EQ(CheckedOf(out, "former versions"), 1u);
  EXPECT_EQ(CheckedOf(out, "documents"), words_.size());
  // Its text is what it is kept for.
  Change(kTextFamily, FirstPart(2), true);
  EXPECT_NE(Only(Examine()).problem.find("a former version: 1 of its 1 rows in text"), std::string::npos);
}

TEST_F(ExaminationTest, RowsOfADocumentThatNobodyKnowsAnyMoreAreTold) {
  Change(kDocumentsFamily, VersionKey(infos_[3]->document, infos_[3]->version), true);
  test_.Reopen();
  const Finding found = Only(Examine(true));
  EXPECT_EQ(found.where, "document " + infos_[3]->document.hex());
  EXPECT_NE(found.remedy.find("cloister erase document --id " + infos_[3]->document.hex()),
            std::string::npos);
}

TEST_F(ExaminationTest, DamagedSegmentsAreMadeAnewFromTheIndex) {
  FlipByte(SegmentFiles(".segment").front());
  const Finding found = Only(Examine());
  EXPECT_EQ(found.part, "segments");
  EXPECT_EQ(found.done, "");
  const size_t retired = test_.corpus->retired_keys().size();
  EXPECT_EQ(Only(Examine(true)).done, "made anew");
  EXPECT_EQ(test_.corpus->retired_keys().size(), retired + 1) << "the key of the damaged one is given up";
  EXPECT_EQ(Examine().findings_total(), 0u);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
  for (const std::string& word : words_) EXPECT_TRUE(Finds(word));
}

TEST_F(ExaminationTest, ADamagedManifestIsMadeAnew) {
  FlipByte(test_.SegmentDirectory() / "MANIFEST");
  EXPECT_EQ(Only(Examine()).where, "segments/MANIFEST");
  EXPECT_EQ(Only(Examine(true)).done, "made anew");
  EXPECT_EQ(Examine().findings_total(), 0u);
  test_.Reopen();
  EXPECT_EQ(test_.corpus->GetStatus().quarantined, 0u);
}

TEST_F(ExaminationTest, WhatAStartSetAsideIsToldAndCleared) {
  FlipByte(SegmentFiles(".segment").front());
  test_.Reopen();
  ASSERT_EQ(SegmentFiles(".quarantined").size(), 1u);
  EXPECT_NE(Only(Examine()).problem.find("when the service started"), std::string::npos);
  EXPECT_EQ(Only(Examine(true)).done, "removed");
  EXPECT_TRUE(SegmentFiles(".quarantined").empty());
  EXPECT_EQ(Examine().findings_total(), 0u);
}

TEST_F(ExaminationTest, AnIndexThatLacksADocumentOrHasTooManyIsMadeAnew) {
  test_.corpus->Withdraw(infos_[0]->document);
  EXPECT_EQ(Only(Examine()).problem, "the index lacks it");
  EXPECT_FALSE(Finds("alpha"));
  EXPECT_EQ(Only(Examine(true)).done, "made anew");
  EXPECT_TRUE(Finds("alpha"));
  // As if only the store had heard of an erasure.
  test_.corpus->documents().Erased(infos_[1]->document);
  const Examination out = Examine(true);
  ASSERT_FALSE(out.findings().empty());
  EXPECT_EQ(out.findings().back().problem, "the index holds it, and the documents do not");
  EXPECT_EQ(out.findings().back().done, "made anew");
  EXPECT_EQ(test_.corpus->FindRemains({infos_[1]->document}).indexed, 0u);
}

TEST_F(ExaminationTest, DamageOfTheDirectoryIsToldWithWhatToDo) {
  std::string user;
  ASSERT_TRUE(test_.store->GetSnapshot()
                  ->Scan(kUsersFamily, "",
                         [&](std::string_view key, std::string_view) {
                           user = key;
                           return false;
                         })
                  .ok());
  Change(kUsersFamily, user);
  const Finding found = Only(Examine(true));
  EXPECT_EQ(found.where, "db: users " + HexEncode(user));
  EXPECT_NE(found.remedy.find("cloister user add"), std::string::npos);
  EXPECT_EQ(found.done, "");
}

TEST_F(ExaminationTest, ItStopsWhenItIsToldTo) {
  storage::ExaminationOptions options;
  options.cancelled = [] { return true; };
  Examination out;
  EXPECT_EQ(ExamineCorpus(*test_.corpus, nullptr, options, out).code(), StatusCode::kCancelled);
}

// The same over RocksDB, whose table of originals is damaged on the disk.
class ExaminationOnDiskTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    auto store = storage::RocksDbStore::Open(
        {.directory = directory_.path() / "db", .column_families = ColumnFamilies(), .keys = &keys_});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void OpenCorpus() {
    CorpusOptions options;
    options.segment_directory = directory_.path() / "segments";
    options.segment_documents = 4;
    auto corpus = Corpus::Open(*store_, store_->database_id(), keys_, clock_, options);
    ASSERT_TRUE(corpus.ok()) << corpus.status();
    corpus_ = *std::move(corpus);
  }
  static NewDocument DocumentNumber(int number) {
    NewDocument document =
        DocumentOf("ward", std::to_string(number) + ".md", {"text " + std::to_string(number)});
    document.original = std::string(20'000, static_cast<char>('a' + number));
    return document;
  }

  FakeClock clock_{kTestTime};
  TestDirectory directory_;
  storage::MemoryKeySource keys_;
  std::unique_ptr<storage::RocksDbStore> store_;
  std::unique_ptr<Corpus> corpus_;
};

TEST_F(ExaminationOnDiskTest, ADamagedTableCostsItsDocumentsAloneAndIsWrittenAnew) {
  OpenCorpus();
  ASSERT_TRUE(corpus_->directory().PutCollection({"ward", {"nurses"}, {}}, "gateway").ok());
  constexpr int kDocuments = 8;
  for (int number = 0; number < kDocuments; ++number)
    ASSERT_TRUE(corpus_->Put(DocumentNumber(number), "ingest").ok());
  ASSERT_TRUE(store_->Flush().ok());
  corpus_.reset();
  store_.reset();
  fs::path largest;
  for (const auto& entry : fs::directory_iterator(directory_.path() / "db" / "rocksdb")) {
    if (entry.path().extension() != ".sst") continue;
    if (largest.empty() || entry.file_size() > fs::file_size(largest)) largest = entry.path();
  }
  FlipByte(largest);
  Open();
  Examination closed;
  ASSERT_TRUE(ExamineClosed(*store_, keys_, directory_.path() / "segments", {}, closed).ok());
  ASSERT_EQ(closed.findings_total(), 1u);
  EXPECT_EQ(closed.findings()[0].where, "db/rocksdb/" + largest.filename().string() + " (originals)");
  EXPECT_EQ(CheckedOf(closed, "segments"), 2u);
  OpenCorpus();
  storage::ExaminationOptions repair;
  repair.repair = true;
  Examination out;
  ASSERT_TRUE(ExamineCorpus(*corpus_, store_.get(), repair, out).ok());
  size_t set_aside = 0, anew = 0;
  for (const Finding& finding : out.findings()) {
    set_aside += finding.done == "set aside" ? 1 : 0;
    anew += finding.part == "tables" && !finding.done.empty() ? 1 : 0;
  }
  EXPECT_EQ(anew, 1u);
  EXPECT_GE(set_aside, 1u);
  EXPECT_LE(set_aside, 3u);
  EXPECT_EQ(set_aside + CheckedOf(out, "documents"), static_cast<size_t>(kDocuments));
  for (int number = 0; number < kDocuments; ++number)
    ASSERT_TRUE(corpus_->Put(DocumentNumber(number), "ingest").ok());
  Examination healthy;
  ASSERT_TRUE(ExamineCorpus(*corpus_, store_.get(), {}, healthy).ok());
  EXPECT_EQ(healthy.findings_total(), 0u);
  EXPECT_EQ(CheckedOf(healthy, "documents"), static_cast<uint64_t>(kDocuments));
}

TEST_F(ExaminationOnDiskTest, SegmentsAreJudgedAndRemovedWhileNobodyHasThemOpen) {
  OpenCorpus();
  ASSERT_TRUE(corpus_->directory().PutCollection({"ward", {"nurses"}, {}}, "gateway").ok());
  for (int number = 0; number < 4; ++number) ASSERT_TRUE(corpus_->Put(DocumentNumber(number), "ingest").ok());
  corpus_.reset();
  for (const auto& entry : fs::directory_iterator(directory_.path() / "segments")) {
    if (entry.path().extension() == ".segment") FlipByte(entry.path());
  }
  storage::ExaminationOptions options;
  for (const bool repair : {false, true}) {
    options.repair = repair;
    Examination out;
    ASSERT_TRUE(ExamineClosed(*store_, keys_, directory_.path() / "segments", options, out).ok());
    ASSERT_EQ(out.findings_total(), 1u);
    EXPECT_EQ(out.findings()[0].part, "segments");
    EXPECT_EQ(out.findings()[0].done, repair ? "removed" : "");
  }
  for (const auto& entry : fs::directory_iterator(directory_.path() / "segments")) {
    EXPECT_NE(entry.path().extension(), ".segment") << "the damaged one is gone";
  }
  OpenCorpus();
  EXPECT_EQ(corpus_->GetStatus().chunks, 4u);
}

}  // namespace
}  // namespace cloister::retrieval
