// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/log_file.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

namespace cloister::services {
namespace {

constexpr size_t kReadBytes = 64 * 1024;
constexpr std::streamoff kTailBytes = 16 * 1024;

}  // namespace

StatusOr<LogFile> LogFile::Open(std::filesystem::path path, uint64_t bytes_max) {
  LogFile out;
  out.path_ = std::move(path);
  out.bytes_max_ = bytes_max;
  CLOISTER_RETURN_IF_ERROR(out.OpenCurrent());
  return out;
}

Status LogFile::OpenCurrent() {
  fd_ = FileDescriptor(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info;
  if (!fd_.valid() || ::fstat(fd_.get(), &info) != 0) return ErrnoStatus(errno, "open log file");
  size_ = static_cast<uint64_t>(info.st_size);
  return absl::OkStatus();
}

Status LogFile::Rotate() {
  fd_.Reset();
  for (int i = kOldLogsKept; i >= 1; --i) {
    const std::string younger = i == 1 ? path_.string() : path_.string() + "." + std::to_string(i - 1);
    const std::string older = path_.string() + "." + std::to_string(i);
    if (::rename(younger.c_str(), older.c_str()) != 0 && errno != ENOENT)
      return ErrnoStatus(errno, "rotate log file");
  }
  return OpenCurrent();
}

Status LogFile::Append(std::string_view bytes) {
  if (!fd_.valid()) CLOISTER_RETURN_IF_ERROR(OpenCurrent());
  if (size_ > 0 && size_ + bytes.size() > bytes_max_) CLOISTER_RETURN_IF_ERROR(Rotate());
  CLOISTER_RETURN_IF_ERROR(WriteAll(fd_.get(), bytes));
  size_ += bytes.size();
  return absl::OkStatus();
}

std::string LastErrorIn(const std::filesystem::path& log) {
  std::ifstream in(log);
  in.seekg(0, std::ios::end);
  in.seekg(std::max<std::streamoff>(0, in.tellg() - kTailBytes));
  std::string message;
  for (std::string line; std::getline(in, line);) {
    const auto entry = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!entry.is_object() || entry.value("level", nlohmann::json()) != "error") continue;
    const auto found = entry.find("message");
    if (found != entry.end() && found->is_string()) message = found->get<std::string>();
  }
  return message;
}

class LogCollector::Impl {
 public:
  Impl(std::filesystem::path directory, FileDescriptor wake_read, FileDescriptor wake_write)
      : directory_(std::move(directory)),
        wake_read_(std::move(wake_read)),
        wake_write_(std::move(wake_write)) {
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    {
      std::lock_guard lock(mutex_);
      ending_ = true;
    }
    Wake();
    thread_.join();
  }

  StatusOr<FileDescriptor> PipeFor(const std::string& name) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "pipe");
    FileDescriptor reader(ends[0]);
    FileDescriptor writer(ends[1]);
    ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
    CLOISTER_ASSIGN_OR_RETURN(LogFile file, LogFile::Open(directory_ / (name + ".log")));
    {
      std::lock_guard lock(mutex_);
      added_.push_back({std::move(reader), std::move(file)});
    }
    Wake();
    return writer;
  }

 private:
  struct Source {
    FileDescriptor reader;
    LogFile file;
  };

  void Wake() {
    const char byte = 0;
    while (::write(wake_write_.get(), &byte, 1) < 0 && errno == EINTR) {
    }
  }

  // False at end of file. A full disk loses log lines, never the service that writes them.
  static bool Copy(Source& source) {
    std::string buffer(kReadBytes, '\0');
    for (;;) {
      const ssize_t got = ::read(source.reader.get(), buffer.data(), buffer.size());
      if (got > 0) {
        source.file.Append(std::string_view(buffer).substr(0, static_cast<size_t>(got))).IgnoreError();
        continue;
      }
      if (got < 0 && errno == EINTR) continue;
      return got < 0 && errno == EAGAIN;
    }
  }

  void Run() {
    std::list<Source> sources;
    for (bool ending = false; !ending;) {
      std::vector<pollfd> polled = {{wake_read_.get(), POLLIN, 0}};
      for (const Source& source : sources) polled.push_back({source.reader.get(), POLLIN, 0});
      ::poll(polled.data(), polled.size(), -1);
      if (polled[0].revents != 0) {
        char drained[64];
        while (::read(wake_read_.get(), drained, sizeof drained) > 0) {
        }
        std::lock_guard lock(mutex_);
        sources.splice(sources.end(), added_);
        ending = ending_;
      }
      for (auto it = sources.begin(); it != sources.end();)
        it = Copy(*it) ? std::next(it) : sources.erase(it);
    }
  }

  const std::filesystem::path directory_;
  FileDescriptor wake_read_;
  FileDescriptor wake_write_;
  std::mutex mutex_;
  std::list<Source> added_;
  bool ending_ = false;
  std::thread thread_;
};

LogCollector::LogCollector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LogCollector::~LogCollector() = default;

StatusOr<std::unique_ptr<LogCollector>> LogCollector::Start(std::filesystem::path directory) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return ErrnoStatus(errno, "pipe");
  FileDescriptor reader(ends[0]);
  FileDescriptor writer(ends[1]);
  auto impl = std::make_unique<Impl>(std::move(directory), std::move(reader), std::move(writer));
  return std::unique_ptr<LogCollector>(new LogCollector(std::move(impl)));
}

StatusOr<FileDescriptor> LogCollector::PipeFor(const std::string& name) { return impl_->PipeFor(name); }

}  // namespace cloister::services
