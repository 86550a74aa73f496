// SPDX-License-Identifier: Apache-2.0
// The names of the C library that fault_io.so takes: each is handed to the call of fault_io_calls.h that it is a form of.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/fault/fault_io_calls.h"

namespace {

using namespace cloister::fault_io;

mode_t ModeOf(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(arguments, unsigned)) : 0;
}

}  // namespace

// What the C library exports under these names is not called at all.
extern "C" {

#define EXPORT __attribute__((visibility("default")))
#define OPEN_AS(NAME)                                           \
  EXPORT int NAME(const char* name, int flags, ...) {           \
    va_list arguments;                                          \
    va_start(arguments, flags);                                 \
    const mode_t mode = ModeOf(flags, arguments);               \
    va_end(arguments);                                          \
    return static_cast<int>(Open(AT_FDCWD, name, flags, mode)); \
  }
#define OPEN_AT_AS(NAME)                                             \
  EXPORT int NAME(int directory, const char* name, int flags, ...) { \
    va_list arguments;                                               \
    va_start(arguments, flags);                                      \
    const mode_t mode = ModeOf(flags, arguments);                    \
    va_end(arguments);                                               \
    return static_cast<int>(Open(directory, name, flags, mode));     \
  }
OPEN_AS(open)
OPEN_AS(open64)
OPEN_AT_AS(openat)
OPEN_AT_AS(openat64)

EXPORT int __open_2(const char* name, int flags) { return static_cast<int>(Open(AT_FDCWD, name, flags, 0)); }
EXPORT int __open64_2(const char* name, int flags) {
  return static_cast<int>(Open(AT_FDCWD, name, flags, 0));
}
EXPORT int __openat_2(int at, const char* name, int flags) {
  return static_cast<int>(Open(at, name, flags, 0));
}
EXPORT int __openat64_2(int at, const char* name, int flags) {
  return static_cast<int>(Open(at, name, flags, 0));
}
EXPORT int creat(const char* name, mode_t mode) {
  return static_cast<int>(Open(AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, mode));
}
EXPORT int creat64(const char* name, mode_t mode) { return creat(name, mode); }

EXPORT int mkstemp(char* name) { return MakeTemporary(name, 0, 0); }
EXPORT int mkstemp64(char* name) { return MakeTemporary(name, 0, 0); }
EXPORT int mkostemp(char* name, int flags) { return MakeTemporary(name, 0, flags); }
EXPORT int mkostemp64(char* name, int flags) { return MakeTemporary(name, 0, flags); }
EXPORT int mkstemps(char* name, int suffix) { return MakeTemporary(name, suffix, 0); }
EXPORT int mkostemps(char* name, int suffix, int flags) { return MakeTemporary(name, suffix, flags); }

EXPORT ssize_t write(int fd, const void* data, size_t bytes) { return Write(fd, data, bytes, -1); }
EXPORT ssize_t pwrite(int fd, const void* data, size_t bytes, off_t offset) {
  return Write(fd, data, bytes, offset);
}
EXPORT ssize_t pwrite64(int fd, const void* data, size_t bytes, off_t offset) {
  return Write(fd, data, bytes, offset);
}
EXPORT ssize_t writev(int fd, const iovec* parts, int count) { return WriteVector(fd, parts, count, -1); }
EXPORT ssize_t pwritev(int fd, const iovec* parts, int count, off_t at) {
  return WriteVector(fd, parts, count, at);
}
EXPORT ssize_t pwritev64(int fd, const iovec* parts, int count, off_t at) {
  return WriteVector(fd, parts, count, at);
}

EXPORT ssize_t read(int fd, void* data, size_t bytes) {
  return ReadFails(fd) ? Fail(EIO) : ::syscall(SYS_read, fd, data, bytes);
}
EXPORT ssize_t __read_chk(int fd, void* data, size_t bytes, size_t) { return read(fd, data, bytes); }
EXPORT ssize_t pread(int fd, void* data, size_t bytes, off_t offset) {
  return ReadFails(fd) ? Fail(EIO) : ::syscall(SYS_pread64, fd, data, bytes, offset);
}
EXPORT ssize_t pread64(int fd, void* data, size_t bytes, off_t offset) { return pread(fd, data, bytes, offset); }
EXPORT ssize_t __pread_chk(int fd, void* data, size_t bytes, off_t offset, size_t) {
  return pread(fd, data, bytes, offset);
}
EXPORT ssize_t __pread64_chk(int fd, void* data, size_t bytes, off_t offset, size_t) {
  return pread(fd, data, bytes, offset);
}
EXPORT ssize_t readv(int fd, const iovec* parts, int count) {
  return ReadFails(fd) ? Fail(EIO) : ::syscall(SYS_readv, fd, parts, count);
}
EXPORT ssize_t preadv(int fd, const iovec* parts, int count, off_t at) {
  return ReadFails(fd) ? Fail(EIO) : ::syscall(SYS_preadv, fd, parts, count, at, 0L);
}
EXPORT ssize_t preadv64(int fd, const iovec* parts, int count, off_t at) { return preadv(fd, parts, count, at); }

EXPORT int fsync(int fd) { return static_cast<int>(Sync(fd, SYS_fsync)); }
EXPORT int fdatasync(int fd) { return static_cast<int>(Sync(fd, SYS_fdatasync)); }
// A hint to begin writing back; it promises nothing after a power loss, so it is not recorded.
EXPORT int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
  if (SyncFails(fd)) return static_cast<int>(Fail(EIO));
  return static_cast<int>(::syscall(SYS_sync_file_range, fd, offset, bytes, flags));
}

