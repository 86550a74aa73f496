// SPDX-License-Identifier: Apache-2.0
// The page that a test shares with every process under fault_io.so: what to break, what was broken, and where
// recorded calls go. tests/fault/fault_io_page.py writes the same layout; both sides check the magic.
// Little-endian, 64-bit.
#pragma once

#include <atomic>
#include <cstdint>

namespace cloister::fault_io {

constexpr uint64_t kMagic = 0x324F495F544C5546;  // "FULT_IO2"
constexpr uint64_t kKinds = 8;

enum Kind : uint64_t {
  kNone = 0,
  kNoSpace = 1,     // Writes and new files fail with ENOSPC, some after half of the bytes.
  kWriteError = 2,  // Writes fail with EIO and change nothing.
  kSyncError = 3,   // fsync and fdatasync fail with EIO; the bytes may or may not be there later.
  kTornError = 4,   // A part of the bytes is written, then EIO.
  kTornKill = 5,    // A part of the bytes is written, then the process gets SIGKILL.
  kSyncKill = 6,    // SIGKILL in place of an fsync.
  kReadError = 7,   // Reads fail with EIO.
};

// What a recorded call was. `first` and `second` of a record are paths; the rest is named there.
enum Operation : uint32_t {
  kCreate = 1,           // first, inode
  kWrite = 2,            // first (for people), inode, offset, data
  kTruncate = 3,         // first, inode, offset: the new size
  kSync = 4,             // first, inode; started: the sequence when the call began
  kRename = 5,           // first to second
  kUnlink = 6,           // first
  kLink = 7,             // first is also called second
  kMakeDirectory = 8,    // first, inode
  kRemoveDirectory = 9,  // first
  kUnmodelled = 10,      // first: a call whose effect is not recorded; a trace with one is not usable
};

struct ControlPage {
  uint64_t magic;
  std::atomic<uint64_t>
      sequence;  // Of recorded calls, over all processes. A client reads it to stamp what it was told.
  std::atomic<uint64_t> recording;
  std::atomic<uint64_t> kind;  // Set last when arming: what stands below is then read by every process.
  std::atomic<uint64_t> skip;
  std::atomic<uint64_t> limit;
  std::atomic<uint64_t> matched;
  std::atomic<uint64_t> injected[kKinds];
  std::atomic<uint64_t> calls;  // Seen below `root`, broken or not.
  std::atomic<uint64_t> lock;   // Process id of who records, or 0.
  char root[512];               // Calls on other paths are let through. No slash at the end.
  char filter[512];             // Only paths that contain it are broken; empty for all.
  char role[64];                // Only the process with this FAULT_IO_ROLE is broken; empty for all.
  char trace[512];              // Recorded calls are appended here.
};

// One recorded call, followed by both paths and the data.
struct RecordHead {
  uint64_t magic;
  uint64_t sequence;
  uint64_t started;
  uint64_t inode;
  uint64_t offset;
  uint64_t data_bytes;
  uint32_t operation;
  uint32_t process;
  uint32_t first_bytes;
  uint32_t second_bytes;
};

}  // namespace cloister::fault_io
