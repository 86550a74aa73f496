// SPDX-License-Identifier: Apache-2.0
// Damages, cuts, exchanges and puts back the files of a database, and looks whether it ever serves a wrong,
// an invented or a missing row. Rows are raw, so that what is measured is encryption, RocksDB's checksums and
// the sequence check without the sealed records above them. Prints what it counted.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "common/file.h"
#include "storage/file_cipher.h"
#include "storage/memory_key_source.h"
#include "storage/rocksdb_store.h"
#include "storage/temporary_directory.h"

namespace cloister::storage {
namespace {

constexpr size_t kFileBytesMax = 16 * 1024 * 1024;
constexpr size_t kMeaningBytes = 88;  // Of a prefix; zeros follow.

using Files = std::map<std::string, std::string>;                         // Of RocksDB's folder, by name.
using Rows = std::map<std::pair<std::string, std::string>, std::string>;  // By column family and row key.

struct State {
  Files files;
  std::string acknowledged;
  std::string manifest;  // The seal.
};

struct Counts {
  int cases = 0, refused = 0, lost_reads = 0, harmless = 0;
  void Print(const std::string& what) const {
    std::printf("  %-44s %5d cases: %5d refused at open, %4d found on reading, %4d harmless\n", what.c_str(),
                cases, refused, lost_reads, harmless);
  }
};

class EncryptedIntegrityTest : public testing::Test {
 protected:
  // Thousands of databases are opened; where there is a file system in memory, their fsyncs cost nothing.
  static void SetUpTestSuite() {
    if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 1);
  }
  // A database of several generations; `states_` holds its files after each step, the last of them at rest.
  void SetUp() override {
    auto store = Open();
    ASSERT_TRUE(store.ok()) << store.status();
    const auto put = [&](const std::string& family, const std::string& key, const std::string& value) {
      WriteBatch batch;
      batch.Put(family, key, value);
      ASSERT_TRUE((*store)->Write(batch).ok());
      rows_[{family, key}] = value;
    };
    const auto step = [&] { states_.push_back(Read()); };
    for (int generation = 0; generation < 3; ++generation) {
      for (int row = 0; row < 6; ++row) {
        const std::string number = std::to_string(row),
                          value = "value " + std::to_string(generation) + "." + number;
        // Some rows are written in each generation and some in one alone.
        put("a", row % 2 == 0 ? "row " + number : "row " + number + "/" + std::to_string(generation), value);
        if (row % 3 == 0) put("b", "other " + number, value + " of b");
      }
      step();
      if (generation == 2) break;
      ASSERT_TRUE((*store)->Flush().ok());
      step();
    }
    store->reset();
    step();
  }

  StatusOr<std::unique_ptr<RocksDbStore>> Open() {
    return RocksDbStore::Open({.directory = directory_, .column_families = {"a", "b"}, .keys = &keys_});
  }
  State Read() const {
    State state;
    for (const auto& entry : std::filesystem::directory_iterator(directory_ / "rocksdb")) {
      state.files[entry.path().filename().string()] = *ReadFile(entry.path(), kFileBytesMax);
    }
    state.acknowledged = *ReadFile(directory_ / "acknowledged", kFileBytesMax);
    state.manifest = *ReadFile(directory_ / "manifest", kFileBytesMax);
    return state;
  }
  void Write(const State& state) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_ / "rocksdb");
    for (const auto& [name, bytes] : state.files) {
      std::ofstream(directory_ / "rocksdb" / name, std::ios::binary) << bytes;
    }
    std::ofstream(directory_ / "acknowledged", std::ios::binary) << state.acknowledged;
    std::ofstream(directory_ / "manifest", std::ios::binary) << state.manifest;
  }

  // Opens the database that `files` make, with what was acknowledged last, and reads all of it.
  void Judge(const Files& files, Counts& counts, bool format_byte = false) {
    Write({files, states_.back().acknowledged, states_.back().manifest});
    ++counts.cases;
    auto store = Open();
    if (!store.ok()) {
      ++counts.refused;
      EXPECT_EQ(store.status().code(), format_byte ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss)
          << store.status();
      return;
    }
    bool lost = false;
    for (const auto& [place, expected] : rows_) {
      const auto value = (*store)->Get(place.first, place.second);
      if (value.ok()) {
        EXPECT_EQ(*value, expected);
      } else {
        EXPECT_EQ(value.status().code(), StatusCode::kDataLoss) << place.first << " " << place.second;
        lost = true;
      }
    }
    Rows seen;
    for (const std::string family : {"a", "b"}) {
      const Status scanned = (*store)->GetSnapshot()->Scan(family, "", [&](auto key, auto value) {
        seen[{family, std::string(key)}] = value;
        return true;
      });
      if (!scanned.ok()) {
        EXPECT_EQ(scanned.code(), StatusCode::kDataLoss);
        lost = true;
      }
    }
    for (const auto& [place, value] : seen) {
      const auto expected = rows_.find(place);
      EXPECT_TRUE(expected != rows_.end() && expected->second == value) << "invented " << place.second;
    }
    EXPECT_TRUE(lost || seen.size() == rows_.size());
    ++(lost ? counts.lost_reads : counts.harmless);
  }

  // Names of the last state's files that begin and end so.
  std::vector<std::string> Names(std::string_view begin, std::string_view end) const {
    std::vector<std::string> out;
    for (const auto& [name, bytes] : states_.back().files) {
      if (name.starts_with(begin) && name.ends_with(end) && !bytes.empty()) out.push_back(name);
    }
    return out;
  }

  MemoryKeySource keys_{"seed"};
  TemporaryDirectory temporary_;
  const std::filesystem::path directory_ = temporary_.path() / "db";
  Rows rows_;
  std::vector<State> states_;
};