EXPORT int ftruncate(int fd, off_t size) { return static_cast<int>(Truncate(fd, size)); }
EXPORT int ftruncate64(int fd, off_t size) { return static_cast<int>(Truncate(fd, size)); }
EXPORT int truncate(const char* name, off_t size) {
  const int fd = static_cast<int>(Open(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0));
  if (fd < 0) return -1;
  const long result = Truncate(fd, size);
  const int error = errno;
  ::syscall(SYS_close, fd);
  errno = error;
  return static_cast<int>(result);
}
EXPORT int truncate64(const char* name, off_t size) { return truncate(name, size); }
EXPORT int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  return static_cast<int>(Allocate(fd, mode, offset, bytes));
}
EXPORT int fallocate64(int fd, int mode, off_t offset, off_t bytes) {
  return static_cast<int>(Allocate(fd, mode, offset, bytes));
}
EXPORT int posix_fallocate(int fd, off_t offset, off_t bytes) {
  const int before = errno;
  const int error = Allocate(fd, 0, offset, bytes) == 0 ? 0 : errno;
  errno = before;
  return error;
}
EXPORT int posix_fallocate64(int fd, off_t offset, off_t bytes) { return posix_fallocate(fd, offset, bytes); }

EXPORT int rename(const char* from, const char* to) {
  return static_cast<int>(Rename(AT_FDCWD, from, AT_FDCWD, to, 0));
}
EXPORT int renameat(int from_at, const char* from, int to_at, const char* to) {
  return static_cast<int>(Rename(from_at, from, to_at, to, 0));
}
EXPORT int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  return static_cast<int>(Rename(from_at, from, to_at, to, flags));
}
EXPORT int unlink(const char* name) { return static_cast<int>(Unlink(AT_FDCWD, name, 0)); }
EXPORT int unlinkat(int at, const char* name, int flags) { return static_cast<int>(Unlink(at, name, flags)); }
EXPORT int rmdir(const char* name) { return static_cast<int>(Unlink(AT_FDCWD, name, AT_REMOVEDIR)); }
EXPORT int remove(const char* name) {
  const long result = Unlink(AT_FDCWD, name, 0);
  return static_cast<int>(result != 0 && errno == EISDIR ? Unlink(AT_FDCWD, name, AT_REMOVEDIR) : result);
}
EXPORT int link(const char* from, const char* to) {
  return static_cast<int>(Link(AT_FDCWD, from, AT_FDCWD, to, 0));
}
EXPORT int linkat(int from_at, const char* from, int to_at, const char* to, int flags) {
  return static_cast<int>(Link(from_at, from, to_at, to, flags));
}
EXPORT int mkdir(const char* name, mode_t mode) {
  return static_cast<int>(MakeDirectory(AT_FDCWD, name, mode));
}
EXPORT int mkdirat(int at, const char* name, mode_t mode) {
  return static_cast<int>(MakeDirectory(at, name, mode));
}

EXPORT ssize_t sendfile(int out, int in, off_t* offset, size_t bytes) {
  NoteUnmodelled(out);
  return ::syscall(SYS_sendfile, out, in, offset, bytes);
}
EXPORT ssize_t sendfile64(int out, int in, off64_t* offset, size_t bytes) {
  return sendfile(out, in, offset, bytes);
}
EXPORT ssize_t copy_file_range(int in, off64_t* in_at, int out, off64_t* out_at, size_t bytes,
                               unsigned flags) {
  NoteUnmodelled(out);
  return ::syscall(SYS_copy_file_range, in, in_at, out, out_at, bytes, flags);
}

}  // extern "C"
