// SPDX-License-Identifier: Apache-2.0
// HTTP to gateway over the local Unix socket, one connection per request. Does not know what the routes mean, and
// speaks to nothing else. Blocks. Not thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "common/status.h"
#include "crypto/secret.h"
#include "services/cli/commands.h"

namespace cloister::services {

constexpr size_t kReplyBytesMax = 64 * 1024 * 1024;
constexpr int kReplySecondsMax = 180;  // Without a byte from gateway.

class GatewayClient {
 public:
  explicit GatewayClient(std::filesystem::path socket) : socket_(std::move(socket)) {}
  // Sent with every request; without one gateway sees the owner of this process.
  void SetBearer(std::string_view api_key);
  void SetPassword(std::string_view user, std::string_view password);
  void SetPurpose(std::string purpose) { purpose_ = std::move(purpose); }

  // `body` may be null. Errors: what gateway answered, with its message; kUnavailable when the appliance is not
  // running, with what to do about it; kInternal for a reply that cannot be read.
  StatusOr<nlohmann::json> Call(std::string_view method, std::string_view path, const nlohmann::json& body);
  StatusOr<nlohmann::json> Get(std::string_view path) { return Call("GET", path, nullptr); }
  // Gives each line of a streamed body to `line` as it comes. Errors: as Call, and what `line` returns.
  Status Lines(std::string_view method, std::string_view path, const nlohmann::json& body,
               const std::function<Status(std::string_view)>& line);

 private:
  StatusOr<std::string> RequestText(std::string_view method, std::string_view path, const nlohmann::json& body) const;
  // Gives the body piece by piece; returns the HTTP status.
  StatusOr<int> Exchange(const std::string& request, const std::function<Status(int, std::string_view)>& piece);
  std::filesystem::path socket_;
  crypto::Secret authorization_;
  std::string purpose_;
};

// How a command says who it is: --key-file, --user with --password-file, or nothing.
struct CredentialFlags {
  std::string key_file;  // Else $CLOISTER_API_KEY_FILE.
  std::string user;
  std::string password_file;
};
std::shared_ptr<CredentialFlags> AddCredentialFlags(CLI::App& command);
// A client for `context` with the credentials of `flags`. With `person`, somebody must be named: the local
// administrator reads no documents. Errors: kInvalidArgument, kNotFound and kFailedPrecondition from the files.
StatusOr<GatewayClient> MakeClient(const CliContext& context, const CredentialFlags& flags, bool person);

// Percent-encodes one segment of a path.
std::string PathSegment(std::string_view text);

}  // namespace cloister::services