TEST_F(EncryptedIntegrityTest, TheUntouchedDatabaseIsWhole) {
  Counts counts;
  Judge(states_.back().files, counts);
  EXPECT_EQ(counts.harmless, 1);
}

TEST_F(EncryptedIntegrityTest, AFlippedByteIsFoundOrHarmless) {
  const auto flip = [&](const std::string& name, size_t stride, Counts& counts) {
    const std::string& good = states_.back().files.at(name);
    // Of the prefix's zeros, which are one check, some.
    for (size_t at = 0; at < good.size(); at += at < kMeaningBytes      ? 1
                                                : at < kFilePrefixBytes ? 211
                                                                        : stride) {
      SCOPED_TRACE(name + " byte " + std::to_string(at) + " of " + std::to_string(good.size()));
      Files files = states_.back().files;
      char& byte = files.at(name)[at];
      byte = static_cast<char>(byte ^ (1 << (at * 7 + at / 8) % 8));
      Judge(files, counts, at >= 4 && at < 8);
      if (HasFailure()) return;
    }
  };
  for (const auto& [what, begin, end, stride] :
       {std::tuple("flips in CURRENT", "CURRENT", "", 1),
        std::tuple("flips in the manifest", "MANIFEST-", "", 1), std::tuple("flips in logs", "", ".log", 1),
        std::tuple("flips in tables, every third byte", "", ".sst", 3)}) {
    Counts counts;
    const auto names = Names(begin, end);
    ASSERT_FALSE(names.empty()) << what;
    for (const std::string& name : names) flip(name, static_cast<size_t>(stride), counts);
    counts.Print(what);
    EXPECT_GT(counts.refused + counts.lost_reads, counts.cases / 2);
  }
  // Not read to open a database; RocksDB makes them anew.
  Counts counts;
  for (const char* begin : {"OPTIONS-", "IDENTITY"}) {
    const std::string name = Names(begin, "").front();
    Files files = states_.back().files;
    files.at(name)[kFilePrefixBytes + 3] ^= 1;
    Judge(files, counts);
  }
  EXPECT_EQ(counts.harmless, 2);
}

TEST_F(EncryptedIntegrityTest, AFileCutAnywhereIsFound) {
  for (const auto& [what, begin, end] : {std::tuple("logs cut at every length", "", ".log"),
                                         std::tuple("manifest cut at every length", "MANIFEST-", ""),
                                         std::tuple("tables cut at every seventh length", "", ".sst"),
                                         std::tuple("CURRENT cut at every length", "CURRENT", "")}) {
    Counts counts;
    for (const std::string& name : Names(begin, end)) {
      const std::string& good = states_.back().files.at(name);
      const size_t step = name.ends_with(".sst") ? 7 : 1;
      for (size_t size = 0; size<good.size(); size += size> 1 && size < kFilePrefixBytes - 1 ? 455 : step) {
        SCOPED_TRACE(name + " cut to " + std::to_string(size) + " of " + std::to_string(good.size()));
        Files files = states_.back().files;
        files.at(name).resize(size);
        Judge(files, counts);
        if (HasFailure()) return;
      }
    }
    counts.Print(what);
    EXPECT_GT(counts.cases, 0);
    EXPECT_EQ(counts.harmless, 0) << what;
  }
}

