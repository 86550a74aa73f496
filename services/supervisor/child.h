// SPDX-License-Identifier: Apache-2.0
// One child process: started with the descriptors it needs and no others, in its own process group, and
// killed by the kernel when the thread that started it ends.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/file.h"
#include "common/status.h"

namespace cloister::services {

struct ChildOptions {
  std::filesystem::path program;
  std::vector<std::string> arguments;     // Without the program itself.
  std::vector<std::string> environment;   // "NAME=value"
  FileDescriptor output;                  // Becomes stdout and stderr.
  std::vector<FileDescriptor> inherited;  // Become 3, 4, ... in this order.
};

// The variables a service may see: the parent's environment can hold secrets that are none of its business.
std::vector<std::string> ChildEnvironment();

// A pipe's read end that yields `bytes` and then the end of file. At most kPipeBytesMax, so that it never
// blocks. Errors: kResourceExhausted (too long), kUnavailable.
StatusOr<FileDescriptor> PipeHolding(std::string_view bytes);
constexpr size_t kPipeBytesMax = 32 * 1024;

// How a process ended: "exit status 3" or "signal 9".
std::string DescribeExit(int wait_status);

// Owned by one thread, which must live as long as the child. Not thread-safe.
class Child {
 public:
  // Errors: kNotFound (no such program), kUnavailable (no process left).
  static StatusOr<Child> Start(ChildOptions options);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&& other) noexcept;
  // Kills what still runs.
  ~Child();
  pid_t pid() const { return pid_; }
  // The wait status once it has ended, and its whole process group with it; does not block.
  std::optional<int> Poll();
  // Asks it to stop.
  void Terminate();
  // Ends it and its process group at once, and waits for it.
  void Kill();

 private:
  explicit Child(pid_t pid) : pid_(pid) {}
  pid_t pid_ = 0;  // 0: ended and reaped.
};

}  // namespace cloister::services
