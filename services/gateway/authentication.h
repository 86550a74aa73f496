// SPDX-License-Identifier: Apache-2.0
// From a request to a caller: bearer API key, user and password, or the owner of the data directory over the Unix
// socket. Does not decide what the caller may do. Failures are recorded in the audit log, at a bounded rate.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <semaphore>
#include <string>
#include <string_view>

#include "common/clock.h"
#include "common/status.h"
#include "crypto/secret.h"
#include "services/gateway/caller.h"
#include "services/gateway/credentials.h"
#include "services/http/http_message.h"
#include "services/gateway/login_throttle.h"
#include "services/server/audit_client.h"

namespace cloister::services {

// Argon2id takes 64 MiB a check: more at once would let anybody exhaust memory.
constexpr int kPasswordChecksAtOnce = 2;
constexpr std::chrono::seconds kPasswordCheckWait{5};
// A password that was right stays right for this long without Argon2id, unless it is changed.
constexpr std::chrono::seconds kPasswordMemory{300};
constexpr size_t kPasswordMemoryMax = 1024;
// auth.failed records: a burst, then this many a second; what is left out is counted in the next one.
constexpr double kFailureRecordsPerSecond = 5;
constexpr double kFailureRecordsBurst = 50;

class Authenticator {
 public:
  // `owner_uid` owns the data directory. References must outlive this. `cost` is that of stored passwords.
  static StatusOr<std::unique_ptr<Authenticator>> New(const CredentialStore& credentials, const AuditClient& audit,
                                                      const Clock& clock, uint32_t owner_uid,
                                                      const crypto::Argon2Cost& cost = {});

  // Blocks for about 0.2 s on a password. Errors: kUnauthenticated (one message for every way to be wrong, reason
  // INVALID_CREDENTIALS or MISSING_CREDENTIALS), kResourceExhausted (name locked, or too many password checks;
  // with retry_after), kInvalidArgument (malformed header).
  StatusOr<Caller> Authenticate(const HttpRequest& request);
  uint64_t failures() const { return failures_; }

 private:
  Authenticator(const CredentialStore& credentials, const AuditClient& audit, const Clock& clock, uint32_t owner_uid)
      : credentials_(credentials), audit_(audit), clock_(clock), owner_uid_(owner_uid), throttle_(clock) {}
  StatusOr<Caller> WithBearer(std::string_view token, const HttpRequest& request);
  StatusOr<Caller> WithPassword(std::string_view encoded, const HttpRequest& request);
  // kUnauthenticated when wrong; slow unless remembered.
  Status CheckUserPassword(const std::string& user, std::string_view password);
  bool Remembered(const std::string& memory_key);
  void Remember(const std::string& memory_key);
  void RecordFailure(std::string_view event, std::string_view method, const std::string& user,
                     const HttpRequest& request);

  const CredentialStore& credentials_;
  const AuditClient& audit_;
  const Clock& clock_;
  const uint32_t owner_uid_;
  LoginThrottle throttle_;
  std::string dummy_phc_;  // Checked for users that do not exist, so that they take as long.
  crypto::Secret memory_secret_;
  std::counting_semaphore<kPasswordChecksAtOnce> password_checks_{kPasswordChecksAtOnce};
  std::atomic<uint64_t> failures_{0};
  std::mutex mutex_;
  std::map<std::string, std::chrono::nanoseconds> remembered_;  // HMAC -> monotonic expiry. Guarded by mutex_.
  double record_tokens_ = kFailureRecordsBurst;                 // Guarded by mutex_.
  std::chrono::nanoseconds record_time_{0};                     // Guarded by mutex_.
  int64_t suppressed_ = 0;                                      // Guarded by mutex_.
};

}  // namespace cloister::services
