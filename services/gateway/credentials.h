// SPDX-License-Identifier: Apache-2.0
// Users' password hashes and API keys, sealed in gateway's own store. Does not know groups (retrieval's directory
// does) and does not throttle (login_throttle.h).
//
// An API key is "clk_<id>_<secret>": 8 and 32 random bytes in lower-case hexadecimal, so that one key has one
// spelling. Only SHA-256 of the secret is kept: 256 random bits need no slow hash. It is shown once.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/clock.h"
#include "common/id.h"
#include "common/status.h"
#include "crypto/password.h"
#include "crypto/secret.h"
#include "storage/examination.h"
#include "storage/kv_store.h"
#include "storage/sealed_store.h"

namespace cloister::services {

constexpr size_t kUsersMax = 100'000;
constexpr size_t kApiKeysMax = 100'000;
constexpr size_t kApiKeysPerUserMax = 64;
constexpr size_t kPasswordBytesMin = crypto::kPassphraseBytesMin;
constexpr size_t kPasswordBytesMax = crypto::kPassphraseBytesMax;
constexpr std::string_view kCredentialColumnFamilies[] = {"users", "api_keys", "tls"};

// Roles that open parts of the administration. SPEC: docs/api.md
inline constexpr const char* kRoleAdministrator = "administrator";
inline constexpr const char* kRoleKnowledgeManager = "knowledge-manager";
inline constexpr const char* kRoleAuditor = "auditor";
inline constexpr const char* kRoleCompliance = "compliance";

struct UserCredentials {
  std::string name;
  std::set<std::string> roles;
  std::string password_phc;  // Empty: no password, API keys only.
};

struct ApiKey {
  std::string id;           // 16 hexadecimal digits.
  std::string user;
  std::string application;  // Client application this key is registered for.
  int64_t created_at_ns = 0;
  std::string secret_sha256;
};

struct NewApiKey {
  ApiKey key;
  crypto::Secret token;  // "clk_..."; nobody can show it again.
};

// For storage::ExamineStore: who is lost is added again.
storage::StoreToExamine CredentialsToExamine();

// Thread-safe. Everything is held in memory and written through; a change is durable when its function returns OK.
class CredentialStore {
 public:
  // Reads all rows. All references must outlive the store; `row_key` is this service's "rows" key.
  // Errors: kDataLoss (a row does not authenticate), kFailedPrecondition (an unknown format version), kUnavailable.
  static StatusOr<std::unique_ptr<CredentialStore>> Open(storage::KvStore& store, const storage::SealedStore& sealed,
                                                         storage::DataKey row_key, const Clock& clock);

  // Makes or replaces a user; a missing `password_phc` keeps the one there is.
  // Errors: kResourceExhausted (kUsersMax), kUnavailable.
  Status PutUser(const std::string& name, const std::set<std::string>& roles,
                 const std::optional<std::string>& password_phc);
  // Removes the user and all of the user's API keys in one batch. False when there was none.
  StatusOr<bool> DeleteUser(const std::string& name);
  std::optional<UserCredentials> FindUser(const std::string& name) const;

  // Errors: kNotFound (user), kResourceExhausted (kApiKeysMax, kApiKeysPerUserMax), kUnavailable.
  StatusOr<NewApiKey> CreateKey(const std::string& user, const std::string& application);
  StatusOr<bool> RevokeKey(const std::string& id);
  std::vector<ApiKey> ListKeys() const;

  // The key that `token` is. Errors: kUnauthenticated, the same for every way a token can be wrong.
  StatusOr<ApiKey> CheckToken(std::string_view token) const;

  // After the service's "rows" key was replaced by `row_key`: what is written from now on is sealed under that, and every
  // row under the former one sealed anew, the certificate's too; returns how many. Errors: as storage::ResealRows.
  StatusOr<uint64_t> Renew(storage::KeySource& keys, storage::DataKey row_key, const DatabaseId& database,
                           const std::function<Status()>& go_on);

 private:
  struct UserRow {
    PrincipalId id;
    UserCredentials credentials;
  };
  CredentialStore(storage::KvStore& store, const storage::SealedStore& sealed, storage::DataKey row_key,
                  const Clock& clock)
      : store_(store), sealed_(sealed), row_key_(std::move(row_key)), clock_(clock) {}
  Status Load();

  storage::KvStore& store_;
  const storage::SealedStore& sealed_;
  storage::DataKey row_key_;  // Guarded by write_mutex_.
  const Clock& clock_;
  std::mutex write_mutex_;  // Held across the write, so that memory and store change in one order.
  mutable std::mutex mutex_;
  std::map<std::string, UserRow> users_;  // By name. Guarded by mutex_.
  std::map<std::string, ApiKey> keys_;    // By id. Guarded by mutex_.
};

// Errors: kInvalidArgument (shorter or longer than allowed, control characters).
StatusOr<std::string> HashUserPassword(std::string_view password, const crypto::Argon2Cost& cost = {});
// 1 to 256 bytes of [a-z0-9._@-]: names of users, groups and collections. Errors: kInvalidArgument.
Status CheckName(std::string_view what, std::string_view name);
// Errors: kInvalidArgument, naming the roles there are.
StatusOr<std::set<std::string>> CheckRoles(const std::vector<std::string>& roles);

}  // namespace cloister::services
