// SPDX-License-Identifier: Apache-2.0
// Stands between a process and the kernel (LD_PRELOAD) and breaks, or records, what it does to files below
// one folder: the disk that fails below RocksDB and everything else. For tests alone; no product program
// links it. What to break is in a page shared with the test (fault_io.h), so that faults come and go while
// the processes run.
//
// Environment: FAULT_IO_CONTROL, the page's file; FAULT_IO_ROLE, a name for this process. Without the first
// it does nothing. Calls are made as raw system calls, so that no lock of the C library is held and nothing
// is entered twice. What it cannot see: files written through mmap, io_uring or the C library's own streams'
// open.
#include "tests/fault/fault_io.h"
#include "tests/fault/fault_io_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>

namespace {

using namespace cloister::fault_io;

constexpr size_t kPathMax = 1024;

ControlPage* page = nullptr;
char own_role[64];
int trace_fd = -1;

__attribute__((constructor)) void Attach() {
  const char* control = ::getenv("FAULT_IO_CONTROL");
  if (const char* role = ::getenv("FAULT_IO_ROLE")) ::strncpy(own_role, role, sizeof own_role - 1);
  // The parser that ingest starts forbids itself most calls; it, and whatever else is started, goes without.
  ::unsetenv("LD_PRELOAD");
  ::unsetenv("FAULT_IO_CONTROL");
  if (control == nullptr) return;
  const int fd = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0));
  if (fd < 0) return;
  void* mapped = ::mmap(nullptr, sizeof(ControlPage), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::syscall(SYS_close, fd);
  if (mapped == MAP_FAILED) return;
  auto* candidate = static_cast<ControlPage*>(mapped);
  if (candidate->magic != kMagic) ::abort();  // A test that broke nothing would pass.
  page = candidate;
}

struct Path {
  char text[kPathMax];
  bool below = false;  // The folder of the test.
};

void Judge(Path& path) {
  const size_t root = ::strlen(page->root);
  path.below = root > 0 && ::strncmp(path.text, page->root, root) == 0 && path.text[root] == '/';
}

bool ReadLink(int fd, char* out, size_t bytes) {
  char name[40] = "/proc/self/fd/";
  char digits[16];
  int count = 0;
  for (unsigned rest = static_cast<unsigned>(fd); count == 0 || rest > 0; rest /= 10) {
    digits[count++] = static_cast<char>('0' + rest % 10);
  }
  char* end = name + ::strlen(name);
  while (count > 0) *end++ = digits[--count];
  *end = 0;
  const long size = ::syscall(SYS_readlinkat, AT_FDCWD, name, out, bytes - 1);
  if (size < 0) return false;
  out[size] = 0;
  return out[0] == '/';
}

// Asked each time: files are renamed and descriptors duplicated behind any table's back.
Path OfDescriptor(int fd) {
  Path path;
  path.text[0] = 0;
  if (page == nullptr || fd < 0 || !ReadLink(fd, path.text, sizeof path.text)) return path;
  Judge(path);
  return path;
}

Path OfName(int directory, const char* name) {
  Path path;
  path.text[0] = 0;
  if (page == nullptr || name == nullptr) return path;
  size_t used = 0;
  if (name[0] != '/') {
    if (directory == AT_FDCWD) {
      if (::syscall(SYS_getcwd, path.text, sizeof path.text) < 0) return path;
    } else if (!ReadLink(directory, path.text, sizeof path.text)) {
      return path;
    }
    used = ::strlen(path.text);
    path.text[used++] = '/';
  }
  const size_t size = ::strlen(name);
  if (used + size >= sizeof path.text) return path;
  ::memcpy(path.text + used, name, size + 1);
  Judge(path);
  return path;
}

// Faults.

// Which fault this call gets. `mask` has a bit for each kind that applies to calls like it.
Kind Draw(const Path& path, unsigned mask) {
  if (page == nullptr || !path.below) return kNone;
  page->calls.fetch_add(1, std::memory_order_relaxed);
  const auto kind = static_cast<Kind>(page->kind.load(std::memory_order_acquire));
  if (kind == kNone || (mask & (1u << kind)) == 0) return kNone;
  if (page->filter[0] != 0 && ::strstr(path.text, page->filter) == nullptr) return kNone;
  if (page->role[0] != 0 && ::strcmp(page->role, own_role) != 0) return kNone;
  const uint64_t number = page->matched.fetch_add(1);
  const uint64_t skip = page->skip.load();
  if (number < skip || number - skip >= page->limit.load()) return kNone;
  page->injected[kind].fetch_add(1);
  return kind;
}

