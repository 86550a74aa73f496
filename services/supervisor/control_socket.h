// SPDX-License-Identifier: Apache-2.0
// DATA/run/supervisor.sock: how a command on this machine hands the supervisor a passphrase or PIN, which
// must not pass through gateway. One request a connection, answered once; only the owner of the data
// directory and root are heard. Does not know what changing an anchor means. Linux only (SO_PEERCRED).
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/file.h"
#include "common/status.h"
#include "crypto/secret.h"

namespace cloister::services {

// Changes the passphrase or PIN, or the kind of anchor.
struct AnchorRequest {
  crypto::Secret former_secret;
  crypto::Secret secret;
  std::string to;      // As cloister.v1.ChangeAnchorRequest.
  std::string source;  // Likewise.
};

// What became of it, in words for a person, or why nothing has changed.
using AnchorHandler = std::function<StatusOr<std::string>(const AnchorRequest& request)>;

// DATA/run/supervisor.sock
std::filesystem::path ControlSocketPath(const std::filesystem::path& data_directory);

// Serves from a thread of its own, one connection at a time. `handler` may block; it is called from that
// thread.
class ControlSocket {
 public:
  // Replaces a socket that is left over. Errors: kUnavailable.
  static StatusOr<std::unique_ptr<ControlSocket>> Start(const std::filesystem::path& path,
                                                        AnchorHandler handler);
  // Waits for the request under way.
  ~ControlSocket();

 private:
  ControlSocket(std::filesystem::path path, FileDescriptor listener, AnchorHandler handler);
  void Run();
  void Serve(const FileDescriptor& connection) const;

  const std::filesystem::path path_;
  const FileDescriptor listener_;
  const AnchorHandler handler_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

// From the command's side. Blocks until the supervisor has answered. Errors: what the handler returned;
// kNotFound (no supervisor listens); kAborted (it ended meanwhile: the former or the new secret opens the
// keyring).
StatusOr<std::string> SendAnchorRequest(const std::filesystem::path& path, const AnchorRequest& request);

}  // namespace cloister::services
