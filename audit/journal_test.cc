// SPDX-License-Identifier: Apache-2.0
#include "audit/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace cloister::audit {
namespace {

using ::testing::HasSubstr;

constexpr uint64_t kFirst = 40;

// Two batches: records of 1, 2 entries, then one with sections.
class JournalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    JournalRecord one{kFirst, {"entry forty"}, {}};
    JournalRecord two{kFirst + 1, {"entry 41", "entry 42"}, {}};
    JournalRecord three{kFirst + 3, {"entry 43"}, {}};
    three.sections.push_back(
        SealedSection{*SectionId::FromHex(std::string(32, 'a')), {}, "sealed", "key record"});
    file_ = EncodeJournalHeader(kFirst, nonce_);
    Add(EncodeFrame(one, 1, kFirst + 1, nonce_));
    Add(EncodeFrame(two, 1, kFirst + 1, nonce_));
    Add(EncodeFrame(three, 2, kFirst + 3, nonce_));
  }
  void Add(const std::string& frame) {
    begins_.push_back(file_.size());
    file_ += frame;
  }
  static Status ErrorOf(std::string_view file) { return DecodeJournal(file).status(); }

  const std::string nonce_ = std::string(kJournalNonceBytes, '\x5a');
  std::string file_;
  std::vector<size_t> begins_;  // Of the frames.
};

TEST_F(JournalTest, ReadsBackWhatWasWritten) {
  const auto contents = DecodeJournal(file_);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->first_index, kFirst);
  EXPECT_EQ(contents->torn_bytes, 0u);
  ASSERT_EQ(contents->records.size(), 3u);
  EXPECT_EQ(contents->records[1].first_index, kFirst + 1);
  EXPECT_EQ(contents->records[1].entries, (std::vector<std::string>{"entry 41", "entry 42"}));
  ASSERT_EQ(contents->records[2].sections.size(), 1u);
  EXPECT_EQ(contents->records[2].sections[0].id.hex(), std::string(32, 'a'));
  EXPECT_EQ(contents->records[2].sections[0].sealed, "sealed");
  EXPECT_EQ(contents->records[2].sections[0].key_record, "key record");
}

TEST_F(JournalTest, CutAtAnyLengthItKeepsTheWholeFrames) {
  for (size_t length = kJournalHeaderBytes; length <= file_.size(); ++length) {
    size_t whole = 0, end = kJournalHeaderBytes;
    for (size_t i = 0; i < begins_.size(); ++i) {
      const size_t frame_end = i + 1 < begins_.size() ? begins_[i + 1] : file_.size();
      if (frame_end <= length) whole = i + 1, end = frame_end;
    }
    const auto contents = DecodeJournal(std::string_view(file_).substr(0, length));
    ASSERT_TRUE(contents.ok()) << length << " " << contents.status();
    EXPECT_EQ(contents->records.size(), whole) << length;
    EXPECT_EQ(contents->torn_bytes, length - end) << length;
  }
}

TEST_F(JournalTest, AHeadCutShortIsDamage) {
  for (size_t length = 0; length < kJournalHeaderBytes; ++length) {
    EXPECT_EQ(ErrorOf(std::string_view(file_).substr(0, length)).code(),
              length == 4 ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss)
        << length;
  }
}

TEST_F(JournalTest, EveryFlippedBitIsDamage) {
  for (size_t bit = 0; bit < file_.size() * 8; ++bit) {
    std::string altered = file_;
    altered[bit / 8] = static_cast<char>(altered[bit / 8] ^ (1 << bit % 8));
    const StatusCode code = ErrorOf(altered).code();
    // The format number is read before anything can be checked against it.
    const bool format = bit / 8 == 4;
    EXPECT_EQ(code, format ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss) << bit;
  }
}

TEST_F(JournalTest, ALaterFormatIsNamed) {
  file_[4] = 7;
  EXPECT_THAT(MessageOf(ErrorOf(file_)), HasSubstr("format 7"));
}

// A power cut can leave a hole of sectors that were never written in the last batch.
TEST_F(JournalTest, AHoleInTheLastBatchIsTorn) {
  std::string large = file_;
  JournalRecord record{kFirst + 4, {std::string(3000, 'x')}, {}};
  JournalRecord after{kFirst + 5, {"entry 45"}, {}};
  large += EncodeFrame(record, 3, kFirst + 5, nonce_) + EncodeFrame(after, 3, kFirst + 5, nonce_);
  large.replace(1024, 512, std::string(512, '\0'));
  const auto contents = DecodeJournal(large);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->records.size(), 3u);
  EXPECT_EQ(contents->torn_bytes, large.size() - file_.size());
}

// The same hole with a later batch behind it cannot be: that batch was only written once this one was synced.
TEST_F(JournalTest, AHoleBeforeALaterBatchIsDamage) {
  std::string large = file_;
  JournalRecord record{kFirst + 4, {std::string(3000, 'x')}, {}};
  JournalRecord after{kFirst + 5, {"entry 45"}, {}};
  large += EncodeFrame(record, 3, kFirst + 4, nonce_) + EncodeFrame(after, 4, kFirst + 5, nonce_);
  large.replace(1024, 512, std::string(512, '\0'));
  EXPECT_EQ(ErrorOf(large).code(), StatusCode::kDataLoss);
}

TEST_F(JournalTest, ZerosAtTheEndAreTorn) {
  const auto contents = DecodeJournal(file_ + std::string(4096, '\0'));
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_EQ(contents->records.size(), 3u);
  EXPECT_EQ(contents->torn_bytes, 4096u);
}

TEST_F(JournalTest, FramesOutOfOrderOrFromAnotherFileAreDamage) {
  const std::string head = file_.substr(0, kJournalHeaderBytes);
  const std::string first = file_.substr(begins_[0], begins_[1] - begins_[0]);
  const std::string second = file_.substr(begins_[1], begins_[2] - begins_[1]);
  const std::string third = file_.substr(begins_[2]);
  EXPECT_EQ(ErrorOf(head + second + first + third).code(), StatusCode::kDataLoss);
  EXPECT_EQ(ErrorOf(head + first + third).code(), StatusCode::kDataLoss);
  EXPECT_EQ(ErrorOf(head + first + first).code(), StatusCode::kDataLoss);
  const std::string other_head = EncodeJournalHeader(kFirst, std::string(kJournalNonceBytes, 'o'));
  EXPECT_EQ(ErrorOf(other_head + first + second).code(), StatusCode::kDataLoss);
}

TEST_F(JournalTest, AFrameWithoutEntriesIsDamage) {
  EXPECT_EQ(ErrorOf(file_ + EncodeFrame(JournalRecord{kFirst + 4, {}, {}}, 3, kFirst + 4, nonce_)).code(),
            StatusCode::kDataLoss);
}

}  // namespace
}  // namespace cloister::audit