constexpr unsigned Bit(Kind kind) { return 1u << kind; }
constexpr unsigned kOnWrite = Bit(kNoSpace) | Bit(kWriteError) | Bit(kTornError) | Bit(kTornKill);
constexpr unsigned kOnCreate = Bit(kNoSpace) | Bit(kWriteError);
constexpr uint64_t kSectorBytes = 512;
constexpr unsigned kOnSync = Bit(kSyncError) | Bit(kSyncKill);

[[noreturn]] void Die() {
  for (;;) ::syscall(SYS_kill, ::getpid(), SIGKILL);
}

int ErrnoOf(Kind kind) { return kind == kNoSpace ? ENOSPC : EIO; }

// Where a write of `fd` goes. A negative `offset`: to its position, or its end.
uint64_t PlaceOf(int fd, off_t offset) {
  if (offset >= 0) return static_cast<uint64_t>(offset);
  const bool appends = (::syscall(SYS_fcntl, fd, F_GETFL) & O_APPEND) != 0;
  struct stat info;
  if (appends && ::fstat(fd, &info) == 0) return static_cast<uint64_t>(info.st_size);
  return static_cast<uint64_t>(::syscall(SYS_lseek, fd, 0, SEEK_CUR));
}

// How much of a torn or half-done write reaches the file: whole sectors, and not always as many. A disk writes a sector
// or does not, and files that are overwritten in place rest on that.
size_t PartOf(size_t bytes, uint64_t place) {
  const uint64_t wanted = place + (page->matched.load() * 2654435761u) % std::max<size_t>(bytes, 1);
  const uint64_t end = wanted / kSectorBytes * kSectorBytes;
  return end > place ? static_cast<size_t>(end - place) : 0;
}

// Recording.

bool Recording(const Path& path) {
  return page != nullptr && path.below && page->recording.load(std::memory_order_acquire) != 0;
}

// Held over a call and its record, so that the order of records is the order of effects.
class RecordLock {
 public:
  explicit RecordLock(bool wanted) : held_(wanted) {
    uint64_t expected = 0;
    while (held_ && !page->lock.compare_exchange_weak(expected, static_cast<uint64_t>(::getpid()))) {
      expected = 0;
      ::syscall(SYS_sched_yield);
    }
  }
  ~RecordLock() {
    if (held_) page->lock.store(0);
  }
  RecordLock(const RecordLock&) = delete;
  RecordLock& operator=(const RecordLock&) = delete;
  bool held() const { return held_; }

 private:
  const bool held_;
};

uint64_t InodeOf(int fd) {
  struct stat info;
  return ::syscall(SYS_fstat, fd, &info) == 0 ? info.st_ino : 0;
}

bool IsFile(int fd) {
  struct stat info;
  return ::syscall(SYS_fstat, fd, &info) == 0 && S_ISREG(info.st_mode);
}

