// SPDX-License-Identifier: Apache-2.0
#include "audit/log_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "audit/journal.h"
#include "audit/test_support.h"
#include "audit/tiles.h"
#include "audit/verifier.h"

namespace cloister::audit {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
constexpr std::chrono::seconds kPatience{60};

class LogWriterTest : public ::testing::Test {
 protected:
  std::unique_ptr<LogWriter> MustOpen(LogWriterOptions options) {
    auto log = LogWriter::Open(std::move(options), signer_, clock_);
    EXPECT_TRUE(log.ok()) << log.status();
    return log.ok() ? *std::move(log) : nullptr;
  }
  std::unique_ptr<LogWriter> MustOpen() { return MustOpen(TestOptions(directory_.path())); }
  Status OpenError() { return LogWriter::Open(TestOptions(directory_.path()), signer_, clock_).status(); }
  fs::path Journal() const {
    fs::path found;
    for (const auto& entry : fs::directory_iterator(directory_.path())) {
      if (entry.path().filename().string().rfind("journal.", 0) == 0) found = entry.path();
    }
    return found;
  }
  void Overwrite(const fs::path& path, std::string_view bytes) {
    ASSERT_TRUE(WriteFileAtomic(path, bytes, 0600).ok());
  }

  TemporaryDirectory directory_;
  SystemClock clock_;
  NoteSigner signer_ = TestSigner();
};

TEST_F(LogWriterTest, NumbersRecordsFromZeroAndReadsThemBack) {
  auto log = MustOpen();
  for (uint64_t i = 0; i < 600; ++i) EXPECT_EQ(*log->Append(NumberedEvent(i)), i);
  const auto entries = log->Read(0, 1000);
  ASSERT_TRUE(entries.ok()) << entries.status();
  ASSERT_EQ(entries->size(), 600u);
  for (uint64_t i = 0; i < 600; ++i) {
    const auto envelope = ParseEnvelope((*entries)[i]);
    ASSERT_TRUE(envelope.ok()) << envelope.status();
    EXPECT_EQ(envelope->seq, i);
    EXPECT_EQ(envelope->body_json, "{\"number\":" + std::to_string(i) + "}");
  }
  EXPECT_EQ(log->Read(598, 1000)->size(), 2u);
  EXPECT_EQ(log->Read(10, 3)->size(), 3u);
  EXPECT_TRUE(log->Read(600, 1)->empty());
}

TEST_F(LogWriterTest, GoesOnWhereItWasClosed) {
  for (uint64_t round = 0; round < 4; ++round) {
    auto log = MustOpen();
    ASSERT_TRUE(log);
    EXPECT_EQ(log->State().size, round * 200);
    EXPECT_EQ(log->State().checkpoint_size, round * 200);
    for (uint64_t i = 0; i < 200; ++i) EXPECT_EQ(*log->Append(NumberedEvent(i)), round * 200 + i);
  }
  const FolderReport report = VerifyFolder(directory_.path(), TestVerifier());
  EXPECT_TRUE(report.verified()) << ::testing::PrintToString(report.problems);
  EXPECT_EQ(report.entries, 800u);
}

TEST_F(LogWriterTest, ConcurrentAppendsGetDistinctIndicesWithoutGap) {
  auto log = MustOpen();
  std::vector<std::atomic<int>> seen(400);
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        const auto index = log->Append(NumberedEvent(1));
        ASSERT_TRUE(index.ok()) << index.status();
        seen.at(*index)++;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& count : seen) EXPECT_EQ(count, 1);
}

TEST_F(LogWriterTest, ProvesEveryEntryUnderTheLastCheckpoint) {
  auto log = MustOpen();
  for (uint64_t i = 0; i < 300; ++i) ASSERT_TRUE(log->Append(NumberedEvent(i)).ok());
  ASSERT_TRUE(log->WaitForCheckpoint(300, kPatience).ok());
  for (uint64_t i = 0; i < 300; ++i) {
    const auto receipt = log->Prove(i);
    ASSERT_TRUE(receipt.ok()) << receipt.status();
    const auto verified = VerifyReceipt(*receipt, std::nullopt, TestVerifier());
    ASSERT_TRUE(verified.ok()) << verified.status();
    EXPECT_EQ(ParseEnvelope(verified->entry)->seq, i);
  }
  EXPECT_EQ(log->Prove(300).status().code(), StatusCode::kNotFound);
}

