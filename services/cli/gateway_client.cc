// SPDX-License-Identifier: Apache-2.0
#include "services/cli/gateway_client.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "common/bytes.h"
#include "common/file.h"
#include "services/cli/passphrase.h"

namespace cloister::services {
namespace {

using nlohmann::json;

constexpr size_t kHeadBytesMax = 64 * 1024;

StatusCode CodeFor(int http_status) {
  switch (http_status) {
    case 400:
    case 413:
    case 415: return StatusCode::kInvalidArgument;
    case 401:  // Not kUnauthenticated: that is the exit status of a wrong passphrase.
    case 403: return StatusCode::kPermissionDenied;
    case 404: return StatusCode::kNotFound;
    case 409: return StatusCode::kAlreadyExists;
    case 429: return StatusCode::kResourceExhausted;
    case 503: return StatusCode::kUnavailable;
    case 504: return StatusCode::kDeadlineExceeded;
    default: return StatusCode::kInternal;
  }
}

Status ErrorOf(int http_status, const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  std::string message = "gateway answered with HTTP status " + std::to_string(http_status);
  if (parsed.is_object() && parsed.contains("error") && parsed["error"].is_object()) {
    message = parsed["error"].value("message", message);
  }
  return Error(CodeFor(http_status), message);
}

Status NotRunning(const std::filesystem::path& socket) {
  return Unavailable("the appliance in " + socket.parent_path().parent_path().string() +
                     " is not running; start it with `cloister up`");
}

StatusOr<FileDescriptor> ConnectTo(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof address.sun_path) {
    return InvalidArgument("the path of the data directory is too long for a Unix socket");
  }
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  FileDescriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");
  const timeval timeout{kReplySecondsMax, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return NotRunning(socket);
    if (errno == EACCES) return PermissionDenied("only the owner of the data directory may use its local socket");
    return ErrnoStatus(errno, "connecting to the appliance");
  }
  return fd;
}

Status SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return Unavailable("the appliance closed the connection; see `cloister status`");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

// Reads a reply whose body ends with its length, its last chunk or the connection. SPEC: RFC 9112 sections 6 and 7.
class Reply {
 public:
  explicit Reply(int fd) : fd_(fd) {}
  Status ReadHead();
  Status ReadBody(const std::function<Status(std::string_view)>& piece);
  int status() const { return status_; }

 private:
  // One more read. False at the end of the connection.
  StatusOr<bool> Fill();
  StatusOr<std::string> Line();
  Status Exactly(size_t count, const std::function<Status(std::string_view)>& piece);
  int fd_;
  std::string buffer_;
  int status_ = 0;
  bool chunked_ = false;
  std::optional<size_t> length_;
};

StatusOr<bool> Reply::Fill() {
  char bytes[16384];
  for (;;) {
    const ssize_t got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return Error(StatusCode::kDeadlineExceeded, "the appliance did not answer in time; see `cloister status`");
    }
    if (got < 0) return Unavailable("the appliance closed the connection; see `cloister status`");
    buffer_.append(bytes, static_cast<size_t>(got));
    return got > 0;
  }
}

StatusOr<std::string> Reply::Line() {
  size_t end;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (buffer_.size() > kHeadBytesMax) return Internal("the appliance's reply cannot be read");
    CLOISTER_ASSIGN_OR_RETURN(const bool more, Fill());
    if (!more) return Unavailable("the appliance closed the connection; see `cloister status`");
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

Status Reply::ReadHead() {
  CLOISTER_ASSIGN_OR_RETURN(const std::string first, Line());
  if (!first.starts_with("HTTP/1.1 ") || first.size() < 12) return Internal("the appliance's reply is not HTTP");
  status_ = std::atoi(first.c_str() + 9);
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(std::string line, Line());
    if (line.empty()) return absl::OkStatus();
    for (char& c : line) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    if (line == "transfer-encoding: chunked") chunked_ = true;
    if (line.starts_with("content-length: ")) length_ = std::strtoull(line.c_str() + 16, nullptr, 10);
  }
}

Status Reply::Exactly(size_t count, const std::function<Status(std::string_view)>& piece) {
  while (count > 0) {
    if (buffer_.empty()) {
      CLOISTER_ASSIGN_OR_RETURN(const bool more, Fill());
      if (!more) return Unavailable("the appliance's reply was cut off");
    }
    const size_t take = std::min(count, buffer_.size());
    CLOISTER_RETURN_IF_ERROR(piece(std::string_view(buffer_).substr(0, take)));
    buffer_.erase(0, take);
    count -= take;
  }
  return absl::OkStatus();
}

Status Reply::ReadBody(const std::function<Status(std::string_view)>& piece) {
  if (length_.has_value() && !chunked_) return Exactly(*length_, piece);
  if (!chunked_) return Internal("the appliance's reply has no length");
  for (;;) {
    CLOISTER_ASSIGN_OR_RETURN(const std::string size_line, Line());
    const size_t size = std::strtoull(size_line.c_str(), nullptr, 16);
    if (size > 0) CLOISTER_RETURN_IF_ERROR(Exactly(size, piece));
    CLOISTER_ASSIGN_OR_RETURN(const std::string end, Line());
    if (!end.empty()) return Internal("the appliance's reply cannot be read");
    if (size == 0) return absl::OkStatus();
  }
}

}  // namespace

void GatewayClient::SetBearer(std::string_view api_key) {
  std::string value = "Bearer " + std::string(api_key);
  authorization_ = crypto::Secret(value);
  crypto::Wipe(value.data(), value.size());
}

