// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/control_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "common/bytes.h"
#include "common/log.h"

namespace cloister::services {
namespace {

constexpr std::string_view kMagic = "CLSC";
constexpr uint8_t kFormat = 1;
constexpr size_t kRequestBytesMax = 16 * 1024;
constexpr size_t kReplyBytesMax = 64 * 1024;
constexpr int kPollMilliseconds = 200;
constexpr int kReadSeconds = 5;  // Somebody who connects and says nothing does not keep others out.
constexpr int kBacklog = 4;

StatusOr<sockaddr_un> AddressOf(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    return InvalidArgument("the path of the socket is too long");
  std::memcpy(address.sun_path, path.c_str(), path.native().size());
  return address;
}

// Into locked memory: a request is mostly secrets.
StatusOr<crypto::Secret> ReadSecret(int fd, size_t bytes_max) {
  crypto::Secret buffer(bytes_max);
  size_t size = 0;
  for (;;) {
    const ssize_t got = ::read(fd, buffer.data() + size, bytes_max - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "supervisor socket");
    if (got == 0) break;
    size += static_cast<size_t>(got);
    if (size == bytes_max) return InvalidArgument("the request is too long");
  }
  return crypto::Secret(buffer.view().substr(0, size));
}

// A broken connection is an error, not a signal.
Status SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return ErrnoStatus(errno, "supervisor socket");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

crypto::Secret Serialise(const AnchorRequest& request) {
  ByteWriter out;
  out.Raw(kMagic);
  out.U8(kFormat);
  out.String(request.to);
  out.String(request.source);
  out.U32(static_cast<uint32_t>(request.former_secret.size()));
  out.U32(static_cast<uint32_t>(request.secret.size()));
  const std::string& head = out.bytes();
  crypto::Secret bytes(head.size() + request.former_secret.size() + request.secret.size());
  char* at = std::copy(head.begin(), head.end(), bytes.data());
  at = std::copy(request.former_secret.view().begin(), request.former_secret.view().end(), at);
  std::copy(request.secret.view().begin(), request.secret.view().end(), at);
  return bytes;
}

StatusOr<AnchorRequest> Parse(std::string_view bytes) {
  ByteReader in(bytes);
  const bool known = in.Raw(kMagic.size()) == kMagic && in.U8() == kFormat;
  AnchorRequest out;
  out.to = in.String();
  out.source = in.String();
  const uint32_t former = in.U32();
  const uint32_t secret = in.U32();
  out.former_secret = crypto::Secret(in.Raw(former));
  out.secret = crypto::Secret(in.Raw(secret));
  if (!known || !in.Finish("request").ok()) {
    return InvalidArgument("the request is of another version of `cloister`; use the one that runs");
  }
  return out;
}

bool IsAllowed(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
         (peer.uid == ::geteuid() || peer.uid == 0);
}

StatusOr<std::string> Answer(int fd, const AnchorHandler& handler) {
  if (!IsAllowed(fd)) return PermissionDenied("only the owner of the data directory may do this");
  const timeval limit{kReadSeconds, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret bytes, ReadSecret(fd, kRequestBytesMax));
  CLOISTER_ASSIGN_OR_RETURN(const AnchorRequest request, Parse(bytes.view()));
  return handler(request);
}

}  // namespace

std::filesystem::path ControlSocketPath(const std::filesystem::path& data_directory) {
  return data_directory / "run" / "supervisor.sock";
}

StatusOr<std::unique_ptr<ControlSocket>> ControlSocket::Start(const std::filesystem::path& path,
                                                              AnchorHandler handler) {
  CLOISTER_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  FileDescriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener.valid()) return ErrnoStatus(errno, "supervisor socket");
  ::unlink(path.c_str());
  // Nobody gets in between: the folder is 0700.
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::chmod(path.c_str(), 0600) != 0 || ::listen(listener.get(), kBacklog) != 0) {
    return ErrnoStatus(errno, "supervisor socket");
  }
  return std::unique_ptr<ControlSocket>(new ControlSocket(path, std::move(listener), std::move(handler)));
}

ControlSocket::ControlSocket(std::filesystem::path path, FileDescriptor listener, AnchorHandler handler)
    : path_(std::move(path)), listener_(std::move(listener)), handler_(std::move(handler)) {
  thread_ = std::thread([this] { Run(); });
}

ControlSocket::~ControlSocket() {
  stopping_ = true;
  thread_.join();
  ::unlink(path_.c_str());
}

void ControlSocket::Run() {
  while (!stopping_) {
    pollfd ready{listener_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kPollMilliseconds) <= 0) continue;
    const FileDescriptor connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (connection.valid()) Serve(connection);
  }
}

void ControlSocket::Serve(const FileDescriptor& connection) const {
  const StatusOr<std::string> answer = Answer(connection.get(), handler_);
  ByteWriter out;
  out.U8(static_cast<uint8_t>(answer.status().code()));
  out.String(answer.ok() ? *answer : MessageOf(answer.status()));
  const Status sent = SendAll(connection.get(), out.bytes());
  if (!sent.ok()) LogStatus(LogLevel::kWarning, "supervisor.answer_not_sent", sent);
}

StatusOr<std::string> SendAnchorRequest(const std::filesystem::path& path, const AnchorRequest& request) {
  CLOISTER_ASSIGN_OR_RETURN(const sockaddr_un address, AddressOf(path));
  const FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "supervisor socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return NotFound("the appliance does not listen");
  }
  const crypto::Secret bytes = Serialise(request);
  // The answer may be on its way although nothing more is read: a refusal, say.
  SendAll(fd.get(), bytes.view()).IgnoreError();
  ::shutdown(fd.get(), SHUT_WR);
  const auto reply = ReadAll(fd.get(), kReplyBytesMax);
  ByteReader in(reply.ok() ? std::string_view(*reply) : std::string_view());
  const auto code = static_cast<StatusCode>(in.U8());
  std::string text(in.String());
  if (!in.Finish("answer").ok()) {
    return Aborted(
        "the appliance ended before it answered: the keyring opens with the new passphrase or PIN, or, when "
        "the change was not finished, with the former one");
  }
  if (code != StatusCode::kOk) return Error(code, text);
  return text;
}

}  // namespace cloister::services
