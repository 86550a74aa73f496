// SPDX-License-Identifier: Apache-2.0
#include "services/supervisor/anchor_change.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "common/log.h"
#include "services/keys/keys_service.h"
#include "services/server/rpc_client.h"
#include "services/server/rpc_status.h"
#include "services/supervisor/child.h"

namespace cloister::services {
namespace {

using Steady = std::chrono::steady_clock;

constexpr std::chrono::seconds kChangeTimeout{120};  // Every key is wrapped again.
constexpr std::chrono::seconds kCheckTimeout{10};
constexpr std::chrono::seconds kResolveTimeout{60};
constexpr useconds_t kResolvePause = 200'000;

// Without waiting for keys to be there: a call under way ends at once when keys is killed.
void SetDeadlineOnly(grpc::ClientContext& context, std::chrono::seconds timeout) {
  context.set_deadline(std::chrono::system_clock::now() + timeout);
}

Status Check(v1::Keys::StubInterface& keys, const crypto::Secret& secret) {
  v1::CheckSecretRequest request;
  request.set_secret(std::string(secret.view()));
  grpc::ClientContext context;
  SetDeadlineOnly(context, kCheckTimeout);
  v1::CheckSecretResponse response;
  const Status status = FromGrpc(keys.CheckSecret(&context, request, &response));
  crypto::Wipe(request.mutable_secret()->data(), request.secret().size());
  return status;
}

grpc::Status Ask(v1::Keys::StubInterface& keys, const AnchorRequest& request,
                 v1::ChangeAnchorResponse& response) {
  v1::ChangeAnchorRequest wire;
  wire.set_former_secret(std::string(request.former_secret.view()));
  wire.set_secret(std::string(request.secret.view()));
  wire.set_to(request.to);
  wire.set_source(request.source);
  grpc::ClientContext context;
  SetDeadlineOnly(context, kChangeTimeout);
  const grpc::Status status = keys.ChangeAnchor(&context, wire, &response);
  crypto::Wipe(wire.mutable_former_secret()->data(), wire.former_secret().size());
  crypto::Wipe(wire.mutable_secret()->data(), wire.secret().size());
  return status;
}

std::string Done(const v1::ChangeAnchorResponse& response) {
  std::string text = "The epoch key is now in: " + response.change().anchor() + " (epoch " +
                     std::to_string(response.change().epoch()) +
                     "). Escrowed keyring: " + response.change().escrow() + ".";
  if (!response.unfinished().empty())
    text += "\nNot finished, and tried again by itself: " + response.unfinished() + ".";
  return text;
}

// Keys ended, or did not answer in time, and whoever starts it again may need either secret.
StatusOr<std::string> Resolve(v1::Keys::StubInterface& keys, HeldSecret& held, const AnchorRequest& request,
                              const std::atomic<bool>& stopping) {
  const Steady::time_point give_up = Steady::now() + kResolveTimeout;
  while (!stopping && Steady::now() < give_up) {
    if (Check(keys, request.secret).ok()) {
      // A restart may have found out already, and taken it.
      if (!held.Is(request.secret)) held.TakeOther();
      return std::string(
          "The keys service ended during the change, and the change had been made: the keyring opens with "
          "the NEW "
          "passphrase or PIN.");
    }
    if (Check(keys, request.former_secret).ok()) {
      held.ForgetOther();
      return Aborted(
          "the keys service ended during the change, and the keyring opens with the FORMER passphrase or "
          "PIN; "
          "nothing was changed, try again");
    }
    ::usleep(kResolvePause);
  }
  return Aborted(
      "the keys service ended during the change and does not come back; the keyring opens with the new "
      "passphrase or PIN or with the former one");
}

}  // namespace

StatusOr<FileDescriptor> HeldSecret::Pipe() const {
  std::lock_guard lock(mutex_);
  return PipeHolding(secret_.view());
}

PassphraseSource HeldSecret::source() const {
  std::lock_guard lock(mutex_);
  return source_;
}

bool HeldSecret::Is(const crypto::Secret& secret) const {
  std::lock_guard lock(mutex_);
  return crypto::ConstantTimeEqual(secret_.view(), secret.view());
}

void HeldSecret::Consider(const crypto::Secret& other, PassphraseSource source) {
  std::lock_guard lock(mutex_);
  other_ = Other{other.Clone(), source};
}

void HeldSecret::ForgetOther() {
  std::lock_guard lock(mutex_);
  other_.reset();
}

bool HeldSecret::TakeOther() {
  std::lock_guard lock(mutex_);
  if (!other_) return false;
  secret_ = std::move(other_->secret);
  source_ = other_->source;
  other_.reset();
  return true;
}

bool HeldSecret::Settle(const std::function<bool(const crypto::Secret&)>& opens) {
  crypto::Secret held, other;
  {
    std::lock_guard lock(mutex_);
    if (!other_) return true;
    held = secret_.Clone();
    other = other_->secret.Clone();
  }
  // A restart of keys may have settled it meanwhile, which Take and Forget then find done.
  if (opens(other)) {
    if (!Is(other)) TakeOther();
    return true;
  }
  if (!opens(held)) return false;
  if (Is(held)) ForgetOther();
  return true;
}

StatusOr<std::string> ChangeAnchor(v1::Keys::StubInterface& keys, HeldSecret& held,
                                   const AnchorRequest& request, const std::atomic<bool>& stopping) {
  CLOISTER_ASSIGN_OR_RETURN(const PassphraseSource source, ParsePassphraseSource(request.source));
  // With a change of before in doubt, neither may the one that holds be refused nor the other one be given
  // up.
  if (!held.Settle([&](const crypto::Secret& secret) { return Check(keys, secret).ok(); })) {
    return Unavailable(
        "a former change of the passphrase or PIN is not certain yet, because the keys service does not "
        "answer; "
        "nothing was changed, try again");
  }
  if (!held.Is(request.former_secret)) {
    return Unauthenticated(
        "wrong passphrase or PIN: it is not the one the appliance was started with; nothing was changed");
  }
  held.Consider(request.secret, source);
  v1::ChangeAnchorResponse response;
  const grpc::Status answer = Ask(keys, request, response);
  if (answer.ok()) {
    held.TakeOther();
    Log(LogLevel::kInfo, "supervisor.anchor_changed", {{"epoch", int64_t{response.change().epoch()}}});
    return Done(response);
  }
  if (DetailOf(answer).reason == kNothingChanged) {
    held.ForgetOther();
    return FromGrpc(answer);
  }
  return Resolve(keys, held, request, stopping);
}

}  // namespace cloister::services