TEST_F(EncryptedIntegrityTest, TheManifestSealIsNeededAndWhole) {
  const State good = states_.back();
  for (size_t bit = 0; bit < good.manifest.size() * 8; ++bit) {
    State state = good;
    state.manifest[bit / 8] = static_cast<char>(state.manifest[bit / 8] ^ (1 << bit % 8));
    // A lower number is what a crash leaves, and goes on without the check.
    const bool lower =
        bit / 8 >= 24 && bit / 8 < 32 && (state.manifest[bit / 8] & 0xff) < (good.manifest[bit / 8] & 0xff);
    if (lower) continue;
    Write(state);
    EXPECT_EQ(Open().status().code(), bit / 8 == 4 ? StatusCode::kFailedPrecondition : StatusCode::kDataLoss)
        << bit;
  }
  State state = good;
  for (size_t size = 0; size < good.manifest.size(); ++size) {
    state.manifest.resize(good.manifest.size() - size - 1);
    Write(state);
    EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss) << size;
  }
  Write(good);
  std::filesystem::remove(directory_ / "manifest");
  EXPECT_EQ(Open().status().code(), StatusCode::kDataLoss);
  // What the message says to do helps.
  std::filesystem::remove(directory_ / "acknowledged");
  EXPECT_TRUE(Open().ok());
  EXPECT_TRUE(Open().ok());
}

// As a crash leaves it between an fsync of the manifest and the seal, and between a new CURRENT and the seal.
TEST_F(EncryptedIntegrityTest, AManifestAheadOfItsSealOpens) {
  Write({states_.back().files, states_.back().acknowledged, states_.front().manifest});
  EXPECT_TRUE(Open().ok());
  const std::string before = states_.back().manifest;
  const State reopened = Read();
  EXPECT_NE(reopened.manifest, before);
  Write({reopened.files, reopened.acknowledged, before});
  EXPECT_TRUE(Open().ok());
}

TEST_F(EncryptedIntegrityTest, FilesExchangedOrMissingAreFound) {
  Counts swapped, missing;
  const Files& good = states_.back().files;
  const auto needed = [](const std::string& name) {
    return name != "LOCK" && name != "IDENTITY" && !name.starts_with("OPTIONS");
  };
  for (auto one = good.begin(); one != good.end(); ++one) {
    for (auto two = std::next(one); two != good.end(); ++two) {
      if (!needed(one->first) && !needed(two->first)) continue;
      SCOPED_TRACE(one->first + " and " + two->first);
      Files files = good;
      std::swap(files.at(one->first), files.at(two->first));
      Judge(files, swapped);
    }
    if (!needed(one->first)) continue;
    SCOPED_TRACE(one->first + " missing");
    Files files = good;
    files.erase(one->first);
    Judge(files, missing);
  }
  swapped.Print("two files exchanged");
  missing.Print("one file missing");
  EXPECT_EQ(swapped.harmless, 0);
  EXPECT_EQ(missing.harmless, 0);
}

TEST_F(EncryptedIntegrityTest, OlderCopiesOfFilesAreFoundOrHarmless) {
  Counts single, all;
  const Files& good = states_.back().files;
  for (size_t step = 0; step + 1 < states_.size(); ++step) {
    for (const auto& [name, bytes] : states_[step].files) {
      SCOPED_TRACE(name + " of step " + std::to_string(step));
      Files files = good;
      files[name] = bytes;
      Judge(files, single);
    }
    SCOPED_TRACE("all of step " + std::to_string(step));
    Counts counts;
    Judge(states_[step].files, counts);
    // The step before the last differs from it in nothing: closing writes no row.
    EXPECT_TRUE(counts.refused == 1 || step + 2 == states_.size());
    all.cases += counts.cases, all.refused += counts.refused, all.harmless += counts.harmless;
  }
  single.Print("one file put back");
  all.Print("all files put back");
  // Any mixture of steps.
  std::mt19937_64 random(20261122);
  Counts mixed;
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE("mixture " + std::to_string(round));
    Files files;
    for (const State& state : states_) {
      for (const auto& [name, bytes] : state.files) {
        if (random() % 3 != 0) files[name] = bytes;
      }
    }
    if (round % 2 == 0) files["CURRENT"] = good.at("CURRENT");
    Judge(files, mixed);
    if (HasFailure()) break;
  }
  mixed.Print("mixtures of older and newer files");
  EXPECT_GT(mixed.refused, 0);
}

}  // namespace
}  // namespace cloister::storage
