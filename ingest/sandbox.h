// SPDX-License-Identifier: Apache-2.0
// What the parse process does to itself before it reads a hostile byte. Does not parse and does not start processes;
// see sandboxed_parser.h. Call once, in a process with a single thread.
#pragma once

#include <cstdint>

#include "common/status.h"

namespace cloister::ingest {

struct SandboxLimits {
  uint64_t memory_bytes_max = 512ull * 1024 * 1024;  // Address space.
  uint32_t cpu_seconds_max = 10;
};

// What was applied beyond what is required.
struct SandboxReport {
  bool namespaces = false;   // Own empty network, mount and IPC namespaces.
  int landlock_abi = 0;      // 0: the kernel has none.
  bool memory_limit = false; // False only in builds with the address sanitizer, which needs the address space.
};

// Exit statuses of a process in the sandbox. Others than these and 0 are crashes.
constexpr int kExitUsage = 64;
constexpr int kExitSandbox = 70;   // A required control could not be applied.
constexpr int kExitMemory = 71;    // An allocation failed under the limit.
constexpr int kExitOutput = 74;    // Standard output could not be written.

// Required, or an error: limits on memory, processor time, files, descriptors and processes; no core dump; no new
// privileges; a system call filter that kills on anything but computing, reading standard input and writing standard
// output and error. Opening files fails without killing, because libraries try. Where the kernel permits: own
// namespaces and Landlock without any path or port. Standard error becomes /dev/null; other descriptors than 0, 1 and
// 2 are closed. A failed allocation ends the process with kExitMemory.
// Errors: kFailedPrecondition (names the control).
StatusOr<SandboxReport> EnterSandbox(const SandboxLimits& limits);

}  // namespace cloister::ingest