bool Exists(const Path& path) {
  struct stat info;
  return ::syscall(SYS_newfstatat, AT_FDCWD, path.text, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

uint64_t InodeAt(const Path& path) {
  struct stat info;
  return ::syscall(SYS_newfstatat, AT_FDCWD, path.text, &info, AT_SYMLINK_NOFOLLOW) == 0 ? info.st_ino : 0;
}

struct Call {
  Operation operation;
  uint64_t inode = 0;
  uint64_t offset = 0;
  uint64_t started = 0;
  const void* data = nullptr;
  size_t data_bytes = 0;
  const char* second = "";
};

void Record(const Path& path, const Call& call) {
  if (trace_fd < 0) {
    trace_fd = static_cast<int>(
        ::syscall(SYS_openat, AT_FDCWD, page->trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
    if (trace_fd < 0) ::abort();
  }
  RecordHead head{};
  head.magic = kMagic;
  head.sequence = page->sequence.fetch_add(1) + 1;
  head.started = call.started;
  head.inode = call.inode;
  head.offset = call.offset;
  head.data_bytes = call.data_bytes;
  head.operation = call.operation;
  head.process = static_cast<uint32_t>(::getpid());
  head.first_bytes = static_cast<uint32_t>(::strlen(path.text));
  head.second_bytes = static_cast<uint32_t>(::strlen(call.second));
  iovec parts[] = {{&head, sizeof head},
                   {const_cast<char*>(path.text), head.first_bytes},
                   {const_cast<char*>(call.second), head.second_bytes},
                   {const_cast<void*>(call.data), call.data_bytes}};
  const size_t whole = sizeof head + head.first_bytes + head.second_bytes + call.data_bytes;
  if (::syscall(SYS_writev, trace_fd, parts, 4) != static_cast<long>(whole))
    ::abort();  // Half a trace is none.
}

}  // namespace

namespace cloister::fault_io {

long Open(int directory, const char* name, int flags, mode_t mode) {
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT) != 0;
  if (page == nullptr || !writes) return ::syscall(SYS_openat, directory, name, flags, mode);
  const Path path = OfName(directory, name);
  if ((flags & O_CREAT) != 0 && path.below && !Exists(path)) {
    if (const Kind kind = Draw(path, kOnCreate); kind != kNone) return Fail(ErrnoOf(kind));
  }
  const RecordLock lock(Recording(path));
  const bool existed = lock.held() && Exists(path);
  const long fd = ::syscall(SYS_openat, directory, name, flags, mode);
  if (fd < 0 || !lock.held() || !IsFile(static_cast<int>(fd))) return fd;
  const int error = errno;
  const uint64_t inode = InodeOf(static_cast<int>(fd));
  if (!existed) {
    Record(path, {.operation = kCreate, .inode = inode});
  } else if ((flags & O_TRUNC) != 0) {
    Record(path, {.operation = kTruncate, .inode = inode});
  }
  errno = error;
  return fd;
}

static long RawWrite(int fd, const void* data, size_t bytes, off_t offset) {
  return offset < 0 ? ::syscall(SYS_write, fd, data, bytes)
                    : ::syscall(SYS_pwrite64, fd, data, bytes, offset);
}

static long RecordedWrite(const Path& path, int fd, const void* data, size_t bytes, off_t offset) {
  const RecordLock lock(Recording(path) && IsFile(fd));
  const long written = RawWrite(fd, data, bytes, offset);
  if (!lock.held() || written <= 0) return written;
  const int error = errno;
  const auto end = offset < 0 ? ::syscall(SYS_lseek, fd, 0, SEEK_CUR) : offset + written;
  Record(path, {.operation = kWrite,
                .inode = InodeOf(fd),
                .offset = static_cast<uint64_t>(end - written),
                .data = data,
                .data_bytes = static_cast<size_t>(written)});
  errno = error;
  return written;
}

long Write(int fd, const void* data, size_t bytes, off_t offset) {
  const Path path = OfDescriptor(fd);
  if (!path.below) return RawWrite(fd, data, bytes, offset);
  const Kind kind = Draw(path, kOnWrite);
  if (kind == kNone) return RecordedWrite(path, fd, data, bytes, offset);
  const bool torn = kind == kTornError || kind == kTornKill;
  const bool some = torn || (kind == kNoSpace && page->matched.load() % 2 == 1);
  const size_t part = some ? PartOf(bytes, PlaceOf(fd, offset)) : 0;
  const long written = part > 0 ? RecordedWrite(path, fd, data, part, offset) : 0;
  if (kind == kTornKill) Die();
  // A disk that fills up takes what still fits and says so by the count.
  if (kind == kNoSpace && written > 0) return written;
  return Fail(ErrnoOf(kind));
}

long WriteVector(int fd, const iovec* parts, int count, off_t offset) {
  const Path path = OfDescriptor(fd);
  if (!path.below) {
    return offset < 0 ? ::syscall(SYS_writev, fd, parts, count)
                      : ::syscall(SYS_pwritev, fd, parts, count, offset, 0L);
  }
  long total = 0;
  for (int i = 0; i < count; ++i) {
    if (parts[i].iov_len == 0) continue;
    const long written = Write(fd, parts[i].iov_base, parts[i].iov_len, offset < 0 ? offset : offset + total);
    if (written < 0) return total > 0 ? total : written;
    total += written;
    if (static_cast<size_t>(written) < parts[i].iov_len) break;
  }
  return total;
}

// Every socket is read by these calls, too, so it asks for the path only when it matters.
bool ReadFails(int fd) {
  return page != nullptr && page->kind.load(std::memory_order_acquire) == kReadError &&
         Draw(OfDescriptor(fd), Bit(kReadError)) != kNone;
}

bool SyncFails(int fd) { return Draw(OfDescriptor(fd), Bit(kSyncError)) != kNone; }

long Sync(int fd, long number) {
  const Path path = OfDescriptor(fd);
  if (!path.below) return ::syscall(number, fd);
  if (const Kind kind = Draw(path, kOnSync); kind != kNone) {
    if (kind == kSyncKill) Die();
    return Fail(EIO);
  }
  // The lock is not held over the wait: others write meanwhile, and what they write is not covered.
  const bool recording = Recording(path);
  const uint64_t started = page->sequence.load();
  const long result = ::syscall(number, fd);
  if (!recording || result != 0) return result;
  const RecordLock lock(true);
  Record(path, {.operation = kSync, .inode = InodeOf(fd), .started = started});
  return result;
}

long Truncate(int fd, off_t size) {
  const Path path = OfDescriptor(fd);
  const RecordLock lock(Recording(path));
  const long result = ::syscall(SYS_ftruncate, fd, size);
  if (lock.held() && result == 0) {
    Record(path, {.operation = kTruncate, .inode = InodeOf(fd), .offset = static_cast<uint64_t>(size)});
  }
  return result;
}

long Allocate(int fd, int mode, off_t offset, off_t bytes) {
  const Path path = OfDescriptor(fd);
  if (const Kind kind = Draw(path, kOnCreate); kind != kNone) return Fail(ErrnoOf(kind));
  const RecordLock lock(Recording(path));
  const long result = ::syscall(SYS_fallocate, fd, mode, offset, bytes);
  if (!lock.held() || result != 0) return result;
  struct stat info;
  const bool grows = mode == 0 && ::syscall(SYS_fstat, fd, &info) == 0;
  if (grows) {
    Record(path,
           {.operation = kTruncate, .inode = info.st_ino, .offset = static_cast<uint64_t>(info.st_size)});
  } else if (mode != FALLOC_FL_KEEP_SIZE) {
    Record(path, {.operation = kUnmodelled});
  }
  return result;
}

long Rename(int from_directory, const char* from, int to_directory, const char* to, unsigned flags) {
  const Path source = OfName(from_directory, from);
  const Path target = OfName(to_directory, to);
  if (const Kind kind = Draw(target, kOnCreate); kind != kNone) return Fail(ErrnoOf(kind));
  const RecordLock lock(Recording(source) || Recording(target));
  const long result = ::syscall(SYS_renameat2, from_directory, from, to_directory, to, flags);
  if (lock.held() && result == 0)
    Record(source, {.operation = flags == 0 ? kRename : kUnmodelled, .second = target.text});
  return result;
}

long Unlink(int directory, const char* name, int flags) {
  const Path path = OfName(directory, name);
  const RecordLock lock(Recording(path));
  const long result = ::syscall(SYS_unlinkat, directory, name, flags);
  const int error = errno;
  if (lock.held() && result == 0) {
    Record(path, {.operation = (flags & AT_REMOVEDIR) != 0 ? kRemoveDirectory : kUnlink});
  }
  errno = error;
  return result;
}

long Link(int from_directory, const char* from, int to_directory, const char* to, int flags) {
  const Path source = OfName(from_directory, from);
  const Path target = OfName(to_directory, to);
  if (const Kind kind = Draw(target, kOnCreate); kind != kNone) return Fail(ErrnoOf(kind));
  const RecordLock lock(Recording(target));
  const long result = ::syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
  if (lock.held() && result == 0) Record(source, {.operation = kLink, .second = target.text});
  return result;
}

long MakeDirectory(int directory, const char* name, mode_t mode) {
  const Path path = OfName(directory, name);
  if (path.below && !Exists(path)) {
    if (const Kind kind = Draw(path, kOnCreate); kind != kNone) return Fail(ErrnoOf(kind));
  }
  const RecordLock lock(Recording(path));
  const long result = ::syscall(SYS_mkdirat, directory, name, mode);
  const int error = errno;
  if (lock.held() && result == 0) Record(path, {.operation = kMakeDirectory, .inode = InodeAt(path)});
  errno = error;
  return result;
}

// Copies inside the kernel are not recorded; the test must see that.
void NoteUnmodelled(int fd) {
  const Path path = OfDescriptor(fd);
  const RecordLock lock(Recording(path));
  if (lock.held()) Record(path, {.operation = kUnmodelled});
}

// The C library's own opens its file where nobody sees it.
int MakeTemporary(char* name, int suffix, int flags) {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  constexpr size_t kWild = 6;  // The X of the template.
  constexpr int kAttempts = 100;
  const size_t size = ::strlen(name);
  if (size < kWild + static_cast<size_t>(suffix)) return static_cast<int>(Fail(EINVAL));
  char* wild = name + size - static_cast<size_t>(suffix) - kWild;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    unsigned char random[kWild];
    if (::syscall(SYS_getrandom, random, sizeof random, 0) != static_cast<long>(sizeof random)) return -1;
    for (size_t i = 0; i < kWild; ++i) wild[i] = kLetters[random[i] % (sizeof kLetters - 1)];
    const long fd = Open(AT_FDCWD, name, O_RDWR | O_CREAT | O_EXCL | flags, 0600);
    if (fd >= 0 || errno != EEXIST) return static_cast<int>(fd);
  }
  return static_cast<int>(Fail(EEXIST));
}

}  // namespace cloister::fault_io