TEST_F(LogWriterTest, AReceiptWaitsForTheNextCheckpoint) {
  LogWriterOptions options = TestOptions(directory_.path());
  options.checkpoint_interval = std::chrono::hours(1);  // The first comes at once, the second never.
  auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(NumberedEvent(0)).ok());
  ASSERT_TRUE(log->WaitForCheckpoint(1, kPatience).ok());
  ASSERT_TRUE(log->Append(NumberedEvent(1)).ok());
  EXPECT_EQ(log->Prove(1).status().code(), StatusCode::kUnavailable);
  EXPECT_EQ(log->WaitForCheckpoint(2, std::chrono::milliseconds(1)).code(), StatusCode::kDeadlineExceeded);
  EXPECT_EQ(log->WaitForCheckpoint(3, kPatience).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(log->Read(0, 10)->size(), 2u);  // Readable all the same.
}

TEST_F(LogWriterTest, ARecordTooLargeForOneEntryContinues) {
  auto log = MustOpen();
  Event large = NumberedEvent(0);
  std::string text;
  while (text.size() < 200'000) text += "quote \\\" and \xc3\xa9 ";
  large.body_json = "{\"text\":\"" + text + "\"}";
  ASSERT_EQ(*log->Append(NumberedEvent(0)), 0u);
  ASSERT_EQ(*log->Append(large), 1u);
  const auto entries = log->Read(1, 1000);
  ASSERT_TRUE(entries.ok());
  ASSERT_GT(entries->size(), 3u);
  EXPECT_EQ(*log->Append(NumberedEvent(0)), 1 + entries->size());
  std::string body;
  for (const std::string& entry : *entries) {
    EXPECT_LE(entry.size(), kEntryBytesMax);
    const auto envelope = ParseEnvelope(entry);
    ASSERT_TRUE(envelope.ok()) << envelope.status();
    ASSERT_TRUE(envelope->part);
    EXPECT_EQ(envelope->part->first, 1u);
    EXPECT_EQ(envelope->part->of, entries->size());
    body += envelope->part->body_text;
  }
  EXPECT_EQ(body, large.body_json);
  log->Close();
  EXPECT_TRUE(VerifyFolder(directory_.path(), TestVerifier()).verified());
}

TEST_F(LogWriterTest, RefusesARecordThatIsNotWellFormed) {
  auto log = MustOpen();
  Event event = NumberedEvent(0);
  event.body_json = "{\"score\":0.5}";
  EXPECT_EQ(log->Append(event).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(log->State().size, 0u);
}

TEST_F(LogWriterTest, OnlyOneWriterMayOpenADirectory) {
  auto log = MustOpen();
  EXPECT_EQ(OpenError().code(), StatusCode::kFailedPrecondition);
}

TEST_F(LogWriterTest, RefusesAfterClose) {
  auto log = MustOpen();
  log->Close();
  EXPECT_EQ(log->Append(NumberedEvent(0)).status().code(), StatusCode::kUnavailable);
}

TEST_F(LogWriterTest, RefusesATenantThatIsNoKeyName) {
  LogWriterOptions options = TestOptions(directory_.path());
  options.tenant = "two words";
  EXPECT_EQ(LogWriter::Open(options, signer_, clock_).status().code(), StatusCode::kInvalidArgument);
}

// Holds the committing thread inside a write until released.
class Gate {
 public:
  int Pass(DiskStep step) {
    std::unique_lock lock(mutex_);
    if (step != DiskStep::kJournalWrite) return 0;
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    return 0;
  }
  void AwaitArrival() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return arrived_ > 0; });
  }
  void Open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  int arrived() {
    std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0;
  bool open_ = false;
};

