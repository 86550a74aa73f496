// SPDX-License-Identifier: Apache-2.0
// The passphrase or PIN that the supervisor keeps to start keys again, and how it is changed while keys may
// be killed at any moment. Does not start processes.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "cloister/v1/keys.grpc.pb.h"
#include "common/file.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "services/keys/passphrase_source.h"
#include "services/supervisor/control_socket.h"

namespace cloister::services {

// Thread-safe. While a change is not certain it holds both secrets.
class HeldSecret {
 public:
  HeldSecret(crypto::Secret secret, PassphraseSource source) : secret_(std::move(secret)), source_(source) {}
  // A pipe with the secret that is believed to open the keyring. Errors: as PipeHolding.
  StatusOr<FileDescriptor> Pipe() const;
  PassphraseSource source() const;
  bool Is(const crypto::Secret& secret) const;
  // `other` may be the one after a restart of keys.
  void Consider(const crypto::Secret& other, PassphraseSource source);
  void ForgetOther();
  // `other` it is. False when there is none: the secret is simply wrong.
  bool TakeOther();
  // Drops the one of both that `opens`, which may block and is called without a lock, says does not open the
  // keyring. True when there is one left. For who comes after a change whose outcome nobody could tell.
  bool Settle(const std::function<bool(const crypto::Secret&)>& opens);

 private:
  struct Other {
    crypto::Secret secret;
    PassphraseSource source;
  };
  mutable std::mutex mutex_;
  crypto::Secret secret_;
  PassphraseSource source_;
  std::optional<Other> other_;
};

// Has keys change the anchor and takes over the new secret, or finds out which one holds when keys ended
// meanwhile. Blocks, also while keys is started again by somebody else; `stopping` ends the wait. Errors:
// kUnauthenticated (wrong former secret), kInvalidArgument, kUnavailable (a change before this one is not
// certain yet), those of keys when nothing has changed; kAborted (changed or not, as the message says, or not
// known).
StatusOr<std::string> ChangeAnchor(v1::Keys::StubInterface& keys, HeldSecret& held,
                                   const AnchorRequest& request, const std::atomic<bool>& stopping);

}  // namespace cloister::services
