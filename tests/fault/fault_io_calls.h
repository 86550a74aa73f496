// SPDX-License-Identifier: Apache-2.0
// The calls that fault_io.so makes in place of the C library's: each breaks what the page says, or makes the system call and
// records it. Results and errno are those of the C library. Names of functions are in fault_io_exports.cc.
#pragma once

#include <errno.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cstddef>

namespace cloister::fault_io {

inline long Fail(int error) {
  errno = error;
  return -1;
}

long Open(int directory, const char* name, int flags, mode_t mode);
// `offset` below 0: at the descriptor's own position.
long Write(int fd, const void* data, size_t bytes, off_t offset);
long WriteVector(int fd, const iovec* parts, int count, off_t offset);
bool ReadFails(int fd);
bool SyncFails(int fd);
long Sync(int fd, long number);  // SYS_fsync or SYS_fdatasync.
long Truncate(int fd, off_t size);
long Allocate(int fd, int mode, off_t offset, off_t bytes);
long Rename(int from_directory, const char* from, int to_directory, const char* to, unsigned flags);
long Unlink(int directory, const char* name, int flags);
long Link(int from_directory, const char* from, int to_directory, const char* to, int flags);
long MakeDirectory(int directory, const char* name, mode_t mode);
// What is written to `fd` by a call whose effect is not recorded.
void NoteUnmodelled(int fd);
int MakeTemporary(char* name, int suffix, int flags);

}  // namespace cloister::fault_io