TEST_F(LogWriterTest, WhatArrivesDuringAWriteFormsOneBatchAndABoundedQueue) {
  Gate gate;
  LogWriterOptions options = TestOptions(directory_.path());
  options.queue_records_max = 3;
  options.fault = [&](DiskStep step) { return gate.Pass(step); };
  auto log = MustOpen(options);
  std::atomic<int> accepted{0}, exhausted{0};
  const auto append = [&] {
    const auto index = log->Append(NumberedEvent(0));
    if (index.ok()) ++accepted;
    if (index.status().code() == StatusCode::kResourceExhausted) ++exhausted;
  };
  std::thread first(append);
  gate.AwaitArrival();
  std::vector<std::thread> more;
  for (int i = 0; i < 5; ++i) more.emplace_back(append);
  while (exhausted < 2) std::this_thread::yield();  // Three wait, two are turned away.
  gate.Open();
  first.join();
  for (std::thread& thread : more) thread.join();
  EXPECT_EQ(accepted, 4);
  EXPECT_EQ(exhausted, 2);
  EXPECT_EQ(gate.arrived(), 2);  // Two writes for four records.
  EXPECT_EQ(log->State().size, 4u);
}

TEST_F(LogWriterTest, BytesThatNoCheckpointCoversAreBounded) {
  LogWriterOptions options = TestOptions(directory_.path());
  options.pending_bytes_max = 100'000;
  std::atomic<bool> tiles_full{true};
  options.fault = [&](DiskStep step) { return step == DiskStep::kTileWrite && tiles_full ? ENOSPC : 0; };
  auto log = MustOpen(options);
  Event large = NumberedEvent(0);
  large.name = "service.stopped";  // Accepted on a full disk, too.
  large.body_json = "{\"text\":\"" + std::string(30'000, 'x') + "\"}";
  ASSERT_TRUE(log->Append(large).ok());
  Status last = absl::OkStatus();
  for (int i = 0; i < 10 && last.ok(); ++i) last = log->Append(large).status();
  EXPECT_EQ(last.code(), StatusCode::kResourceExhausted);
  tiles_full = false;
  ASSERT_TRUE(log->WaitForCheckpoint(log->State().size, kPatience).ok());
  EXPECT_TRUE(log->Append(large).ok());
}

TEST_F(LogWriterTest, ARecordThatCouldNeverBePendingIsRefusedAsTooLarge) {
  LogWriterOptions options = TestOptions(directory_.path());
  options.pending_bytes_max = 10'000;
  auto log = MustOpen(options);
  Event event = NumberedEvent(0);
  event.sections.resize(1);
  event.sections[0].sealed = std::string(10'000, 's');
  EXPECT_EQ(log->Append(event).status().code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(log->Append(NumberedEvent(1)).ok());
}

TEST_F(LogWriterTest, AFailedSyncEndsTheWriterForGood) {
  std::atomic<bool> broken{false};
  std::atomic<int> told{0};
  LogWriterOptions options = TestOptions(directory_.path());
  options.fault = [&](DiskStep step) { return step == DiskStep::kJournalSync && broken ? EIO : 0; };
  options.on_failure = [&] { ++told; };
  auto log = MustOpen(options);
  ASSERT_TRUE(log->Append(NumberedEvent(0)).ok());
  broken = true;
  EXPECT_EQ(log->Append(NumberedEvent(1)).status().code(), StatusCode::kUnavailable);
  broken = false;
  EXPECT_EQ(log->Append(NumberedEvent(2)).status().code(), StatusCode::kUnavailable);
  EXPECT_TRUE(log->failed());
  log->Close();
  EXPECT_EQ(told, 1);
  log.reset();
  auto again = MustOpen();  // What was acknowledged is there; the outcome of the other one is open.
  ASSERT_TRUE(again);
  EXPECT_GE(again->State().size, 1u);
  EXPECT_LE(again->State().size, 2u);
}

TEST_F(LogWriterTest, AFailedTileWriteEndsTheWriterAndLosesNothing) {
  std::atomic<bool> broken{false};
  std::atomic<int> told{0};
  LogWriterOptions options = TestOptions(directory_.path());
  options.fault = [&](DiskStep step) { return step == DiskStep::kTileWrite && broken ? EIO : 0; };
  options.on_failure = [&] { ++told; };
  auto log = MustOpen(options);
  broken = true;
  ASSERT_TRUE(log->Append(NumberedEvent(0)).ok());
  EXPECT_EQ(log->WaitForCheckpoint(1, kPatience).code(), StatusCode::kUnavailable);
  EXPECT_EQ(log->Append(NumberedEvent(1)).status().code(), StatusCode::kUnavailable);
  log.reset();
  EXPECT_EQ(told, 1);
  EXPECT_EQ(MustOpen()->State().checkpoint_size, 1u);
}

TEST_F(LogWriterTest, OnAFullDiskOnlyEmergenciesAreRecorded) {
  std::atomic<bool> full{false};
  LogWriterOptions options = TestOptions(directory_.path());
  const fs::path reserve = directory_.path() / "reserve";
  options.fault = [&](DiskStep step) {
    // Space comes back when the reserve is given up.
    return step == DiskStep::kJournalWrite && full && fs::exists(reserve) ? ENOSPC : 0;
  };
  auto log = MustOpen(options);
  EXPECT_EQ(fs::file_size(reserve), 4096u);
  ASSERT_TRUE(log->Append(NumberedEvent(0)).ok());
  full = true;
  const Status refused = log->Append(NumberedEvent(1)).status();
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_THAT(MessageOf(refused), HasSubstr("free space"));
  EXPECT_TRUE(log->State().disk_full);
  Event emergency = NumberedEvent(2);
  emergency.name = "breakglass.opened";
  EXPECT_EQ(*log->Append(emergency), 1u);
  EXPECT_EQ(log->Read(0, 10)->size(), 2u);
  full = false;
  // The reserve is taken back before anything else is accepted; it is tried once a second.
  while (!log->Append(NumberedEvent(3)).ok()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(fs::file_size(reserve), 4096u);
  EXPECT_FALSE(log->State().disk_full);
  EXPECT_FALSE(log->failed());
}

TEST_F(LogWriterTest, HandsSectionsOverBeforeACheckpointCoversThem) {
  LogWriterOptions options = TestOptions(directory_.path());
  std::mutex mutex;
  std::vector<std::string> got;
  std::atomic<int> refuse{2};
  options.section_sink = [&](const std::vector<const SealedSection*>& sections) -> Status {
    if (refuse-- > 0) return ResourceExhausted("not yet");
    std::lock_guard lock(mutex);
    for (const SealedSection* section : sections) got.push_back(section->sealed + "/" + section->key_record);
    return absl::OkStatus();
  };
  auto log = MustOpen(options);
  Event event = NumberedEvent(0);
  event.sections.push_back(SealedSection{*SectionId::FromHex(std::string(32, 'a')),
                                         SectionCommitment(std::string(32, 's'), "sealed"), "sealed", "key"});
  ASSERT_TRUE(log->Append(event).ok());
  ASSERT_TRUE(log->WaitForCheckpoint(1, kPatience).ok());
  std::lock_guard lock(mutex);
  EXPECT_THAT(got, ::testing::ElementsAre("sealed/key"));
  const auto envelope = ParseEnvelope(log->Read(0, 1)->front());
  ASSERT_EQ(envelope->sections.size(), 1u);
  EXPECT_EQ(envelope->sections[0].id.hex(), std::string(32, 'a'));
  EXPECT_EQ(envelope->sections[0].commitment, SectionCommitment(std::string(32, 's'), "sealed"));
}

TEST_F(LogWriterTest, ExchangesAJournalThatHasGrownAndDropsTheOldOne) {
  LogWriterOptions options = TestOptions(directory_.path());
  options.journal_rotate_bytes = 2000;
  auto log = MustOpen(options);
  for (uint64_t i = 0; i < 100; ++i) ASSERT_TRUE(log->Append(NumberedEvent(i)).ok());
  ASSERT_TRUE(log->WaitForCheckpoint(100, kPatience).ok());
  log->Close();
  size_t bytes = 0;
  for (const auto& entry : fs::directory_iterator(directory_.path())) {
    if (entry.path().filename().string().rfind("journal.", 0) == 0) bytes += fs::file_size(entry.path());
  }
  EXPECT_LT(bytes, 6000u);
  log.reset();
  EXPECT_EQ(MustOpen()->State().size, 100u);
}

TEST_F(LogWriterTest, AnExportVerifiesAndCarriesItsKey) {
  auto log = MustOpen();
  for (uint64_t i = 0; i < 520; ++i) ASSERT_TRUE(log->Append(NumberedEvent(i)).ok());
  ASSERT_TRUE(log->WaitForCheckpoint(520, kPatience).ok());
  TemporaryDirectory out;
  ASSERT_TRUE(ExportTo(*log, out.path()).ok());
  const FolderReport report = VerifyFolder(out.path(), TestVerifier());
  EXPECT_TRUE(report.verified()) << ::testing::PrintToString(report.problems);
  EXPECT_EQ(report.entries, 520u);
  EXPECT_EQ(*ReadFile(out.path() / kVerifierKeyFile, 1000), signer_.verifier_key() + "\n");
  EXPECT_EQ(
      log->Export([](const std::string&, uint64_t, std::string_view) { return NotFound("stop"); }).code(),
      StatusCode::kNotFound);
}

TEST_F(LogWriterTest, NoFileOfTheLogIsReadableByOthers) {
  {
    auto log = MustOpen();
    for (uint64_t i = 0; i < 300; ++i) ASSERT_TRUE(log->Append(NumberedEvent(i)).ok());
  }
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path())) {
    struct stat info {};
    ASSERT_EQ(::stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 077, 0u) << entry.path();
  }
}

// Recovery. Damaged() makes a log of 300 records of which the last 5 are in the journal only.
class LogRecoveryTest : public LogWriterTest {
 protected:
  void SetUp() override {
    // The state on disk as a kill leaves it: checkpoint of 295 and a journal with 5 more.
    {
      auto log = MustOpen();
      for (uint64_t i = 0; i < 295; ++i) ASSERT_TRUE(log->Append(NumberedEvent(i)).ok());
    }
    const std::string nonce(kJournalNonceBytes, 'n');
    std::string file = EncodeJournalHeader(295, nonce);
    ends_.push_back(file.size());
    for (uint64_t i = 295; i < 300; ++i) {
      JournalRecord record;
      record.first_index = i;
      record.entries =
          PreparedRecord::New(NumberedEvent(i), "main")->Entries(i, Stamp{{}, {}, std::string(32, '0')});
      file += EncodeFrame(record, i - 294, i, nonce);
      ends_.push_back(file.size());
    }
    fs::remove(Journal());
    path_ = directory_.path() / "journal.00000000000000000295";
    Overwrite(path_, file);
    file_ = file;
  }
  fs::path path_;
  std::string file_;
  std::vector<size_t> ends_;  // Where the file's head and each of the frames end.
};

TEST_F(LogRecoveryTest, ReplaysTheJournal) {
  auto log = MustOpen();
  EXPECT_EQ(log->State().size, 300u);
  EXPECT_EQ(log->State().checkpoint_size, 300u);
  EXPECT_EQ(log->State().torn_bytes, 0u);
  EXPECT_EQ(*log->Append(NumberedEvent(300)), 300u);
}

// JournalTest cuts at every length; here a few suffice to see that the writer opens with what is left.
TEST_F(LogRecoveryTest, AJournalCutShortKeepsTheWholeFrames) {
  TemporaryDirectory pristine;
  fs::copy(directory_.path(), pristine.path() / "log", fs::copy_options::recursive);
  for (const size_t length : {ends_[0], ends_[0] + 1, ends_[1] - 1, ends_[1], ends_[3] + 100, ends_[5] - 1}) {
    fs::remove_all(directory_.path());
    fs::copy(pristine.path() / "log", directory_.path(), fs::copy_options::recursive);
    fs::resize_file(path_, length);
    size_t whole = 0;
    while (whole + 1 < ends_.size() && ends_[whole + 1] <= length) ++whole;
    auto log = MustOpen();
    ASSERT_TRUE(log) << length;
    EXPECT_EQ(log->State().size, 295 + whole) << length;
    EXPECT_EQ(log->State().torn_bytes, length - ends_[whole]);
  }
}

TEST_F(LogRecoveryTest, AJournalWithAHeadCutShortIsDamage) {
  fs::resize_file(path_, 30);
  EXPECT_EQ(OpenError().code(), StatusCode::kDataLoss);
}

TEST_F(LogRecoveryTest, AMissingPartIsDamageAndNothingIsChanged) {
  for (const std::string name : {"checkpoint", "journal.00000000000000000295", "tile/0/001.p/39",
                                 "tile/1/000.p/1", "tile/entries/001.p/39"}) {
    const fs::path path = directory_.path() / name;
    const std::string bytes = *ReadFile(path, 1 << 24);
    fs::remove(path);
    const Status status = OpenError();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << name;
    EXPECT_THAT(MessageOf(status), HasSubstr("restore"));
    Overwrite(path, bytes);
  }
  EXPECT_EQ(MustOpen()->State().size, 300u);
}

TEST_F(LogRecoveryTest, AnAlteredRightEdgeIsDamage) {
  for (const std::string name :
       {"checkpoint", "tile/0/001.p/39", "tile/1/000.p/1", "tile/entries/001.p/39"}) {
    const fs::path path = directory_.path() / name;
    const std::string bytes = *ReadFile(path, 1 << 24);
    std::string altered = bytes;
    altered[altered.size() / 2] = static_cast<char>(altered[altered.size() / 2] ^ 1);
    Overwrite(path, altered);
    EXPECT_EQ(OpenError().code(), StatusCode::kDataLoss) << name;
    Overwrite(path, bytes);
  }
}

// Full bundles are not read at opening; they are checked when they are shown.
TEST_F(LogRecoveryTest, AnAlteredEntryInAFullBundleOrTileIsNotShown) {
  auto log = MustOpen();
  const std::string first = log->Read(0, 1)->front();
  for (const std::string name : {"tile/entries/000", "tile/0/000"}) {
    const fs::path path = directory_.path() / name;
    const std::string bytes = *ReadFile(path, 1 << 24);
    std::string altered = bytes;
    altered[10] = static_cast<char>(altered[10] ^ 1);
    Overwrite(path, altered);
    const Status status = log->Read(0, 1).status();
    EXPECT_EQ(status.code(), StatusCode::kDataLoss) << name;
    EXPECT_THAT(MessageOf(status), HasSubstr("entry 0 ")) << name;
    EXPECT_EQ(log->Read(1, 400)->size(), 299u) << name;  // The others are what they were.
    Overwrite(path, bytes);
  }
  EXPECT_EQ(log->Read(0, 1)->front(), first);
}

TEST_F(LogRecoveryTest, ALogOfAnotherKeyOrOriginIsRefused) {
  const NoteSigner other = TestSigner("test/main/2");
  EXPECT_EQ(LogWriter::Open(TestOptions(directory_.path()), other, clock_).status().code(),
            StatusCode::kDataLoss);
}

TEST_F(LogRecoveryTest, AJournalOfALaterVersionIsNamed) {
  std::string later = file_;
  later[4] = 9;
  Overwrite(path_, later);
  const Status status = OpenError();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_THAT(MessageOf(status), HasSubstr("format 9"));
}

TEST_F(LogRecoveryTest, AGapBetweenCheckpointAndJournalIsDamage) {
  std::string late = EncodeJournalHeader(301, std::string(kJournalNonceBytes, 'n'));
  fs::remove(path_);
  Overwrite(directory_.path() / "journal.00000000000000000301", late);
  EXPECT_EQ(OpenError().code(), StatusCode::kDataLoss);
}

TEST_F(LogRecoveryTest, TwoJournalsOfACrashBetweenMakingAndDroppingAreOne) {
  // The old one even has a torn tail: recovery had already left it behind when the new one was made.
  Overwrite(path_, file_ + "CLJF torn");
  Overwrite(directory_.path() / "journal.00000000000000000300",
            EncodeJournalHeader(300, std::string(kJournalNonceBytes, 'm')));
  EXPECT_EQ(MustOpen()->State().size, 300u);
}

}  // namespace
}  // namespace cloister::audit