void GatewayClient::SetPassword(std::string_view user, std::string_view password) {
  std::string pair = std::string(user) + ":" + std::string(password);
  std::string value = "Basic " + Base64Encode(pair);
  authorization_ = crypto::Secret(value);
  crypto::Wipe(pair.data(), pair.size());
  crypto::Wipe(value.data(), value.size());
}

StatusOr<std::string> GatewayClient::RequestText(std::string_view method, std::string_view path,
                                                 const json& body) const {
  for (unsigned char c : authorization_.view()) {
    if (c < 0x20 || c > 0x7e) return InvalidArgument("the key file does not hold an API key");
  }
  std::string text = std::string(method) + " " + std::string(path) + " HTTP/1.1\r\nHost: localhost\r\n";
  if (!authorization_.empty()) text += "Authorization: " + std::string(authorization_.view()) + "\r\n";
  if (!purpose_.empty()) text += "X-Cloister-Purpose: " + purpose_ + "\r\n";
  text += "Connection: close\r\n";
  if (body.is_null()) return text + "\r\n";
  const std::string bytes = body.dump(-1, ' ', false, json::error_handler_t::replace);
  return text + "Content-Type: application/json\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n" + bytes;
}

StatusOr<int> GatewayClient::Exchange(const std::string& request,
                                      const std::function<Status(int, std::string_view)>& piece) {
  CLOISTER_ASSIGN_OR_RETURN(const FileDescriptor fd, ConnectTo(socket_));
  CLOISTER_RETURN_IF_ERROR(SendAll(fd.get(), request));
  Reply reply(fd.get());
  CLOISTER_RETURN_IF_ERROR(reply.ReadHead());
  CLOISTER_RETURN_IF_ERROR(
      reply.ReadBody([&](std::string_view bytes) { return piece(reply.status(), bytes); }));
  return reply.status();
}

StatusOr<json> GatewayClient::Call(std::string_view method, std::string_view path, const json& body) {
  CLOISTER_ASSIGN_OR_RETURN(std::string request, RequestText(method, path, body));
  std::string reply;
  const StatusOr<int> status = Exchange(request, [&](int, std::string_view bytes) {
    if (reply.size() + bytes.size() > kReplyBytesMax) return Internal("the appliance's reply is too large");
    reply.append(bytes);
    return absl::OkStatus();
  });
  crypto::Wipe(request.data(), request.size());
  CLOISTER_RETURN_IF_ERROR(status.status());
  if (*status >= 300) return ErrorOf(*status, reply);
  json parsed = json::parse(reply, nullptr, false);
  if (parsed.is_discarded()) return Internal("the appliance's reply is not JSON");
  return parsed;
}

Status GatewayClient::Lines(std::string_view method, std::string_view path, const json& body,
                            const std::function<Status(std::string_view)>& line) {
  CLOISTER_ASSIGN_OR_RETURN(std::string request, RequestText(method, path, body));
  std::string pending;
  const StatusOr<int> status = Exchange(request, [&](int code, std::string_view bytes) {
    if (pending.size() + bytes.size() > kReplyBytesMax) return Internal("the appliance's reply is too large");
    pending.append(bytes);
    if (code >= 300) return absl::OkStatus();
    size_t end;
    while ((end = pending.find('\n')) != std::string::npos) {
      CLOISTER_RETURN_IF_ERROR(line(std::string_view(pending).substr(0, end)));
      pending.erase(0, end + 1);
    }
    return absl::OkStatus();
  });
  crypto::Wipe(request.data(), request.size());
  CLOISTER_RETURN_IF_ERROR(status.status());
  if (*status >= 300) return ErrorOf(*status, pending);
  return absl::OkStatus();
}

std::shared_ptr<CredentialFlags> AddCredentialFlags(CLI::App& command) {
  auto flags = std::make_shared<CredentialFlags>();
  auto* key = command.add_option("--key-file", flags->key_file,
                                 "file with an API key, readable by its owner only [$CLOISTER_API_KEY_FILE]");
  auto* user = command.add_option("--user", flags->user, "name of a user; the password is asked for");
  command.add_option("--password-file", flags->password_file, "file with the user's password")->needs(user);
  user->excludes(key);
  return flags;
}

StatusOr<GatewayClient> MakeClient(const CliContext& context, const CredentialFlags& flags, bool person) {
  GatewayClient client(context.gateway_socket());
  if (!flags.user.empty()) {
    StatusOr<crypto::Secret> password = flags.password_file.empty()
                                            ? AskPassphrase("Password of " + flags.user + ": ", false)
                                            : ReadSecretFile(flags.password_file, kPassword);
    CLOISTER_RETURN_IF_ERROR(password.status());
    client.SetPassword(flags.user, password->view());
    return client;
  }
  std::string key_file = flags.key_file;
  const char* set = std::getenv("CLOISTER_API_KEY_FILE");
  if (key_file.empty() && set != nullptr) key_file = set;
  if (!key_file.empty()) {
    CLOISTER_ASSIGN_OR_RETURN(const crypto::Secret key, ReadSecretFile(key_file, kApiKey));
    client.SetBearer(key.view());
  } else if (person) {
    return InvalidArgument(
        "say who asks: --key-file FILE with a key from `cloister key create`, or --user NAME; the administrator of "
        "this machine reads no documents");
  }
  return client;
}

std::string PathSegment(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (unsigned char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_';
    if (plain) {
      out.push_back(static_cast<char>(c));
    } else {
      out += {'%', kDigits[c >> 4], kDigits[c & 15]};
    }
  }
  return out;
}

}  // namespace cloister::services
